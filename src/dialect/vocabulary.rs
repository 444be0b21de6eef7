//! The interface of dialects.
use std::fmt;

use super::events::{ClientEvent, ServerEvent};
use super::packets::Packets;
use super::refusal::{error_ack_of, error_packet};
use super::request_error::{RequestError, Wording};
use crate::auth::AuthError;
use crate::chat::{Capabilities, Command, Event, OwnCopy, Reply};
use crate::logging::ErrorId;
use crate::model::{ConversationId, Timestamp, UserId};
use crate::socketio::Args;

/// State of a request that a dialect keeps until the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// Name of the event.
    pub event: &'static str,
    /// JSON from the request that the answer repeats; empty if there is none.
    pub echo: Box<str>,
    /// Time of the answer; before that, time of arrival.
    pub at: Timestamp,
    /// If it was refused: its id in the log, if it has a line there.
    pub error_id: Option<ErrorId>,
    /// Number among the requests that one event makes; 0 but in dialects of files.
    pub part: u8,
}

impl Asked {
    /// Sets the time of the answer.
    #[must_use]
    pub fn answered(self, at: Timestamp) -> Self {
        Self { at, ..self }
    }
}

/// The meaning of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A command for the broker.
    Command {
        /// The command.
        command: Command,
        /// For a send: the copy of the message shown at the sending socket.
        own_copy: OwnCopy,
    },
    /// A new token, not verified yet. Handled as [`Command::RenewToken`]; without an ack, [`Event::Connected`] is the
    /// answer.
    Authenticate {
        /// The token as it came.
        token: String,
    },
    /// Nothing to do: answered at once with [`Reply::Done`].
    Done,
    /// A request for the client's own account: answered at once with [`Reply::Account`].
    OwnAccount,
}

impl Decoded {
    /// Makes a request to leave a conversation: always succeeds, even for an unknown one.
    pub(super) fn leaving(conversation: Result<ConversationId, RequestError>) -> Result<Self, RequestError> {
        match conversation {
            Ok(conversation) => Ok(Command::LeaveConversation { conversation }.into()),
            Err(RequestError::Chat(_)) => Ok(Self::Done),
            Err(request_error) => Err(request_error),
        }
    }
}

impl From<Command> for Decoded {
    fn from(command: Command) -> Self {
        Self::Command { command, own_copy: OwnCopy::None }
    }
}

/// The vocabulary of one front end.
///
/// Each front end implements this in one file; the provided methods cover what most of them share.
pub trait Vocabulary: fmt::Debug + Sync {
    /// Returns its name, as in `DIALECTS` and in pins.
    fn name(&self) -> &'static str;

    /// Returns all events that its clients send.
    fn events(&self) -> &'static [ClientEvent];

    /// Returns all events sent to its clients, apart from those of every dialect; for documentation.
    fn server_events(&self) -> &'static [ServerEvent] {
        &[]
    }

    /// Decodes a request. `asked.event` is one of [`Vocabulary::events`]; `asked.echo` is to be filled in for the
    /// answer, even if the request is refused.
    ///
    /// # Errors
    /// [`RequestError`] if it is malformed, or names something that cannot exist.
    fn decode(&self, asked: &mut Asked, args: &Args) -> Result<Decoded, RequestError>;

    /// Returns the requests that follow from an event, beside the one that [`Vocabulary::decode`] makes of it; without an
    /// event, those that follow from a CONNECT. Nothing but an event answers them.
    fn further(&self, _asked: Option<&Asked>, _args: &Args) -> Vec<(Asked, Result<Decoded, RequestError>)> {
        Vec::new()
    }

    /// Returns whether this dialect is the one to handle an event that several dialects of the connection share.
    /// Otherwise the first in the table does.
    fn takes_precedence(&self, _event: &'static str, _args: &Args) -> bool {
        false
    }

    /// Encodes an event; `None` if the dialect cannot express it.
    fn encode(&self, event: &Event) -> Option<Packets>;

    /// Encodes an event for a client that calls its conversation `name`; `None` if it gets the same packets as
    /// everybody.
    fn encode_named(&self, _event: &Event, _name: &str) -> Option<Packets> {
        None
    }

    /// Returns whether `viewer` is shown an event that [`Vocabulary::encode`] can express.
    fn shows(&self, _event: &Event, _viewer: &UserId, _is_requested: bool) -> bool {
        true
    }

    /// Returns whether a message's own event is the only confirmation of a send that its front end knows.
    fn confirms_by_event(&self) -> bool {
        false
    }

    /// Returns the kinds of events that it can show.
    fn capabilities(&self, is_requested: bool) -> Capabilities;

    /// Encodes the arguments of a success ack.
    fn encode_ack(&self, asked: &Asked, reply: &Reply) -> String;

    /// Encodes the event that answers a success in addition to the ack: a whole Engine.IO text.
    fn encode_reply(&self, _asked: &Asked, _reply: &Reply) -> Option<String> {
        None
    }

    /// Words a refusal.
    fn word(&self, _event: &'static str, request_error: &RequestError) -> Wording {
        request_error.into()
    }

    /// Encodes the arguments of an ack that refuses a request.
    fn encode_refusal_ack(&self, asked: &Asked, request_error: &RequestError) -> String {
        error_ack_of(&self.word(asked.event, request_error), request_error, asked.error_id)
    }

    /// Encodes the packet that refuses a request without an ack: a whole Engine.IO text.
    fn encode_refusal(&self, asked: &Asked, request_error: &RequestError) -> String {
        error_packet(&self.word(asked.event, request_error), Some(asked.event), request_error, asked.error_id)
    }

    /// Encodes a packet that follows the refusal of a request if the dialect is not requested, for a front end that does
    /// not know the refusal; `text` is shown instead of an answer.
    fn encode_apology(&self, _asked: &Asked, _fault: &RequestError, _text: &str) -> Option<String> {
        None
    }

    /// Returns the front end's own sentence for a refused CONNECT.
    fn connect_sentence(&self, _refusal: AuthError) -> Option<&'static str> {
        None
    }
}
