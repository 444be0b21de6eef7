//! Results of changes.
use crate::store::failure::StoreError;
use crate::store::write::Written;

/// Result of one change.
pub(in crate::store) type Outcome = Result<Written, StoreError>;

/// Stored, without further data.
pub(super) const DONE: Outcome = Ok(Written::Done);

/// Numbers of a stored message.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    pub seq: i64,
    pub position: i64,
}
