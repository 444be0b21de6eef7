//! Offers, as far as messages speak of them.
use super::id::ListingId;

/// The listing that a message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Its server's name for it.
    pub id: ListingId,
    /// Its title; `None` while its server has not said.
    pub title: Option<String>,
}
