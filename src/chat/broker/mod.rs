//! The broker: a value that is given its context, and what each of its steps begins and ends with.
mod accounts;
mod admin_actions;
mod admission;
mod aliases;
mod answers;
mod assistant;
mod cache;
mod catch_up;
mod clock;
mod commands;
mod commits;
mod connect;
mod conversations;
mod delivery;
mod detached;
mod disconnect;
mod drain;
mod edits;
mod emit;
mod fan_out;
mod hooks;
mod inspect;
mod leftovers;
mod mailbox;
mod membership;
mod notifications;
mod pairs;
mod presence;
mod questions;
mod reads;
mod receipts;
mod replies;
mod requests;
mod resume;
mod rooms;
mod send;
mod step;
mod subscriptions;
mod targets;
mod titles;
mod trace;
mod typing;
mod verdicts;
mod watch;

use crate::auth::Revocations;
use crate::chat::outside::Outside;
use crate::chat::ports::{ChatError, Options};
use crate::chat::state::{
    AfterCommit, Commits, Conversations, Due, Leftovers, Observers, Presence, Questions, ReplayLog, Rooms, Sends, Sessions,
    Typing, Users, Work,
};
use crate::model::Timestamp;
use crate::store::{Start, Write};

/// State of the chat: users, sessions, rooms, and the rules for all that clients ask for. It does no I/O: all that it wants
/// of the world goes through its [`Outside`].
pub(super) struct Broker {
    options: Options,
    outside: Box<dyn Outside>,
    pub(super) users: Users,
    pub(super) sessions: Sessions,
    pub(super) rooms: Rooms,
    conversations: Conversations,
    sends: Sends,
    commits: Commits,
    replay: ReplayLog,
    /// Requests whose connections have ended.
    leftovers: Leftovers,
    typing: Typing,
    presence: Presence,
    due: Due,
    pub(super) questions: Questions,
    pub(super) work: Work,
    pub(super) observers: Observers,
}

impl Broker {
    /// A broker that nobody has connected to. `revocations` are those that were stored.
    pub(super) fn new(
        options: Options,
        outside: Box<dyn Outside>,
        last_position: i64,
        starts: &[Start],
        revocations: Revocations,
    ) -> Self {
        Self {
            replay: ReplayLog::new(options.ring_limits(), options.state_limits(), starts, last_position),
            options,
            outside,
            users: Users::new(revocations),
            sessions: Sessions::default(),
            rooms: Rooms::default(),
            conversations: Conversations::default(),
            sends: Sends::new(last_position),
            commits: Commits::default(),
            leftovers: Leftovers::default(),
            typing: Typing::default(),
            presence: Presence::default(),
            due: Due::default(),
            questions: Questions::default(),
            work: Work::default(),
            observers: Observers::default(),
        }
    }

    pub(super) fn now(&mut self) -> Timestamp {
        self.outside.now()
    }

    pub(super) fn new_id(&mut self) -> uuid::Uuid {
        self.outside.new_id()
    }

    /// Gives a change to the store; `after` says what follows from its commit.
    ///
    /// # Errors
    /// [`ChatError::StorageUnavailable`] where there is no room; nothing has happened then.
    pub(super) fn store(&mut self, write: Write, after: AfterCommit) -> Result<(), ChatError> {
        self.store_or_return(write, after).map_err(|refused| refused.0)
    }

    /// [`Broker::store`], which returns what was to follow where there is no room.
    pub(super) fn store_or_return(&mut self, write: Write, after: AfterCommit) -> Result<(), Box<(ChatError, AfterCommit)>> {
        let tag = self.commits.new_tag();
        if let Err(error) = self.outside.commit(write, tag) {
            return Err(Box::new((error.into(), after)));
        }
        self.commits.expect(tag, after);
        Ok(())
    }
}
