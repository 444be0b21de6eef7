//! Questions to the operator's hook before something takes effect, and its answers.
use std::sync::Arc;

use actix::{Message, Recipient};
use tokio::sync::oneshot;

use super::connection::ClientDialects;
use super::refusal::HookRefusal;
use crate::auth::Claims;
use crate::config::HookEvent;
use crate::model::{File, Message as ChatMessage, MessageId, Profile, SocketId, UserId};

/// Maximum number of participants that a hook is shown of a conversation.
pub(crate) const PARTICIPANTS_SHOWN_MAX: usize = 100;

/// Asks the operator's hook. Answered by [`HookSaid`] under the same ticket, whatever happens.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct AskHook {
    /// The broker's number for it.
    pub ticket: u64,
    /// Question to ask.
    pub question: Box<HookQuestion>,
    /// Receiver of the answer.
    pub answers: Recipient<HookSaid>,
}

/// The operator's hook, or what stands for it, answers an [`AskHook`].
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct HookSaid {
    /// The question's.
    pub ticket: u64,
    /// Its answer.
    pub verdict: HookVerdict,
}

/// Answer of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookVerdict {
    /// It may happen; with a text in place of the message's, if one is given.
    Allowed {
        /// The other text.
        content: Option<String>,
    },
    /// It may not.
    Refused(Box<HookRefusal>),
    /// There is no usable answer, and `HOOK_FAILURE` is `refuse`.
    Failed,
}

/// Asks the operator's hook whether a file that was uploaded is to be kept.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct AskUpload {
    /// User who uploads it.
    pub user: Arc<Profile>,
    /// The file.
    pub file: File,
    /// Receiver of the answer.
    pub answer: oneshot::Sender<HookVerdict>,
}

/// Answer of a hook about a client that wants to come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectVerdict {
    /// Its token decides.
    Allowed,
    /// It is this user, whatever its token says.
    Named(Box<Claims>),
    /// It may not come in.
    Refused(Box<HookRefusal>),
    /// There is no usable answer, and `HOOK_FAILURE` is `refuse`.
    Failed,
}

/// Question about a request of a user.
#[derive(Debug, Clone)]
pub struct HookQuestion {
    /// User who asks for it.
    pub user: Arc<Profile>,
    /// Socket that asks for it, and the dialects of its client; `None`: it is asked for over HTTP.
    pub socket: Option<(SocketId, ClientDialects)>,
    /// Subject of the request.
    pub subject: HookSubject,
}

/// Subject of a question.
#[expect(missing_docs, reason = "a variant's comment explains its fields")]
#[derive(Debug, Clone)]
pub enum HookSubject {
    /// A message is to be sent.
    Send { place: HookPlace, message: HookMessage },
    /// A message is to have another text.
    Edit { place: HookPlace, message: Arc<ChatMessage>, content: String },
    /// A message is to be deleted.
    Delete { place: HookPlace, message: Arc<ChatMessage> },
    /// A public room or the common chat is to be entered.
    Join { place: HookPlace },
}

impl HookSubject {
    /// Returns the kind of the request.
    pub fn event(&self) -> HookEvent {
        match self {
            Self::Send { .. } => HookEvent::Send,
            Self::Edit { .. } => HookEvent::Edit,
            Self::Delete { .. } => HookEvent::Delete,
            Self::Join { .. } => HookEvent::Join,
        }
    }
}

/// Conversation or room that a question is about.
#[derive(Debug, Clone)]
pub struct HookPlace {
    /// Its id; `None` for the common chat, and for a conversation that the message makes.
    pub id: Option<String>,
    /// `direct`, `group`, `ai`, `room` or `common_chat`.
    pub kind: &'static str,
    /// Members of a conversation, the first `PARTICIPANTS_SHOWN_MAX`; a room shows none.
    pub participants: Vec<UserId>,
    /// Number of all members.
    pub participant_count: usize,
}

/// Message that is to be sent.
#[derive(Debug, Clone)]
pub struct HookMessage {
    /// Id that it will have.
    pub id: MessageId,
    /// Its text.
    pub content: String,
    /// `text`, `image`, …
    pub message_type: String,
    /// Its file.
    pub file: Option<File>,
    /// Its further files.
    pub attachments: Vec<File>,
    /// The sender's own name for it.
    pub client_message_id: Option<String>,
}
