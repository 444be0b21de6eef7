//! Listings of the marketplace, as far as messages refer to them.
use super::id::ListingId;

/// The listing that a message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Name given by the listing's server.
    pub id: ListingId,
    /// Its title; `None` until its server has sent one.
    pub title: Option<String>,
}
