//! Why a transfer ended early.
use std::io;

use crate::store::failure::MaintenanceError;

/// Why an export or import did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The database.
    #[error(transparent)]
    Database(#[from] MaintenanceError),
    /// The file.
    #[error("cannot read or write the file: {0}")]
    File(#[from] io::Error),
    /// The file is none of ours, or of a later version.
    #[error("{0}")]
    Foreign(String),
    /// A line that cannot be read.
    #[error("line {number} of the file: {reason}")]
    Line {
        /// Counted from 1, the header.
        number: u64,
        /// Says what is wrong with it.
        reason: String,
    },
    /// The database refuses rows, or is away.
    #[error("the rows up to line {number} of the file were not taken: {reason}")]
    Rows {
        /// The last line of those that were to be stored together.
        number: u64,
        /// Says what the database said.
        reason: String,
    },
    /// The end is missing.
    #[error("the file is cut off after line {0}: it has no last line with counts; with the whole file the import goes on")]
    Cut(u64),
    /// Counts or checksums are not those of the last line.
    #[error("{}", .0.join("; "))]
    Differs(Vec<String>),
    /// The database has rows already.
    #[error("the database is not empty ({0}): import into a new one")]
    NotEmpty(String),
    /// Another import was interrupted.
    #[error("{0}")]
    OtherImport(String),
}

impl From<diesel::result::Error> for TransferError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}
