//! Uploads that nothing names any more.
//!
//! A send looks its files up, and is given to the store behind the answer. What is dropped in between would be lost to its
//! message. So the broker gives the dropping to the store itself, and counts it: a send whose look was before it looks again,
//! and one that was given to the store before it has named its files there.
use actix::Message;

use crate::store::StoreError;

/// Takes away the uploads among these files, which are to be looked at, that nothing names. Answers which files are to be removed.
#[derive(Message, Debug)]
#[rtype(result = "Result<Vec<String>, StoreError>")]
pub struct DropFiles {
    /// Their addresses.
    pub urls: Vec<String>,
}
