//! Errors of transfers.
use std::io;

use crate::store::failure::MaintenanceError;

/// Reason for an incomplete export or import.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] MaintenanceError),
    /// The file could not be read or written.
    #[error("cannot read or write the file: {0}")]
    File(#[from] io::Error),
    /// The file is not an export, or of a later version.
    #[error("{0}")]
    Foreign(String),
    /// A line that cannot be read.
    #[error("line {number} of the file: {reason}")]
    Line {
        /// Number of the line; the header is 1.
        number: u64,
        /// The cause.
        reason: String,
    },
    /// The database refuses rows, or is unreachable.
    #[error("the rows up to line {number} of the file were refused: {reason}")]
    Rows {
        /// Number of the last line of the batch.
        number: u64,
        /// The database's error.
        reason: String,
    },
    /// The end line is missing.
    #[error("the file is cut off after line {0}: it lacks the last line with counts; import the whole file to continue")]
    Cut(u64),
    /// Counts or checksums differ from those in the last line.
    #[error("{}", .0.join("; "))]
    Differs(Vec<String>),
    /// The database is not empty.
    #[error("the database is not empty ({0}): import into a new one")]
    NotEmpty(String),
    /// An import of another file was interrupted.
    #[error("{0}")]
    OtherImport(String),
}

impl From<diesel::result::Error> for TransferError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}
