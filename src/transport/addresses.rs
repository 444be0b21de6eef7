//! How many sessions each client address has.
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

/// Counts sessions per address.
#[derive(Debug)]
pub(super) struct Addresses {
    counts: Mutex<HashMap<IpAddr, u32>>,
    limit: u32,
}

impl Addresses {
    /// `limit` is the most sessions of one address; 0 counts nothing.
    pub(super) fn new(limit: u32) -> Self {
        Self { counts: Mutex::new(HashMap::new()), limit }
    }

    /// Takes a place; `false` if the address has as many as it may. One that is taken must be released.
    pub(super) fn try_enter(&self, address: Option<IpAddr>) -> bool {
        let Some(address) = address.filter(|_| self.limit > 0) else { return true };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_insert(0);
        let has_room = *count < self.limit;
        if has_room {
            *count += 1;
        }
        has_room
    }

    /// Gives a place back.
    pub(super) fn leave(&self, address: Option<IpAddr>) {
        let Some(address) = address.filter(|_| self.limit > 0) else { return };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = counts.entry(address) {
            *entry.get_mut() = entry.get().saturating_sub(1);
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_as_many_places_as_the_limit_says() {
        let one = Some(IpAddr::from([192, 0, 2, 1]));
        let addresses = Addresses::new(2);
        assert!(addresses.try_enter(one) && addresses.try_enter(one));
        assert!(!addresses.try_enter(one));
        assert!(addresses.try_enter(Some(IpAddr::from([192, 0, 2, 2]))));
        addresses.leave(one);
        assert!(addresses.try_enter(one));
        addresses.leave(one);
        addresses.leave(one);
        assert_eq!(addresses.counts.lock().unwrap().len(), 1, "nothing is kept of those who left");
    }

    #[test]
    fn zero_is_no_limit() {
        let addresses = Addresses::new(0);
        assert!((0..10).all(|_| addresses.try_enter(Some(IpAddr::from([192, 0, 2, 1])))));
        assert!(addresses.counts.lock().unwrap().is_empty());
    }
}
