//! Events that others are notified of, in no front end's words.
use std::sync::Arc;

use super::error::ChatError;
use crate::logging::ErrorId;
use crate::model::{
    ChosenStatus, Conversation, ConversationId, ConversationKind, Message, MessageId, Notification, Profile, SocketId, Timestamp,
    UserId,
};

/// One user's presence changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PresenceChange {
    /// Came, or chose a status.
    Online {
        /// User who is online.
        user: Arc<Profile>,
        /// Status that they chose; never `Offline` for others' eyes.
        status: ChosenStatus,
        /// Set if they came: those who hear of it saw them offline before, if at all.
        came: bool,
    },
    /// Went, or appears to have gone.
    Offline {
        /// User who is offline.
        user: UserId,
        /// Time at which the last socket closed.
        last_seen: Timestamp,
    },
}

impl PresenceChange {
    /// This change, for those who were not notified of the `earlier` one.
    #[must_use]
    pub fn after(mut self, earlier: Option<&Self>) -> Self {
        if let (Self::Online { came, .. }, Some(Self::Online { came: true, .. })) = (&mut self, earlier) {
            *came = true;
        }
        self
    }
}

/// Something that happened and that connections are notified of.
#[expect(missing_docs, reason = "a variant's comment explains its fields")]
#[derive(Debug, Clone)]
pub enum Event {
    /// The first event after the handshake; for one socket. A guest is given a token for its next CONNECT.
    Connected { user: UserId, socket: SocketId, token: Option<Box<str>> },
    /// A message in a conversation.
    Message {
        /// As of now.
        message: Arc<Message>,
        /// Of its conversation.
        kind: ConversationKind,
        /// Of a direct conversation: who it is for.
        recipient: Option<Arc<Profile>>,
    },
    /// A message in a public room or the common chat.
    RoomMessage {
        /// As of now.
        message: Arc<Message>,
        /// The room's id as the sender wrote it, as JSON; empty for the common chat.
        shown_as: Box<str>,
    },
    /// A message has new content.
    MessageUpdated { message: Arc<Message>, kind: ConversationKind, recipient: Option<Arc<Profile>> },
    /// A message is gone.
    MessageDeleted { message: MessageId, conversation: ConversationId, kind: ConversationKind, deleted_at: Timestamp },
    /// A message was confirmed received; for its sender.
    Delivered {
        message: MessageId,
        conversation: ConversationId,
        /// By these.
        users: Vec<UserId>,
        delivered_at: Timestamp,
        client_message_id: Option<String>,
        /// Set if they had it before the send was answered.
        at_once: bool,
    },
    /// A message was read; for its sender, and for the other devices of who read it.
    Read { message: MessageId, conversation: ConversationId, user: UserId, read_at: Timestamp },
    /// A piece of an answer that the model is still giving; for the socket that asked for pieces.
    AnswerPiece {
        /// Name of the chat in its question, as JSON.
        chat: Arc<str>,
        /// Text that was added.
        delta: String,
        /// Set if nothing more is added.
        done: bool,
    },
    /// A question got no answer; it stays stored.
    AnswerFailed {
        /// Name of the chat in the question, as JSON.
        chat: Arc<str>,
        /// Reason for which there is no answer.
        error: ChatError,
        /// Its id in the log, if it has a line there.
        error_id: Option<ErrorId>,
    },
    /// Text to show instead of an answer, for front ends that know no failure. Comes with every `AnswerFailed`.
    Apology {
        /// Name of the chat in the question, as JSON.
        chat: Arc<str>,
        /// The words.
        text: Arc<str>,
        /// The failure's code.
        code: &'static str,
    },
    /// Typing began or ended. Volatile.
    Typing { user: Arc<Profile>, conversation: ConversationId, active: bool },
    /// Users who came and went. Volatile.
    Presence(Vec<PresenceChange>),
    /// A notification was made or renewed; for its user.
    Notification(Arc<Notification>),
    /// A conversation was made, or its name, picture, administrator or members changed.
    ConversationChanged(Arc<Conversation>),
    /// A conversation is gone, or one is no longer a member of it.
    ConversationDeleted { conversation: ConversationId },
    /// Event that another server emits, in its own words.
    Emitted(Emitted),
    /// A member opened a group (`true`) or left it on one of its sockets.
    GroupOpened { user: Arc<Profile>, conversation: ConversationId, opened: bool },
}

impl Event {
    /// Returns whether it may be dropped for a slow reader; such events are state, the latest counts.
    pub fn is_volatile(&self) -> bool {
        matches!(self, Self::Typing { .. } | Self::Presence(_))
    }
}

/// Returns the event of a message that was edited or deleted; `recipient` of a conversation of two.
pub(crate) fn change_event(
    message: Arc<Message>,
    conversation: ConversationId,
    kind: ConversationKind,
    recipient: Option<Arc<Profile>>,
) -> Event {
    match message.deleted_at {
        Some(deleted_at) => Event::MessageDeleted { message: message.id, conversation, kind, deleted_at },
        None => Event::MessageUpdated { message, kind, recipient },
    }
}

/// An event as another server words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// Its name; none that Socket.IO keeps for itself.
    pub name: Box<str>,
    /// Its arguments, as JSON joined by commas; `None`: it has none.
    pub data: Option<Box<str>>,
}
