//! Turns of a chat that the model is sent.

use crate::chat::ports::Turn;
use crate::chat::state::{Question, answer_id};
use crate::hash::HashSet;
use crate::model::{self, MessageId, Place, Role};
use crate::store::{self, AnyConnection, HistoryRange, QueryResult};

/// Maximum number of messages of a chat that the model is sent, the question among them.
const TURNS: usize = 20;
/// Maximum number of messages that are looked at: some may wait for an answer themselves.
const ROWS: i64 = 40;

/// Result of the read before the model is asked.
#[derive(Debug)]
pub(crate) enum FoundTurns {
    /// Turns to send it.
    Turns(Vec<Turn>),
    /// Answer that it has given already.
    Answer(Box<model::Message>),
    /// The question was deleted, or its answer.
    Gone,
}

/// Finds the turns that the model is sent: the newest messages of the chat, oldest first, the question at the end. Anything
/// else that its user said comes only with its answer: without one it waits for it, or there was none.
pub(crate) fn find_turns(conn: &mut AnyConnection, question: &Question) -> QueryResult<FoundTurns> {
    if let Some(answer) = store::find_message(conn, question.answer_id())? {
        return Ok(if answer.deleted_at.is_some() { FoundTurns::Gone } else { FoundTurns::Answer(Box::new(answer)) });
    }
    let asked = store::find_message(conn, question.message)?.filter(|message| message.deleted_at.is_none());
    let Some(asked) = asked else { return Ok(FoundTurns::Gone) };
    let place = Place::Conversation(question.conversation);
    let mut messages = store::list_history(conn, &place, HistoryRange::Newest, ROWS)?;
    let said: HashSet<MessageId> = messages.iter().map(|message| message.id).collect();
    messages.retain(|message| match message.role {
        Role::Model => true,
        Role::User => said.contains(&answer_id(&question.model.id, message.id)),
    });
    messages.push(asked);
    let skipped = messages.len().saturating_sub(TURNS);
    Ok(FoundTurns::Turns(messages.into_iter().skip(skipped).map(turn).collect()))
}

/// The text; of a file without one its name, for the model cannot look at it.
fn turn(message: model::Message) -> Turn {
    let model::Message { role, content, file, attachments, .. } = message;
    let text = if content.is_empty() {
        let names: Vec<_> = file.iter().chain(&attachments).map(|file| file.filename.as_str()).collect();
        format!("[{}]", names.join(", "))
    } else {
        content
    };
    Turn { role, text }
}
