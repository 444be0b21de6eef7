//! The data folder.
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// Makes a data folder and its missing parents, readable by this user only. An existing folder is left unchanged.
///
/// # Errors
/// If the disk refuses.
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
