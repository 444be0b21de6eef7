//! Edits, deletions and receipts of stored messages.
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::model::{MessageId, Timestamp, UserId};
use crate::store::schema::{conversations, messages, participants};
use crate::store::{AnyConnection, Write};

/// Stores the edits, deletions and receipts among `changes`, in their order.
pub(super) fn store(conn: &mut AnyConnection, changes: &[&Write]) -> QueryResult<()> {
    for change in changes {
        match change {
            Write::EditMessage { message, content, updated_at } => edit(conn, *message, content, *updated_at)?,
            Write::DeleteMessage { message, deleted_at } => delete(conn, *message, *deleted_at)?,
            Write::MarkRead { message, conversation: _, reader, read_at } => mark_read(conn, *message, reader, *read_at)?,
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

fn mark_read(conn: &mut AnyConnection, id: MessageId, reader: &UserId, read_at: Timestamp) -> QueryResult<()> {
    let (id, read) = (id.to_string(), read_at.as_millis());
    let found: Option<(String, i64)> =
        messages::table.find(&id).select((messages::place, messages::seq)).first(conn).optional()?;
    let Some((place, seq)) = found else { return Ok(()) };
    let is_first = diesel::sql_query(
        "INSERT INTO message_reads (message, user_id, read_at) VALUES ($1, $2, $3) ON CONFLICT (message, user_id) DO NOTHING",
    )
    .bind::<Text, _>(&id)
    .bind::<Text, _>(reader.as_str())
    .bind::<BigInt, _>(read)
    .execute(conn)?
        > 0;
    if is_first {
        let message = messages::table.find(&id).filter(messages::updated_at.lt(read));
        diesel::update(message).set(messages::updated_at.eq(read)).execute(conn)?;
    }
    let member = participants::table.find((place, reader.as_str())).filter(participants::read_seq.lt(seq));
    diesel::update(member).set(participants::read_seq.eq(seq)).execute(conn)?;
    Ok(())
}
