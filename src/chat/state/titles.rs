//! Titles of listings that were used of late.

use crate::hash::HashMap;
use crate::model::{Listing, ListingId};

/// Number of titles in a generation: after so many uses those that were not used since as many before are forgotten.
const GENERATION: usize = 5_000;

/// Titles in two generations: the young one becomes the old one when it is full.
#[derive(Debug, Default)]
pub(crate) struct Titles {
    young: HashMap<ListingId, Option<String>>,
    old: HashMap<ListingId, Option<String>>,
    /// Number of changes of titles: a read that began before one is too old to be kept.
    pub changes: u64,
}

impl Titles {
    /// The listing with its title, which may be known to be none; `None`: it must be read.
    pub(crate) fn find(&mut self, listing: &ListingId) -> Option<Listing> {
        let title = match self.young.get(listing) {
            Some(title) => title.clone(),
            None => {
                let title = self.old.remove(listing)?;
                self.keep(listing.clone(), title.clone());
                title
            }
        };
        Some(Listing { id: listing.clone(), title })
    }

    /// Remembers a title, or that there is none.
    pub(crate) fn keep(&mut self, listing: ListingId, title: Option<String>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(listing, title);
    }

    /// A listing has a new title.
    pub(crate) fn change(&mut self, listing: ListingId, title: String) {
        self.changes += 1;
        self.keep(listing, Some(title));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(name: &str) -> ListingId {
        ListingId::parse(name).unwrap()
    }

    #[test]
    fn what_is_used_stays_and_the_rest_is_forgotten() {
        let mut titles = Titles::default();
        titles.keep(listing("used"), Some("Flat".to_owned()));
        titles.keep(listing("unused"), None);
        for number in 0..2 * GENERATION {
            titles.keep(listing(&number.to_string()), None);
            assert_eq!(titles.find(&listing("used")).and_then(|found| found.title).as_deref(), Some("Flat"));
        }
        assert_eq!(titles.find(&listing("unused")), None);
        assert!(titles.young.len() <= GENERATION && titles.old.len() <= GENERATION);
    }

    #[test]
    fn a_change_is_seen_wherever_the_old_title_stands() {
        let mut titles = Titles::default();
        titles.keep(listing("a"), None);
        titles.old = std::mem::take(&mut titles.young);
        titles.change(listing("a"), "Flat".to_owned());
        assert_eq!(titles.find(&listing("a")).and_then(|found| found.title).as_deref(), Some("Flat"));
    }
}
