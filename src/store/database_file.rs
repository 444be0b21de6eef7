//! The files of an SQLite database while they are open.
//!
//! SQLite keeps using a file that was deleted or replaced, and its commits are then lost with the process. So the names
//! are compared with the open files, and a commit to replaced files counts as lost.
use std::fs::{File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::mem::forget;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::connection::AnyConnection;

/// Opens a file only to keep its inode number in use. Closing such a handle releases none of the process's locks on the
/// file, unlike any other (source: open(2), fcntl(2)).
#[cfg(target_os = "linux")]
const NAME_ONLY: i32 = 0o10_000_000;

/// Suffixes of the write-ahead log and its index.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// Error text for a database file that was removed or replaced.
pub(super) const REPLACED: &str = "the database's file, or its log, was removed or replaced while it was open";

/// The files of a database, as the store opened them.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    database: Pinned,
    /// Log and index, while the writer has them open: SQLite removes them with the last connection.
    beside: Mutex<Vec<Pinned>>,
    is_replaced: AtomicBool,
}

/// A file, and the name under which it was opened.
#[derive(Debug)]
struct Pinned {
    path: PathBuf,
    number: (u64, u64),
    /// While it is held, no other file gets the inode number.
    #[cfg(target_os = "linux")]
    _handle: File,
}

impl DatabaseFile {
    /// Pins the database of this name, which must be open already.
    ///
    /// # Errors
    /// If the file cannot be examined.
    pub(super) fn pin(path: &Path) -> std::io::Result<Self> {
        Ok(Self { database: Pinned::new(path.to_owned())?, beside: Mutex::default(), is_replaced: AtomicBool::new(false) })
    }

    /// Pins log and index, once the writer has opened the database: they stay the same from then on.
    ///
    /// # Errors
    /// If they cannot be examined.
    pub(super) fn pin_beside(&self) -> std::io::Result<()> {
        let pinned: std::io::Result<Vec<_>> = BESIDE.iter().map(|suffix| Pinned::new(self.name(suffix))).collect();
        *self.beside.lock().unwrap_or_else(PoisonError::into_inner) = pinned?;
        Ok(())
    }

    /// Returns whether one of the files was removed or replaced. Once true, it stays true: writes made meanwhile are in
    /// no file, or in an unknown one. Costs one `stat` for each file.
    pub(super) fn is_replaced(&self) -> bool {
        if self.is_replaced.load(Ordering::Acquire) {
            return true;
        }
        let beside = self.beside.lock().unwrap_or_else(PoisonError::into_inner);
        let is_replaced = self.database.is_replaced() || beside.iter().any(Pinned::is_replaced);
        if is_replaced {
            self.is_replaced.store(true, Ordering::Release);
        }
        is_replaced
    }

    /// Closes the writer's connection.
    pub(super) fn close_writer(&self, conn: AnyConnection) {
        if self.is_replaced() {
            return forget(conn);
        }
        // If it was the last one, SQLite removes log and index.
        self.beside.lock().unwrap_or_else(PoisonError::into_inner).clear();
        drop(conn);
    }

    /// Closes a reader's connection.
    pub(super) fn close_reader(&self, conn: AnyConnection) {
        // When the last connection closes, SQLite writes the log into the database. If the files were replaced, it
        // would write into the new ones; so the connection is leaked instead.
        if self.is_replaced() { forget(conn) } else { drop(conn) }
    }

    fn name(&self, suffix: &str) -> PathBuf {
        let mut name = self.database.path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    }
}

impl Pinned {
    fn new(path: PathBuf) -> std::io::Result<Self> {
        #[cfg(target_os = "linux")]
        {
            let handle = OpenOptions::new().read(true).custom_flags(NAME_ONLY).open(&path)?;
            Ok(Self { number: number(&handle.metadata()?), path, _handle: handle })
        }
        #[cfg(not(target_os = "linux"))]
        {
            Ok(Self { number: number(&std::fs::metadata(&path)?), path })
        }
    }

    /// A file that cannot be examined may still be there; the database itself will report the problem.
    fn is_replaced(&self) -> bool {
        match std::fs::metadata(&self.path) {
            Ok(found) => number(&found) != self.number,
            Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        }
    }
}

fn number(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_replaced_when_its_name_is_gone_or_anothers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db");
        let moved = folder.path().join("moved");
        for suffix in ["", "-wal", "-shm"] {
            let fresh = || {
                for suffix in ["", "-wal", "-shm"] {
                    fs::write(format!("{}{suffix}", path.display()), "x").unwrap();
                }
                let file = DatabaseFile::pin(&path).unwrap();
                file.pin_beside().unwrap();
                assert!(!file.is_replaced());
                file
            };
            let name = PathBuf::from(format!("{}{suffix}", path.display()));
            let file = fresh();
            fs::remove_file(&name).unwrap();
            assert!(file.is_replaced(), "{suffix} removed");
            let file = fresh();
            fs::remove_file(&name).unwrap();
            fs::write(&name, "x").unwrap();
            assert!(file.is_replaced(), "{suffix} removed and made again");
            let file = fresh();
            fs::rename(&name, &moved).unwrap();
            assert!(file.is_replaced(), "{suffix} moved away");
            fs::rename(&moved, &name).unwrap();
            assert!(file.is_replaced(), "it is not known what happened meanwhile");
            let file = fresh();
            fs::hard_link(&name, &moved).unwrap();
            fs::write(&name, "changed").unwrap();
            assert!(!file.is_replaced(), "a second name, another content");
            fs::remove_file(&moved).unwrap();
        }
    }
}
