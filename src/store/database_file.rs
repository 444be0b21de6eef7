//! The file of an SQLite database, and those beside it, while they are open.
//!
//! SQLite goes on with a file whose name was taken away or given to another: what it commits then is gone with the
//! process. So the names are compared with what is open, and nothing that was committed to another file is believed.
use std::fs::{File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::mem::forget;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::connection::AnyConnection;

/// Opens a file only to keep its number from being given again: closing it ends none of the process's locks on it, as closing
/// any other handle would (source: open(2), fcntl(2)).
#[cfg(target_os = "linux")]
const NAME_ONLY: i32 = 0o10_000_000;

/// The log of what was committed, and its index.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// Cause of a failure when a name of the database's files is gone, or another file's.
pub(super) const REPLACED: &str = "the database's file, or its log, was removed or replaced while it was open";

/// The files of a database, as the store has opened them.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    database: Pinned,
    /// Files beside it, as long as the writer has them open: without a connection SQLite removes them.
    beside: Mutex<Vec<Pinned>>,
    is_replaced: AtomicBool,
}

/// A file and the name that it was opened by.
#[derive(Debug)]
struct Pinned {
    path: PathBuf,
    number: (u64, u64),
    /// While it is held no other file gets the number.
    #[cfg(target_os = "linux")]
    _handle: File,
}

impl DatabaseFile {
    /// The database of this name, which somebody has open.
    ///
    /// # Errors
    /// Errors of looking at it.
    pub fn pin(path: &Path) -> std::io::Result<Self> {
        Ok(Self { database: Pinned::new(path.to_owned())?, beside: Mutex::default(), is_replaced: AtomicBool::new(false) })
    }

    /// The writer has opened the database: the files beside it stay the same from now on.
    ///
    /// # Errors
    /// Errors of looking at them.
    pub fn pin_beside(&self) -> std::io::Result<()> {
        let pinned: std::io::Result<Vec<_>> = BESIDE.iter().map(|suffix| Pinned::new(self.name(suffix))).collect();
        *self.beside.lock().unwrap_or_else(PoisonError::into_inner) = pinned?;
        Ok(())
    }

    /// Tells whether one of the names is gone, or another file's. Once it was it is for ever: what was written meanwhile is in
    /// none of them, or in one that nobody knows. Costs a look at each name.
    pub fn is_replaced(&self) -> bool {
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

    /// Ends the writer's connection.
    pub fn close_writer(&self, conn: AnyConnection) {
        if self.is_replaced() {
            return forget(conn);
        }
        // It may have been the last one: then SQLite removes what is beside.
        self.beside.lock().unwrap_or_else(PoisonError::into_inner).clear();
        drop(conn);
    }

    /// Ends a reader's connection.
    pub fn close_reader(&self, conn: AnyConnection) {
        // SQLite writes the log into the database when the last connection ends: into what was copied over it, where its
        // names were taken away for that.
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

    /// A file that cannot be looked at may be there still: the database itself says then what is wrong.
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
