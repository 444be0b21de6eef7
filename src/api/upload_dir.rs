//! Upload files on disk: written under a temporary name, and renamed once complete.
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use actix_web::web::block;
use log::warn;
use rand::RngExt as _;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use super::file_type::FileType;
use crate::config::make_private_folder;

/// Suffix of files being written.
const UNFINISHED: &str = ".part";
/// Length of a name in hex digits: 128 random bits.
const NAME_CHARACTERS: usize = 32;

/// Creates the uploads folder, and removes unfinished files that a crash left there. To be called at the start.
///
/// # Errors
/// If the folder can be neither created nor read.
pub fn prepare_uploads(dir: &Path) -> io::Result<()> {
    make_private_folder(dir)?;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(UNFINISHED) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Returns the type of a stored file with this name: 32 hex digits and a known extension. No other names are served.
pub(super) fn type_of_stored(name: &str) -> Option<FileType> {
    let (stem, extension) = name.split_once('.')?;
    let is_hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    if stem.len() != NAME_CHARACTERS || !stem.bytes().all(is_hex) {
        return None;
    }
    FileType::of_extension(extension)
}

/// Removes the files of these uploads. A missing file counts as removed. Returns those that could not be removed.
pub async fn remove_uploads(dir: &Path, urls: Vec<String>) -> Vec<String> {
    let (dir, all) = (dir.to_owned(), urls.clone());
    let removed = block(move || {
        let mut kept = Vec::new();
        for url in urls {
            let name = url.rsplit('/').next().unwrap_or_default();
            // Only names that we generate are touched, whatever the database says.
            let outcome = type_of_stored(name).map(|_| fs::remove_file(dir.join(name)));
            if let Some(Err(error)) = outcome
                && error.kind() != io::ErrorKind::NotFound
            {
                warn!(file = name, cause:% = error; "cannot remove an upload");
                kept.push(url);
            }
        }
        kept
    });
    removed.await.unwrap_or_else(|error| {
        warn!(cause:% = error; "uploads were not removed");
        all
    })
}

/// A file being uploaded. Dropped before [`NewFile::keep`], it is deleted.
pub(super) struct NewFile {
    dir: PathBuf,
    name: String,
    path: PathBuf,
    file: File,
    kept: bool,
}

impl NewFile {
    /// Creates a file with an unguessable name.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(super) async fn create(dir: &Path, extension: &str) -> io::Result<Self> {
        let random: u128 = rand::rng().random();
        let name = format!("{random:032x}.{extension}");
        let path = dir.join(format!("{name}{UNFINISHED}"));
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path).await?;
        Ok(Self { dir: dir.to_owned(), name, path, file, kept: false })
    }

    /// Appends to the file.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await
    }

    /// Renames the file to its final name, and syncs it: a message that refers to it may be acked afterwards.
    ///
    /// # Errors
    /// If the disk refuses.
    pub(super) async fn finish(&mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        let (from, to, dir) = (self.path.clone(), self.dir.join(&self.name), self.dir.clone());
        self.path.clone_from(&to);
        let moved = block(move || {
            fs::rename(from, to)?;
            sync_dir(&dir)
        });
        moved.await.map_err(io::Error::other)?
    }

    /// Returns the final name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Keeps the file.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

/// Syncs a folder: a rename is durable only then.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(dir)?.sync_all() } else { Ok(()) }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept {
            // Removes it under either name, since it may not have been renamed.
            let _ = fs::remove_file(&self.path);
            let _ = fs::remove_file(self.dir.join(format!("{}{UNFINISHED}", self.name)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_given_out_are_looked_for() {
        let stem = "0123456789abcdef0123456789abcdef";
        assert_eq!(type_of_stored(&format!("{stem}.png")).unwrap().mimetype, "image/png");
        for bad in [
            format!("{stem}.png.part"),
            format!("{stem}.exe"),
            stem.to_owned(),
            format!("{}.png", stem.to_uppercase()),
            format!("../{stem}.png"),
            format!("{stem}/../x.png"),
            "..".to_owned(),
            "a.png".to_owned(),
            String::new(),
        ] {
            assert!(type_of_stored(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_start_removes_what_a_crash_left() {
        let dir = tempfile::tempdir().unwrap();
        let uploads = dir.path().join("deep/uploads");
        prepare_uploads(&uploads).unwrap();
        fs::write(uploads.join("x.png.part"), "x").unwrap();
        fs::write(uploads.join("x.png"), "x").unwrap();
        prepare_uploads(&uploads).unwrap();
        assert!(!uploads.join("x.png.part").exists() && uploads.join("x.png").exists());
    }

    #[actix_web::test]
    async fn a_file_that_is_not_kept_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        for finished in [false, true] {
            let mut file = NewFile::create(dir.path(), "png").await.unwrap();
            file.write(b"abc").await.unwrap();
            if finished {
                file.finish().await.unwrap();
                assert!(dir.path().join(file.name()).exists());
            }
            drop(file);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        }
        let mut file = NewFile::create(dir.path(), "png").await.unwrap();
        file.write(b"abc").await.unwrap();
        file.finish().await.unwrap();
        let path = dir.path().join(file.name());
        file.keep();
        assert_eq!(fs::read(path).unwrap(), b"abc");
    }
}
