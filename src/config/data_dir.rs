//! The folder of the data.
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// Makes a folder of the data where it is missing, and those above it: for nobody else's eyes. One that is there stays as it is.
///
/// # Errors
/// The disk refuses.
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
