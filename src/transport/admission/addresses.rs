//! Counts, for each client address, its sessions and its HTTP connections.
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::http::counted_address;

/// Counts connections per address.
#[derive(Debug)]
pub(in crate::transport) struct Addresses {
    counts: Mutex<HashMap<IpAddr, Count>>,
    limit: u32,
    /// Maximum number of HTTP connections of one address, which leaves room for others.
    http_limit: u32,
}

/// The connections of one address.
#[derive(Debug, Default)]
struct Count {
    sessions: u32,
    http: u32,
}

/// The share of an HTTP connection in its address's count, released when dropped.
#[derive(Debug)]
pub(in crate::transport) struct HttpPlace {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Addresses {
    /// `limit` is the maximum number of connections of one address, `http_limit` that of its HTTP connections; a
    /// `limit` of 0 counts nothing.
    pub(in crate::transport) fn new(limit: u32, http_limit: u32) -> Self {
        Self { counts: Mutex::new(HashMap::new()), limit, http_limit: http_limit.max(1) }
    }

    /// Counts a session; `false` if the address is at its limit. A counted session must be released by
    /// [`Addresses::leave`].
    pub(in crate::transport) fn try_enter(&self, address: Option<IpAddr>) -> bool {
        let Some(address) = address.filter(|_| self.limit > 0) else { return true };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(counted_address(address)).or_default();
        let has_room = count.sessions + count.http < self.limit;
        if has_room {
            count.sessions += 1;
        }
        has_room
    }

    /// Releases a session.
    pub(in crate::transport) fn leave(&self, address: Option<IpAddr>) {
        if let Some(address) = address {
            self.change(address, |count| count.sessions = count.sessions.saturating_sub(1));
        }
    }

    /// Counts an HTTP connection; `Ok(None)` if it need not be counted.
    ///
    /// # Errors
    /// If the address is at its limit.
    pub(in crate::transport) fn try_connect(self: &Arc<Self>, address: IpAddr) -> Result<Option<HttpPlace>, ()> {
        if self.limit == 0 {
            return Ok(None);
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(counted_address(address)).or_default();
        if count.sessions + count.http >= self.limit || count.http >= self.http_limit {
            return Err(());
        }
        count.http += 1;
        Ok(Some(HttpPlace { addresses: self.clone(), address }))
    }

    fn change(&self, address: IpAddr, change: impl FnOnce(&mut Count)) {
        if self.limit == 0 {
            return;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = counts.entry(counted_address(address)) {
            change(entry.get_mut());
            if entry.get().sessions + entry.get().http == 0 {
                entry.remove();
            }
        }
    }
}

impl Drop for HttpPlace {
    fn drop(&mut self) {
        self.addresses.change(self.address, |count| count.http = count.http.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn an_address_has_as_many_places_as_the_limit_says() {
        let addresses = Arc::new(Addresses::new(3, 2));
        assert!(addresses.try_enter(address(1)) && addresses.try_enter(address(1)));
        let place = addresses.try_connect(address(1).unwrap()).unwrap();
        assert!(!addresses.try_enter(address(1)));
        assert!(addresses.try_connect(address(1).unwrap()).is_err());
        assert!(addresses.try_enter(address(2)));
        drop(place);
        assert!(addresses.try_enter(address(1)));
        (0..3).for_each(|_| addresses.leave(address(1)));
        assert_eq!(addresses.counts.lock().unwrap().len(), 1, "nothing is kept of those who left");
        let places: Vec<_> = (0..3).map(|_| addresses.try_connect(address(3).unwrap())).collect();
        assert!(places[1].is_ok() && places[2].is_err(), "one address does not have all connections");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let addresses = Addresses::new(1, 1);
        let parse = |text: &str| text.parse::<IpAddr>().ok();
        assert!(addresses.try_enter(parse("2001:db8:0:1::1")));
        assert!(!addresses.try_enter(parse("2001:db8:0:1:ffff::2")));
        assert!(addresses.try_enter(parse("2001:db8:0:2::1")));
        assert!(addresses.try_enter(address(1)) && !addresses.try_enter(parse("::ffff:192.0.2.1")));
    }

    #[test]
    fn zero_is_no_limit() {
        let addresses = Arc::new(Addresses::new(0, 1));
        assert!(
            (0..10).all(|_| addresses.try_enter(address(1)) && addresses.try_connect(address(1).unwrap()).unwrap().is_none())
        );
        assert!(addresses.counts.lock().unwrap().is_empty());
    }
}
