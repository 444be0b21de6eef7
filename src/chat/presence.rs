//! Gathering of presence changes, so that many at once cost their readers one packet.
use hashbrown::HashMap;

use super::event::PresenceChange;
use crate::model::{Timestamp, UserId};

/// How long changes are gathered while they keep coming.
const WINDOW_MS: i64 = 100;

/// Changes that wait to be told, the latest of each user. The first one after a quiet time does not wait.
#[derive(Debug, Default)]
pub struct PresenceWindow {
    order: Vec<UserId>,
    latest: HashMap<UserId, PresenceChange>,
    open_until: Option<Timestamp>,
}

impl PresenceWindow {
    /// Adds a change. [`PresenceWindow::due`] says when it may be told.
    pub fn add(&mut self, user: &UserId, change: PresenceChange) {
        let change = change.after(self.latest.get(user));
        if self.latest.insert(user.clone(), change).is_none() {
            self.order.push(user.clone());
        }
    }

    /// Whether it waits to be told that a user came.
    pub fn is_coming(&self, user: &UserId) -> bool {
        matches!(self.latest.get(user), Some(PresenceChange::Online { came: true, .. }))
    }

    /// When the waiting changes are to be told; `None` where nothing waits.
    pub fn due(&self, now: Timestamp) -> Option<Timestamp> {
        if self.order.is_empty() { None } else { Some(self.open_until.map_or(now, |until| until.max(now))) }
    }

    /// What is to be told now, in the order of the first change of each user.
    pub fn take(&mut self, now: Timestamp) -> Vec<(UserId, PresenceChange)> {
        if self.open_until.is_some_and(|until| until > now) || self.order.is_empty() {
            return Vec::new();
        }
        self.open_until = Some(now.plus_millis(WINDOW_MS));
        let order = std::mem::take(&mut self.order);
        let mut latest = std::mem::take(&mut self.latest);
        order.into_iter().filter_map(|user| latest.remove(&user).map(|change| (user, change))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{ChosenStatus, Profile, UserRole};

    #[test]
    fn the_first_goes_at_once_and_the_rest_of_the_window_together() {
        let mut window = PresenceWindow::default();
        let (ann, bob) = (UserId::parse("ann").unwrap(), UserId::parse("bob").unwrap());
        let gone = |user: &UserId, at| PresenceChange::Offline { user: user.clone(), last_seen: Timestamp::from_millis(at) };
        let at = Timestamp::from_millis;
        window.add(&ann, gone(&ann, 0));
        assert_eq!(window.take(at(0)).len(), 1);
        window.add(&ann, gone(&ann, 1));
        window.add(&bob, gone(&bob, 2));
        window.add(&ann, gone(&ann, 3));
        assert_eq!(window.take(at(50)), []);
        assert_eq!(window.due(at(50)), Some(at(100)));
        assert_eq!(window.take(at(100)), [(ann.clone(), gone(&ann, 3)), (bob.clone(), gone(&bob, 2))]);
        assert_eq!(window.due(at(1_000)), None);
    }

    #[test]
    fn who_came_and_chose_a_status_came() {
        let ann = UserId::parse("ann").unwrap();
        let profile = Arc::new(Profile {
            id: ann.clone(),
            username: "Ann".to_owned(),
            full_name: None,
            avatar: None,
            email: None,
            role: UserRole::User,
        });
        let online = |status, came| PresenceChange::Online { user: profile.clone(), status, came };
        let mut window = PresenceWindow::default();
        window.add(&ann, online(ChosenStatus::Online, true));
        window.add(&ann, online(ChosenStatus::Away, false));
        assert_eq!(window.take(Timestamp::from_millis(0)), [(ann.clone(), online(ChosenStatus::Away, true))]);
    }
}
