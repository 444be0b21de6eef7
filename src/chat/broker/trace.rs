//! Traces of one message: who has it, who lacks it, and what stands in the way.
use super::Broker;
use crate::chat::ports::{Capabilities, MemberTrace, MessageTrace, RoomKey, SessionState, SessionTrace, TraceMessage};
use crate::chat::state::{Subscriptions, was_notified};
use crate::model::{ConversationId, ConversationKind, UserId};

/// Facts that decide about a session's [`SessionState`].
struct Seen<'a> {
    capabilities: Capabilities,
    subscriptions: Option<&'a Subscriptions>,
    receives_after: u64,
    confirmed: Option<u64>,
    is_catching_up: bool,
}

impl Broker {
    pub(in crate::chat) fn trace_message(&self, asked: &TraceMessage) -> MessageTrace {
        let TraceMessage { message, conversation, kind, seq, members } = asked;
        let dispatched = self.conversations.get(conversation).and_then(|cached| cached.dispatched.find(*seq));
        let event_seq = dispatched.map(|dispatched| dispatched.event_seq);
        let of_member = |user: &UserId| MemberTrace {
            has_received: self.has_received(user, *conversation, *seq),
            sessions: self.session_traces(user, *conversation, *kind, event_seq),
        };
        MessageTrace {
            is_in_flight: self.sends.contains(message),
            dispatched_at: dispatched.map(|dispatched| dispatched.at),
            members: members.iter().map(of_member).collect(),
        }
    }

    fn session_traces(
        &self,
        user: &UserId,
        conversation: ConversationId,
        kind: ConversationKind,
        event_seq: Option<u64>,
    ) -> Vec<SessionTrace> {
        let Some(entry) = self.users.get(user) else { return Vec::new() };
        let open = entry.sessions.iter().filter_map(|connection| self.sessions.get(connection)).map(|session| {
            let seen = Seen {
                capabilities: session.capabilities,
                subscriptions: session.subscriptions.as_deref(),
                receives_after: session.progress.receives_after,
                confirmed: Some(session.progress.confirmed),
                is_catching_up: session.catch_up.is_some(),
            };
            SessionTrace { socket: session.socket, state: seen.state(conversation, kind, event_seq) }
        });
        let detached = entry.detached.iter().filter_map(|pid| self.sessions.detached(pid)).map(|detached| {
            let seen = Seen {
                capabilities: detached.capabilities,
                subscriptions: detached.subscriptions.as_deref(),
                receives_after: detached.receives_after,
                confirmed: None,
                is_catching_up: false,
            };
            SessionTrace { socket: detached.socket, state: seen.state(conversation, kind, event_seq) }
        });
        open.chain(detached).collect()
    }
}

impl Seen<'_> {
    fn state(&self, conversation: ConversationId, kind: ConversationKind, event_seq: Option<u64>) -> SessionState {
        if !self.capabilities.can_show(kind) {
            return SessionState::NoWord;
        }
        if self.capabilities.unconfirmed {
            return SessionState::Unconfirmed;
        }
        if self.subscriptions.is_some_and(|subscriptions| subscriptions.muted.contains_key(&conversation)) {
            return SessionState::Muted;
        }
        let Some(confirmed) = self.confirmed else { return SessionState::Detached };
        if self.is_catching_up {
            return SessionState::CatchingUp;
        }
        let Some(event_seq) = event_seq else { return SessionState::Unknown };
        if !was_notified(self.receives_after, self.subscriptions, &RoomKey::Group(conversation), event_seq) {
            return SessionState::CameLater;
        }
        if confirmed >= event_seq { SessionState::Confirmed } else { SessionState::Sent }
    }
}
