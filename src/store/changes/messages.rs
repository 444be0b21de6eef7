//! Edits and deletions of stored messages.
use diesel::prelude::*;

use crate::model::{MessageId, Timestamp};
use crate::store::changes::Outcome;
use crate::store::schema::{conversations, messages};
use crate::store::{AnyConnection, Write, Written};

/// Stores the edits and deletions among `changes`, in their order.
pub(super) fn store(conn: &mut AnyConnection, changes: Vec<(&Write, &mut Outcome)>) -> QueryResult<()> {
    for (change, outcome) in changes {
        let is_there = match change {
            Write::EditMessage { message, content, updated_at } => edit(conn, *message, content, *updated_at)?,
            Write::DeleteMessage { message, deleted_at } => delete(conn, *message, *deleted_at)?,
            _ => continue,
        };
        if !is_there {
            *outcome = Ok(Written::Gone);
        }
    }
    Ok(())
}

/// Whether the message was there.
fn edit(conn: &mut AnyConnection, id: MessageId, content: &str, updated_at: Timestamp) -> QueryResult<bool> {
    let id = id.to_string();
    let columns = (messages::content.eq(content), messages::updated_at.eq(updated_at.as_millis()));
    let edited = diesel::update(messages::table.find(&id).filter(messages::deleted_at.is_null())).set(columns).execute(conn)?;
    if edited > 0 {
        touch_conversation(conn, &id, updated_at)?;
    }
    Ok(edited > 0)
}

/// Whether the message was there.
fn delete(conn: &mut AnyConnection, id: MessageId, deleted_at: Timestamp) -> QueryResult<bool> {
    let (id, deleted) = (id.to_string(), deleted_at.as_millis());
    let columns = (
        messages::content.eq(""),
        messages::file.eq(None::<String>),
        messages::attachments.eq(None::<String>),
        messages::updated_at.eq(deleted),
        messages::deleted_at.eq(deleted),
    );
    // A batch that is stored once more finds what it has deleted.
    let is_there = messages::deleted_at.is_null().or(messages::deleted_at.eq(deleted));
    let found = diesel::update(messages::table.find(&id).filter(is_there)).set(columns).execute(conn)?;
    if found > 0 {
        touch_conversation(conn, &id, deleted_at)?;
    }
    Ok(found > 0)
}

/// A conversation changes with its last message.
fn touch_conversation(conn: &mut AnyConnection, message: &str, changed_at: Timestamp) -> QueryResult<()> {
    let changed = changed_at.as_millis();
    let found: Option<(String, i64)> =
        messages::table.find(message).select((messages::place, messages::seq)).first(conn).optional()?;
    let Some((place, seq)) = found else { return Ok(()) };
    let conversation =
        conversations::table.find(place).filter(conversations::last_seq.eq(seq).and(conversations::updated_at.lt(changed)));
    diesel::update(conversation).set(conversations::updated_at.eq(changed)).execute(conn)?;
    Ok(())
}
