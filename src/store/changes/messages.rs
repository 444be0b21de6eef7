//! Edits and deletions of stored messages.
use diesel::prelude::*;

use super::outcome::Outcome;
use super::{file_names, unread, withdrawal};
use crate::model::MessageId;
use crate::store::connection::AnyConnection;
use crate::store::schema::{conversations, messages};
use crate::store::write::{Write, Written};

/// Stores the edits and deletions among `changes`, in their order. Returns all changes but those of deleted messages.
pub(super) fn store<'a>(conn: &mut AnyConnection, changes: Vec<(&'a Write, &mut Outcome)>) -> QueryResult<Vec<&'a Write>> {
    let mut effective = Vec::with_capacity(changes.len());
    for (change, outcome) in changes {
        let is_there = match change {
            Write::EditMessage { message, content, updated_at, position } => {
                edit(conn, *message, content, Moment { at: updated_at.as_millis(), position: *position })?
            }
            Write::DeleteMessage { message, deleted_at, position } => {
                delete(conn, *message, Moment { at: deleted_at.as_millis(), position: *position })?
            }
            _ => true,
        };
        if is_there {
            effective.push(change);
        } else {
            *outcome = Ok(Written::Gone);
        }
    }
    Ok(effective)
}

/// Time of a change, and its position.
#[derive(Clone, Copy)]
struct Moment {
    at: i64,
    position: Option<i64>,
}

/// Returns whether the message existed.
fn edit(conn: &mut AnyConnection, id: MessageId, content: &str, moment: Moment) -> QueryResult<bool> {
    let id = id.to_string();
    let columns =
        (messages::content.eq(content), messages::updated_at.eq(moment.at), messages::changed_position.eq(moment.position));
    let edited = diesel::update(messages::table.find(&id).filter(messages::deleted_at.is_null())).set(columns).execute(conn)?;
    if edited > 0 {
        touch_conversation(conn, &id, moment)?;
        let files: (Option<String>, Option<String>) =
            messages::table.find(&id).select((messages::file, messages::attachments)).first(conn)?;
        let (file, attachments) = files;
        file_names::rename(conn, &id, &[&file.unwrap_or_default(), &attachments.unwrap_or_default(), content])?;
    }
    Ok(edited > 0)
}

/// Returns whether the message existed.
fn delete(conn: &mut AnyConnection, id: MessageId, moment: Moment) -> QueryResult<bool> {
    let id = id.to_string();
    let columns = (
        messages::content.eq(""),
        messages::file.eq(None::<String>),
        messages::attachments.eq(None::<String>),
        messages::updated_at.eq(moment.at),
        messages::deleted_at.eq(moment.at),
        messages::changed_position.eq(moment.position),
    );
    unread::note_deletion(conn, &id)?;
    // A retried batch finds the message already deleted by itself.
    let is_there = messages::deleted_at.is_null().or(messages::deleted_at.eq(moment.at));
    let found = diesel::update(messages::table.find(&id).filter(is_there)).set(columns).execute(conn)?;
    if found > 0 {
        touch_conversation(conn, &id, moment)?;
        withdrawal::forget_message(conn, &id)?;
        file_names::rename(conn, &id, &[])?;
    }
    Ok(found > 0)
}

/// Updates the conversation of a changed message: its time of change, and the highest position in it.
fn touch_conversation(conn: &mut AnyConnection, message: &str, moment: Moment) -> QueryResult<()> {
    let Moment { at: changed, position } = moment;
    let found: Option<(String, i64)> =
        messages::table.find(message).select((messages::place, messages::seq)).first(conn).optional()?;
    let Some((place, seq)) = found else { return Ok(()) };
    if let Some(position) = position {
        // The position must not be reused, whether or not the message stays.
        let behind = conversations::table.find(&place).filter(conversations::last_position.lt(position));
        diesel::update(behind).set(conversations::last_position.eq(position)).execute(conn)?;
    }
    let conversation =
        conversations::table.find(place).filter(conversations::last_seq.eq(seq).and(conversations::updated_at.lt(changed)));
    diesel::update(conversation).set(conversations::updated_at.eq(changed)).execute(conn)?;
    Ok(())
}
