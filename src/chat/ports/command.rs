//! Commands: the requests of clients, in no front end's words.
use super::event::Emitted;
use crate::auth::Claims;
use crate::model::{ChosenStatus, ConversationId, ListingId, MessageId, Place, RoomId, UserId};

/// A message that somebody wants to send.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Draft {
    /// The text.
    pub content: String,
    /// `text`, `image`, …; absent: the file's, else `text`.
    pub message_type: Option<String>,
    /// URL of an upload of the sender.
    pub file_url: Option<String>,
    /// URLs of uploads of the sender, at most 20.
    pub attachment_urls: Vec<String>,
    /// The listing it is about.
    pub listing_id: Option<ListingId>,
    /// The sender's own name for it: a repeat is the same message.
    pub client_message_id: Option<String>,
}

/// Place that a message is to go to.
#[expect(missing_docs, reason = "a variant's comment explains its fields")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendTo {
    /// A user; the direct conversation is found or made. To the model: one's own chat of its name.
    User(UserId),
    /// A conversation of one's own.
    Conversation(ConversationId),
    /// Conversation that the sender calls so: by its id, or by an alias of the sender's own. A text that means nothing yet
    /// becomes the sender's alias for the direct conversation with `recipient`.
    Named { name: String, recipient: Option<UserId> },
    /// A public room; one need not be in it. `shown_as` is the room's id as it came, as JSON.
    Room { room: RoomId, shown_as: Box<str> },
    /// The common chat.
    CommonChat,
    /// A chat with the model, made at its first use: the model answers.
    Model {
        /// The sender's own name for the chat, or its id.
        chat: String,
        /// Name of the chat in the answer, as JSON.
        shown_as: Box<str>,
        /// Asks for the answer piece by piece.
        stream: bool,
    },
}

/// A request of a confirmed user. Shapes and lengths are already checked.
#[expect(missing_docs, reason = "a variant's comment explains its fields")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Send a message. Answered by `Reply::Sent`; a question to the model once it is stored.
    Send { to: SendTo, draft: Draft },
    /// Store a receipt. Answered by `Reply::Done`.
    MarkRead { message: MessageId },
    /// Open a conversation on this socket and end its mute; `groups_only` refuses all but groups. Answered by `Reply::Done`.
    OpenConversation { conversation: ConversationId, groups_only: bool },
    /// Mute a group on this socket. Never fails. Answered by `Reply::Done`.
    LeaveConversation { conversation: ConversationId },
    /// Typing began or ended. Answered by `Reply::Done`.
    Typing { conversation: ConversationId, active: bool },
    /// Enter a public room. Answered by `Reply::Done`.
    JoinRoom { room: RoomId },
    /// Leave a public room. Answered by `Reply::Done`.
    LeaveRoom { room: RoomId },
    /// Enter the common chat. Answered by `Reply::Done`.
    JoinCommonChat,
    /// Leave the common chat. Answered by `Reply::Done`.
    LeaveCommonChat,
    /// Choose one's presence. Answered by `Reply::Done`.
    SetStatus { status: ChosenStatus },
    /// Stay in by another token, which is verified. Answered by `Reply::Renewed`.
    RenewToken { claims: Box<Claims> },
    /// Edit one's own message. Answered by `Reply::Message`.
    EditMessage { message: MessageId, content: String },
    /// Delete one's own message, or an answer of the model in one's own chat. Answered by `Reply::Message`.
    DeleteMessage { message: MessageId },
    /// Make a group; the requester is its administrator and a member. Answered by `Reply::Conversation`.
    CreateGroup { name: String, avatar: Option<String>, participants: Vec<UserId> },
    /// Find or make the direct conversation with a user. Answered by `Reply::Conversation`.
    CreateDirect { participant: UserId },
    /// Rename a group or change its picture (`Some(None)` removes it). Answered by `Reply::Conversation`.
    UpdateConversation { conversation: ConversationId, name: Option<String>, avatar: Option<Option<String>> },
    /// Delete a group, or one's own chat with the model. Answered by `Reply::Done`.
    DeleteConversation { conversation: ConversationId },
    /// Add members. Answered by `Reply::Conversation`.
    AddParticipants { conversation: ConversationId, participants: Vec<UserId> },
    /// Remove a member, or leave oneself. Answered by `Reply::Done`.
    RemoveParticipant { conversation: ConversationId, participant: UserId },
    /// Change one's own name or picture. Answered by `Reply::Account`.
    UpdateProfile { full_name: Option<Option<String>>, avatar: Option<Option<String>> },
    /// Call a guest so; members keep their names. Answered by `Reply::Account`.
    Introduce { username: String },
    /// One's own conversations, last active first. Answered by `Reply::Conversations`.
    ListConversations,
    /// The sockets that one may see. Answered by `Reply::Connections`.
    ListConnections { limit: usize },
    /// The newest messages of a place that one may read, oldest first. Answered by `Reply::Messages`.
    ListMessages { place: Place, limit: i64 },
    /// One's own notifications, newest first; they count as seen then. Answered by `Reply::Notifications`.
    ListNotifications { limit: i64 },
    /// Notify the user: stored, and shown to their sockets at once; as `emitted`, where another server words it itself.
    /// Answered by `Reply::Notified`.
    Notify { kind: String, message: String, data: Option<String>, emitted: Option<Emitted> },
    /// Panics; for the test that a panic ends its command and nothing else.
    #[doc(hidden)]
    TestPanic,
}

impl Command {
    /// Returns the message that a send wants to send.
    pub fn draft(&self) -> Option<&Draft> {
        if let Self::Send { draft, .. } = self { Some(draft) } else { None }
    }

    /// Returns whether it does anything that is there without the connection that asked for it.
    pub fn outlives_its_connection(&self) -> bool {
        !matches!(
            self,
            Self::Typing { .. }
                | Self::RenewToken { .. }
                | Self::ListConversations
                | Self::ListConnections { .. }
                | Self::ListMessages { .. }
                | Self::ListNotifications { .. }
        )
    }

    /// The group that it changes, where it changes one that there is.
    pub fn changed_group(&self) -> Option<ConversationId> {
        match self {
            Self::UpdateConversation { conversation, .. }
            | Self::DeleteConversation { conversation }
            | Self::AddParticipants { conversation, .. }
            | Self::RemoveParticipant { conversation, .. } => Some(*conversation),
            _ => None,
        }
    }
}
