//! Titles of listings.
use tokio::sync::oneshot;

use super::Broker;
use crate::chat::ports::TitleListing;
use crate::chat::state::AfterCommit;
use crate::store::{StoreError, Write};

impl Broker {
    /// Stores a listing's title.
    pub(in crate::chat) fn title_listing(&mut self, TitleListing { listing, title }: TitleListing) -> Answered {
        let (answer, answered) = oneshot::channel();
        let updated_at = self.now();
        let write = Write::SetListingTitle { listing: listing.clone(), title: title.clone(), updated_at };
        // Where it is refused, the one who would have answered is gone.
        drop(self.store(write, AfterCommit::Titled { listing, title, answer }));
        answered
    }
}

/// Ends when a title is stored, or is not.
type Answered = oneshot::Receiver<Result<(), StoreError>>;
