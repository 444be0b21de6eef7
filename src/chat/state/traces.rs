//! Traces of how users came and went lately: they tell why somebody gets nothing.

use crate::chat::ports::Trace;
use crate::hash::HashMap;
use crate::model::UserId;

/// Number of users whose traces are remembered at least; at most there are twice as many.
const USERS: usize = 5_000;

/// The traces of users, the latest first to be kept.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    young: HashMap<UserId, Trace>,
    old: HashMap<UserId, Trace>,
}

impl Traces {
    /// Returns the trace of a user; empty for one who was not here lately.
    pub(crate) fn of(&self, user: &UserId) -> Trace {
        self.find(user).cloned().unwrap_or_default()
    }

    /// The same, where anything is.
    pub(crate) fn find(&self, user: &UserId) -> Option<&Trace> {
        self.young.get(user).or_else(|| self.old.get(user))
    }

    /// Something happened to a user.
    pub(crate) fn note(&mut self, user: &UserId, change: impl FnOnce(&mut Trace)) {
        if let Some(trace) = self.young.get_mut(user) {
            return change(trace);
        }
        if self.young.len() >= USERS {
            self.old = std::mem::take(&mut self.young);
        }
        let mut trace = self.old.remove(user).unwrap_or_default();
        change(&mut trace);
        self.young.insert(user.clone(), trace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ports::RefusedConnect;
    use crate::model::Timestamp;

    #[test]
    fn the_latest_users_are_remembered_and_no_more_than_twice_as_many() {
        let mut traces = Traces::default();
        let user = |number: usize| UserId::parse(&format!("u{number}")).unwrap();
        let note = |traces: &mut Traces, number: usize| {
            traces.note(&user(number), |trace| trace.incidents_mut().limited = Some((number as u64, Timestamp::from_millis(1))));
        };
        note(&mut traces, 0);
        (1..3 * USERS).for_each(|number| note(&mut traces, number));
        assert_eq!(traces.of(&user(0)), Trace::default());
        assert!(traces.young.len() + traces.old.len() <= 2 * USERS);
        assert_eq!(traces.of(&user(2 * USERS)).incidents().limited.map(|(count, _)| count), Some(2 * USERS as u64));
        // One who was here before keeps what is known.
        traces.note(&user(2 * USERS), |trace| {
            trace.incidents_mut().refused = Some((Timestamp::from_millis(2), RefusedConnect::TokenExpired))
        });
        assert!(traces.of(&user(2 * USERS)).incidents().limited.is_some());
    }
}
