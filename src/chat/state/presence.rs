//! Presence: who is online for others to see, and what of that waits to be sent and stored.
use std::collections::VecDeque;

use super::online::OnlineChanges;
use crate::chat::ports::PresenceChange;
use crate::hash::HashMap;
use crate::model::{Timestamp, UserId};

/// Time for which changes are gathered while they keep coming, in milliseconds.
const WINDOW_MS: i64 = 100;

/// Minimum time between two changes of one user, in milliseconds: a user who comes and goes all the time costs the others one
/// packet a second.
const PER_USER_MS: i64 = 1_000;

/// Changes that wait to be sent, the latest of each user. The first one after a quiet time does not wait.
#[derive(Debug, Default)]
pub(super) struct PresenceWindow {
    order: Vec<UserId>,
    latest: HashMap<UserId, PresenceChange>,
    open_until: Option<Timestamp>,
    /// Users of whom something was sent within the last second, with the time, oldest first.
    notified: VecDeque<(Timestamp, UserId)>,
    notified_at: HashMap<UserId, Timestamp>,
    /// Earliest time at which one of those who wait may be sent, by their own last times.
    first_due: Option<Timestamp>,
}

impl PresenceWindow {
    /// Adds a change. [`PresenceWindow::due`] says when it may be sent.
    pub(super) fn add(&mut self, user: &UserId, change: PresenceChange) {
        // The change that it replaces was sent to nobody: that the user came must not be lost with it.
        let change = change.after(self.latest.get(user));
        if self.latest.insert(user.clone(), change).is_none() {
            self.order.push(user.clone());
        }
        let due = self.due_of(user);
        self.first_due = Some(self.first_due.map_or(due, |first| first.min(due)));
    }

    /// Returns the time from which on a user's change may be sent.
    fn due_of(&self, user: &UserId) -> Timestamp {
        self.notified_at.get(user).map_or(Timestamp::default(), |at| at.plus_millis(PER_USER_MS))
    }

    /// Returns whether others are still to be notified that a user came.
    pub(super) fn is_coming(&self, user: &UserId) -> bool {
        matches!(self.latest.get(user), Some(PresenceChange::Online { came: true, .. }))
    }

    /// Returns the time at which the waiting changes are to be sent; `None` if nothing waits.
    pub(super) fn due(&self, now: Timestamp) -> Option<Timestamp> {
        let first = self.first_due?;
        Some(self.open_until.map_or(now, |until| until.max(now)).max(first))
    }

    /// Takes the changes to send now, in the order of the first change of each user.
    pub(super) fn take(&mut self, now: Timestamp) -> Vec<(UserId, PresenceChange)> {
        if self.open_until.is_some_and(|until| until > now) || self.first_due.is_none_or(|first| first > now) {
            return Vec::new();
        }
        // Forgotten after their second, so that there are no more of them than one second brings.
        while let Some((_, user)) = self.notified.pop_front_if(|(at, _)| at.plus_millis(PER_USER_MS) <= now) {
            self.notified_at.remove(&user);
        }
        // From here on changes are gathered again: many who come together cost the others one packet.
        self.open_until = Some(now.plus_millis(WINDOW_MS));
        let (waiting, due): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.order).into_iter().partition(|user| self.notified_at.contains_key(user));
        // Only their own times hold these back, which end at different moments: the earliest wakes the window.
        self.first_due = waiting.iter().map(|user| self.due_of(user)).min();
        self.order = waiting;
        for user in &due {
            self.notified.push_back((now, user.clone()));
            self.notified_at.insert(user.clone(), now);
        }
        due.into_iter().filter_map(|user| self.latest.remove(&user).map(|change| (user, change))).collect()
    }
}

/// Presence: each user is announced as online once and as gone once.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    window: PresenceWindow,
    /// Users whose last socket was lost, and when they count as offline.
    grace: VecDeque<(Timestamp, UserId)>,
    /// Number of users that others were sent are online.
    online: usize,
    is_narrowed: bool,
    /// Changes that the store is to be sent.
    pub unstored: OnlineChanges,
}

impl Presence {
    /// Number of users that others were sent are online.
    pub(crate) fn online(&self) -> usize {
        self.online
    }

    /// A user is announced as online.
    pub(crate) fn announced(&mut self) {
        self.online += 1;
    }

    /// A user who was announced is gone.
    pub(crate) fn gone(&mut self) {
        self.online = self.online.saturating_sub(1);
    }

    /// Queues a change that others are notified of.
    pub(crate) fn add(&mut self, user: &UserId, change: PresenceChange) {
        self.window.add(user, change);
    }

    /// Returns whether it waits to be notified that a user came.
    pub(crate) fn is_coming(&self, user: &UserId) -> bool {
        self.window.is_coming(user)
    }

    /// Returns the changes that may be sent now.
    pub(crate) fn take(&mut self, now: Timestamp) -> Vec<(UserId, PresenceChange)> {
        self.window.take(now)
    }

    /// A user's last socket was lost: the user counts as offline at that time, unless a socket comes before. All users have the
    /// same time of grace.
    pub(crate) fn begin_grace(&mut self, user: &UserId, until: Timestamp) {
        self.grace.push_back((until, user.clone()));
    }

    /// Takes the next user whose time of grace is over, and when it ended.
    pub(crate) fn take_lapsed(&mut self, now: Timestamp) -> Option<(Timestamp, UserId)> {
        self.grace.pop_front_if(|(until, _)| *until <= now)
    }

    /// Returns whether there will be something to do.
    pub(crate) fn is_waiting(&self) -> bool {
        self.window.first_due.is_some() || !self.grace.is_empty()
    }

    /// Returns when there is something to do: to fan changes out, or to look at somebody's grace.
    pub(crate) fn due(&self, now: Timestamp) -> Option<Timestamp> {
        let grace = self.grace.front().map(|(until, _)| *until);
        self.window.due(now).into_iter().chain(grace).min()
    }

    /// Returns whether more users are online than `max`, and whether that is news.
    pub(crate) fn narrow(&mut self, max: usize) -> (bool, bool) {
        let was_narrowed = self.is_narrowed;
        self.is_narrowed = self.online > max;
        (self.is_narrowed, self.is_narrowed && !was_narrowed)
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
        assert_eq!(window.take(at(100)), [(bob.clone(), gone(&bob, 2))]);
        assert_eq!(window.due(at(200)), Some(at(1_000)), "of one user once a second");
        assert_eq!(window.take(at(999)), []);
        assert_eq!(window.take(at(1_000)), [(ann.clone(), gone(&ann, 3))]);
        assert_eq!(window.due(at(1_001)), None);
        assert_eq!((window.take(at(9_000)), window.notified.len(), window.order.len()), (vec![], 2, 0));
        window.add(&bob, gone(&bob, 9));
        assert_eq!(window.take(at(9_000)), [(bob.clone(), gone(&bob, 9))]);
        assert_eq!(window.notified.len(), 1);
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

    #[test]
    fn who_was_lost_lapses_in_order_and_no_sooner_than_the_grace_ends() {
        let (ann, bob) = (UserId::parse("ann").unwrap(), UserId::parse("bob").unwrap());
        let at = Timestamp::from_millis;
        let mut presence = Presence::default();
        presence.begin_grace(&ann, at(10));
        presence.begin_grace(&bob, at(20));
        assert_eq!((presence.take_lapsed(at(9)), presence.due(at(0))), (None, Some(at(10))));
        assert_eq!(presence.take_lapsed(at(15)), Some((at(10), ann)));
        assert_eq!((presence.take_lapsed(at(15)), presence.due(at(15))), (None, Some(at(20))));
        assert_eq!(presence.take_lapsed(at(20)), Some((at(20), bob)));
        assert_eq!(presence.due(at(20)), None);
    }

    #[test]
    fn it_is_news_once_that_more_are_online_than_everybody_hears_of() {
        let mut presence = Presence::default();
        presence.announced();
        assert_eq!(presence.narrow(1), (false, false));
        presence.announced();
        assert_eq!((presence.narrow(1), presence.narrow(1)), ((true, true), (true, false)));
        presence.gone();
        assert_eq!((presence.narrow(1), presence.online()), ((false, false), 1));
        presence.gone();
        presence.gone();
        assert_eq!(presence.online(), 0, "never below nobody");
    }
}
