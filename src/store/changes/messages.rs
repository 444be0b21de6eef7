//! Edits and deletions of stored messages.
use diesel::prelude::*;

use crate::model::{MessageId, Timestamp};
use crate::store::schema::{conversations, messages};
use crate::store::{AnyConnection, Write};

/// Stores the edits and deletions among `changes`, in their order.
pub(super) fn store(conn: &mut AnyConnection, changes: &[&Write]) -> QueryResult<()> {
    for change in changes {
        match change {
            Write::EditMessage { message, content, updated_at } => edit(conn, *message, content, *updated_at)?,
            Write::DeleteMessage { message, deleted_at } => delete(conn, *message, *deleted_at)?,
            _ => {}
        }
    }
    Ok(())
}

fn edit(conn: &mut AnyConnection, id: MessageId, content: &str, updated_at: Timestamp) -> QueryResult<()> {
    let id = id.to_string();
    let columns = (messages::content.eq(content), messages::updated_at.eq(updated_at.as_millis()));
    diesel::update(messages::table.find(&id).filter(messages::deleted_at.is_null())).set(columns).execute(conn)?;
    touch_conversation(conn, &id, updated_at)
}

fn delete(conn: &mut AnyConnection, id: MessageId, deleted_at: Timestamp) -> QueryResult<()> {
    let id = id.to_string();
    let columns = (
        messages::content.eq(""),
        messages::file.eq(None::<String>),
        messages::attachments.eq(None::<String>),
        messages::updated_at.eq(deleted_at.as_millis()),
        messages::deleted_at.eq(deleted_at.as_millis()),
    );
    diesel::update(messages::table.find(&id).filter(messages::deleted_at.is_null())).set(columns).execute(conn)?;
    touch_conversation(conn, &id, deleted_at)
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
