//! Outcomes of changes.
use crate::store::failure::StoreError;
use crate::store::write::Written;

/// Outcome of one change.
pub(in crate::store) type Outcome = Result<Written, StoreError>;

/// Stored, and nothing more to say.
pub(super) const DONE: Outcome = Ok(Written::Done);

/// The numbers under which a message stands.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    pub seq: i64,
    pub position: i64,
}
