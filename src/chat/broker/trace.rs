//! Traces of one message: who has it, who lacks it, and what stands in the way.
use super::Broker;
use crate::chat::ports::{MemberTrace, MessageTrace, RoomKey, SessionState, SessionTrace, TraceMessage, Words};
use crate::chat::state::{Places, was_told};
use crate::model::{ConversationId, ConversationKind, UserId};

/// What decides about a session's [`SessionState`].
struct Seen<'a> {
    words: Words,
    places: Option<&'a Places>,
    told_after: u64,
    proven: Option<u64>,
    is_catching_up: bool,
}

impl Broker {
    pub(in crate::chat) fn trace_message(&self, asked: &TraceMessage) -> MessageTrace {
        let TraceMessage { message, conversation, kind, seq, members } = asked;
        let handed = self.conversations.get(conversation).and_then(|cached| cached.handed.find(*seq));
        let serial = handed.map(|handed| handed.serial);
        let of_member = |user: &UserId| MemberTrace {
            has_received: self.has_received(user, *conversation, *seq),
            sessions: self.session_traces(user, *conversation, *kind, serial),
        };
        MessageTrace {
            is_in_flight: self.sends.contains(message),
            handed_at: handed.map(|handed| handed.at),
            members: members.iter().map(of_member).collect(),
        }
    }

    fn session_traces(
        &self,
        user: &UserId,
        conversation: ConversationId,
        kind: ConversationKind,
        serial: Option<u64>,
    ) -> Vec<SessionTrace> {
        let Some(entry) = self.users.get(user) else { return Vec::new() };
        let open = entry.sessions.iter().filter_map(|connection| self.sessions.get(connection)).map(|session| {
            let seen = Seen {
                words: session.words,
                places: session.places.as_deref(),
                told_after: session.told_after,
                proven: Some(session.proven),
                is_catching_up: session.catch_up.is_some(),
            };
            SessionTrace { socket: session.socket, state: seen.state(conversation, kind, serial) }
        });
        let parked = entry.parked.iter().filter_map(|pid| self.sessions.detached(pid)).map(|parked| {
            let seen = Seen {
                words: parked.words,
                places: parked.places.as_deref(),
                told_after: parked.told_after,
                proven: None,
                is_catching_up: false,
            };
            SessionTrace { socket: parked.socket, state: seen.state(conversation, kind, serial) }
        });
        open.chain(parked).collect()
    }
}

impl Seen<'_> {
    fn state(&self, conversation: ConversationId, kind: ConversationKind, serial: Option<u64>) -> SessionState {
        if !self.words.has_word_for(kind) {
            return SessionState::NoWord;
        }
        if self.words.unproven {
            return SessionState::Unproven;
        }
        if self.places.is_some_and(|places| places.muted.contains_key(&conversation)) {
            return SessionState::Muted;
        }
        let Some(proven) = self.proven else { return SessionState::Parked };
        if self.is_catching_up {
            return SessionState::CatchingUp;
        }
        let Some(serial) = serial else { return SessionState::Unknown };
        if !was_told(self.told_after, self.places, &RoomKey::Group(conversation), serial) {
            return SessionState::CameLater;
        }
        if proven >= serial { SessionState::Proven } else { SessionState::Sent }
    }
}
