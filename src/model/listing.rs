//! What is offered, as far as messages speak of it.
use super::id::ListingId;

/// The listing that a message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Its server's name for it.
    pub id: ListingId,
    /// What it is called; `None` while its server has not said.
    pub title: Option<String>,
}
