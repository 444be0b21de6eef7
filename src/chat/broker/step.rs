//! Steps of a command: how far one has come.
use crate::chat::ports::{ChatError, HookQuestion, Reply};
use crate::chat::query::Lookup;
use crate::model::{ConversationId, MessageId};

/// Result of a part of a command.
pub(super) type Step<T> = Result<T, Stop>;

/// Result of a whole command: its reply, or `None` where it is answered once its change is stored.
pub(super) type Outcome = Step<Option<Reply>>;

/// Reply of a command that has nothing more to say.
pub(super) const DONE: Outcome = Ok(Some(Reply::Done));

/// Reason for which a command goes no further now. Nothing has changed until then.
pub(super) enum Stop {
    /// Refuses the command.
    Refused(ChatError),
    /// Waits for a read; then the command is carried out anew.
    Read(Lookup),
    /// Waits until this message is stored or given up; then the command is carried out anew.
    Behind(MessageId),
    /// Waits until the change of this group that is being stored has taken effect; then the command is carried out anew.
    BehindGroup(ConversationId),
    /// Waits for the operator's hook; then the command is carried out anew.
    AskHook(Box<HookQuestion>),
    /// Waits until the hook has answered about this message; then the command is carried out anew.
    BehindHook(MessageId),
}

impl From<ChatError> for Stop {
    fn from(error: ChatError) -> Self {
        Self::Refused(error)
    }
}

impl From<Lookup> for Stop {
    fn from(lookup: Lookup) -> Self {
        Self::Read(lookup)
    }
}
