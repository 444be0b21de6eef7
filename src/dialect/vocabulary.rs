//! The parts of a dialect.
use std::fmt;

use super::events::{Entry, Told};
use super::fault::{Fault, Wording};
use super::packets::Packets;
use super::refusal::{error_packet, fault_ack_of};
use crate::auth::Refusal;
use crate::chat::{Command, Event, OwnCopy, Reply, Words};
use crate::logging::ErrorId;
use crate::model::{ConversationId, Timestamp, UserId};
use crate::socketio::Args;

/// The part of a request that a dialect keeps until it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// The event's name.
    pub event: &'static str,
    /// JSON of the request that the answer repeats; empty where there is none.
    pub echo: Box<str>,
    /// When it is answered; before that, when it came.
    pub at: Timestamp,
    /// Where it is refused: its id in the log, if it has a line there.
    pub error_id: Option<ErrorId>,
}

impl Asked {
    /// The same, answered at this time.
    #[must_use]
    pub fn answered(self, at: Timestamp) -> Self {
        Self { at, ..self }
    }
}

/// The meaning of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// The broker is asked.
    Command {
        /// The request to the broker.
        command: Command,
        /// The part of a send that the sending socket is shown.
        own_copy: OwnCopy,
    },
    /// The client shows another token, which is not verified yet. Then as [`Command::RenewToken`]; where no ack was asked
    /// for, [`Event::Connected`] is the answer.
    Authenticate {
        /// As it came.
        token: String,
    },
    /// There is nothing to do: it is answered at once, as with [`Reply::Done`].
    Done,
    /// It asks who the client is: answered at once, with [`Reply::Account`].
    OwnAccount,
}

impl Decoded {
    /// A request to leave a conversation: it always succeeds, also for what does not exist.
    pub(super) fn leaving(conversation: Result<ConversationId, Fault>) -> Result<Self, Fault> {
        match conversation {
            Ok(conversation) => Ok(Command::LeaveConversation { conversation }.into()),
            Err(Fault::Chat(_)) => Ok(Self::Done),
            Err(fault) => Err(fault),
        }
    }
}

impl From<Command> for Decoded {
    fn from(command: Command) -> Self {
        Self::Command { command, own_copy: OwnCopy::None }
    }
}

/// One front end's vocabulary.
///
/// A file per front end implements this; what most of them have in common stands here.
pub trait Vocabulary: fmt::Debug + Sync {
    /// Its name, as in `DIALECTS` and in a pin.
    fn name(&self) -> &'static str;

    /// All events that its clients send.
    fn events(&self) -> &'static [Entry];

    /// All events that its clients are told, beside those that every dialect has; for documents.
    fn told(&self) -> &'static [Told] {
        &[]
    }

    /// Understands a request. `asked.event` is one of [`Vocabulary::events`]; `asked.echo` is for the answer's sake
    /// and is filled here, for refusals too.
    ///
    /// # Errors
    /// [`Fault`] if it is malformed, or names what cannot exist.
    fn decode(&self, asked: &mut Asked, args: &Args) -> Result<Decoded, Fault>;

    /// Tells of an event that several spoken dialects share whether this one carries it out. Else the first in the table does.
    fn takes_precedence(&self, _event: &'static str, _args: &Args) -> bool {
        false
    }

    /// The packets that show an event; `None` where there is no word for it.
    fn encode(&self, event: &Event) -> Option<Packets>;

    /// The packets that show an event to one who calls its conversation `name`; `None`: those that everybody gets.
    fn encode_named(&self, _event: &Event, _name: &str) -> Option<Packets> {
        None
    }

    /// Tells whether `viewer` is shown an event that [`Vocabulary::encode`] has words for.
    fn shows(&self, _event: &Event, _viewer: &UserId, _is_pinned: bool) -> bool {
        true
    }

    /// Tells whether the event of a message at the socket that sends it is the only confirmation that its front end knows.
    fn confirms_by_event(&self) -> bool {
        false
    }

    /// Returns what its words can show.
    fn words(&self, is_pinned: bool) -> Words;

    /// The arguments of a success ack.
    fn encode_ack(&self, asked: &Asked, reply: &Reply) -> String;

    /// The event that answers a success, beside the ack: a whole Engine.IO text.
    fn encode_reply(&self, _asked: &Asked, _reply: &Reply) -> Option<String> {
        None
    }

    /// Words a refusal.
    fn word(&self, _event: &'static str, fault: &Fault) -> Wording {
        fault.into()
    }

    /// The arguments of the ack that refuses a request.
    fn encode_refusal_ack(&self, asked: &Asked, fault: &Fault) -> String {
        fault_ack_of(&self.word(asked.event, fault), fault, asked.error_id)
    }

    /// The packet that refuses a request without an ack id: a whole Engine.IO text.
    fn encode_refusal(&self, asked: &Asked, fault: &Fault) -> String {
        error_packet(&self.word(asked.event, fault), Some(asked.event), fault, asked.error_id)
    }

    /// Encodes what follows the packet that refuses a request where the dialect is not pinned, for a front end that does not know
    /// that packet; `text` is what to show instead of an answer.
    fn encode_apology(&self, _asked: &Asked, _fault: &Fault, _text: &str) -> Option<String> {
        None
    }

    /// Its front end's own sentence for a refused CONNECT.
    fn connect_sentence(&self, _refusal: Refusal) -> Option<&'static str> {
        None
    }
}
