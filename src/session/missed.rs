//! Presence and typing events dropped for a slow reader: the latest state is sent once its outbox is empty.
use std::sync::Arc;

use crate::chat::{Event, PresenceChange};
use crate::hash::HashMap;
use crate::model::{ChosenStatus, ConversationId, Profile, UserId};

/// Maximum number of users whose presence, and typing, is remembered for one socket.
const MAX_ENTRIES: usize = 10_000;

#[derive(Debug)]
struct Presence {
    /// State sent before the first dropped event: online with this status; `None` if unknown.
    sent: Option<ChosenStatus>,
    latest: PresenceChange,
}

#[derive(Debug)]
struct Typing {
    user: Arc<Profile>,
    sent: bool,
    latest: bool,
}

/// State that was dropped.
#[derive(Debug, Default)]
pub(super) struct Missed {
    presence: HashMap<UserId, Presence>,
    typing: HashMap<(UserId, ConversationId), Typing>,
}

impl Missed {
    /// Returns whether nothing was dropped.
    pub(super) fn is_empty(&self) -> bool {
        self.presence.is_empty() && self.typing.is_empty()
    }

    /// Remembers a volatile event that was dropped, or that would overtake a dropped one.
    pub(super) fn add(&mut self, event: &Event) {
        match event {
            Event::Presence(changes) => changes.iter().for_each(|change| self.add_presence(change)),
            Event::Typing { user, conversation, active } => {
                let key = (user.id.clone(), *conversation);
                if self.typing.len() < MAX_ENTRIES || self.typing.contains_key(&key) {
                    let sent = !active;
                    self.typing.entry(key).or_insert(Typing { user: Arc::clone(user), sent, latest: sent }).latest = *active;
                }
            }
            _ => {}
        }
    }

    fn add_presence(&mut self, change: &PresenceChange) {
        let (user, status) = match change {
            PresenceChange::Online { user, status, .. } => (&user.id, Some(*status)),
            PresenceChange::Offline { user, last_seen: _ } => (user, None),
        };
        if let Some(missed) = self.presence.get_mut(user) {
            missed.latest = change.clone().after(Some(&missed.latest));
        } else if self.presence.len() < MAX_ENTRIES {
            // A user who goes offline was shown as online. A status other than the default is sent again to be safe.
            let sent = if status.is_none() { Some(ChosenStatus::Online) } else { None };
            self.presence.insert(user.clone(), Presence { sent, latest: change.clone() });
        }
    }

    /// Returns the latest states that differ from those sent before.
    pub(super) fn take(&mut self) -> Vec<Event> {
        let Self { presence, typing } = std::mem::take(self);
        let changes: Vec<_> = presence
            .into_values()
            .filter(|missed| match &missed.latest {
                PresenceChange::Online { status, .. } => missed.sent != Some(*status),
                PresenceChange::Offline { .. } => true,
            })
            .map(|missed| missed.latest)
            .collect();
        let typing = typing
            .into_iter()
            .filter(|(_, typing)| typing.sent != typing.latest)
            .map(|((_, conversation), typing)| Event::Typing { user: typing.user, conversation, active: typing.latest });
        (!changes.is_empty()).then_some(Event::Presence(changes)).into_iter().chain(typing).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::fixtures::{conversation, profile, user};
    use crate::model::Timestamp;

    fn online(id: &str, status: ChosenStatus) -> Event {
        Event::Presence(vec![PresenceChange::Online { user: profile(id), status, came: false }])
    }

    fn came(id: &str, status: ChosenStatus) -> Event {
        Event::Presence(vec![PresenceChange::Online { user: profile(id), status, came: true }])
    }

    fn offline(id: &str) -> Event {
        Event::Presence(vec![PresenceChange::Offline { user: user(id), last_seen: Timestamp::default() }])
    }

    fn typing(active: bool) -> Event {
        Event::Typing { user: profile("ann"), conversation: conversation(), active }
    }

    #[test]
    fn the_latest_state_is_shown_where_it_differs() {
        use ChosenStatus::{Away, Busy, Online};
        for (dropped, expected) in [
            (vec![offline("ann")], vec![offline("ann")]),
            (vec![online("ann", Online)], vec![online("ann", Online)]),
            (vec![offline("ann"), online("ann", Online)], vec![]),
            (vec![offline("ann"), online("ann", Away)], vec![online("ann", Away)]),
            (vec![online("ann", Online), offline("ann")], vec![offline("ann")]),
            (vec![came("ann", Online), online("ann", Away)], vec![came("ann", Away)]),
            (vec![offline("ann"), came("ann", Busy), online("ann", Away)], vec![came("ann", Away)]),
            (vec![typing(true)], vec![typing(true)]),
            (vec![typing(true), typing(false)], vec![]),
            (vec![typing(false), typing(true), typing(false)], vec![typing(false)]),
        ] {
            let mut missed = Missed::default();
            dropped.iter().for_each(|event| missed.add(event));
            assert_eq!(format!("{:?}", missed.take()), format!("{expected:?}"), "{dropped:?}");
            assert!(missed.is_empty());
        }
    }
}
