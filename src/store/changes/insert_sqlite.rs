//! Inserts new messages by one statement each: without a round trip to a server, that is fastest.
use std::collections::HashMap;

use diesel::SqliteConnection;
use diesel::prelude::*;
use uuid::Uuid;

use super::outcome::Stored;
use crate::model::Message;
use crate::store::rows::{file_json, files_json, is_room, place_key};
use crate::store::schema::{conversations, messages, participants, rooms};
use crate::store::write::NewMessage;

/// New state of a conversation's or room's row.
struct Progress<'a> {
    is_room: bool,
    is_new: bool,
    last_seq: i64,
    last_position: i64,
    updated_at: i64,
    /// Number of new messages of each sender.
    sent: HashMap<&'a str, i64>,
}

/// Stores messages and numbers each; a message that is stored already keeps its numbers. Messages of unknown
/// conversations are left out.
pub(super) fn insert_messages(conn: &mut SqliteConnection, new: &[&NewMessage]) -> QueryResult<HashMap<Uuid, Stored>> {
    let mut numbers = HashMap::with_capacity(new.len());
    let mut places: HashMap<String, Option<Progress<'_>>> = HashMap::new();
    for new in new {
        let message = &*new.message;
        let id = message.id.to_string();
        let place = place_key(&message.place);
        if !places.contains_key(&place) {
            places.insert(place.clone(), load_progress(conn, &place, message)?);
        }
        let Some(Some(progress)) = places.get_mut(&place) else { continue };
        let seq = progress.last_seq + 1;
        if insert(conn, &id, &place, seq, new)? == 0 {
            let (seq, position) = messages::table.find(&id).select((messages::seq, messages::position)).first(conn)?;
            numbers.insert(*message.id.as_uuid(), Stored { seq, position });
            continue;
        }
        progress.last_seq = seq;
        progress.last_position = progress.last_position.max(message.position);
        progress.updated_at = progress.updated_at.max(message.created_at.as_millis());
        *progress.sent.entry(message.sender.id.as_str()).or_default() += 1;
        numbers.insert(*message.id.as_uuid(), Stored { seq, position: message.position });
    }
    for (place, progress) in places {
        if let Some(progress) = progress.filter(|progress| !progress.sent.is_empty()) {
            save_progress(conn, &place, &progress)?;
        }
    }
    Ok(numbers)
}

fn load_progress<'a>(conn: &mut SqliteConnection, place: &str, message: &Message) -> QueryResult<Option<Progress<'a>>> {
    let is_room = is_room(&message.place);
    let found: Option<(i64, i64, i64)> = if is_room {
        let columns = (rooms::last_seq, rooms::last_position, rooms::updated_at);
        rooms::table.find(place).select(columns).first(conn).optional()?
    } else {
        let columns = (conversations::last_seq, conversations::last_position, conversations::updated_at);
        conversations::table.find(place).select(columns).first(conn).optional()?
    };
    let is_new = found.is_none();
    let (last_seq, last_position, updated_at) = match found {
        Some(numbers) => numbers,
        None if is_room => (0, 0, 0),
        None => return Ok(None),
    };
    Ok(Some(Progress { is_room, is_new, last_seq, last_position, updated_at, sent: HashMap::new() }))
}

fn save_progress(conn: &mut SqliteConnection, place: &str, progress: &Progress<'_>) -> QueryResult<()> {
    let Progress { is_room, is_new, last_seq, last_position, updated_at, ref sent } = *progress;
    if is_new {
        let room = (
            rooms::place.eq(place),
            rooms::last_seq.eq(last_seq),
            rooms::last_position.eq(last_position),
            rooms::created_at.eq(updated_at),
            rooms::updated_at.eq(updated_at),
        );
        diesel::insert_into(rooms::table).values(room).execute(conn)?;
    } else if is_room {
        let columns = (rooms::last_seq.eq(last_seq), rooms::last_position.eq(last_position), rooms::updated_at.eq(updated_at));
        diesel::update(rooms::table.find(place)).set(columns).execute(conn)?;
    } else {
        let columns = (
            conversations::last_seq.eq(last_seq),
            conversations::last_position.eq(last_position),
            conversations::updated_at.eq(updated_at),
        );
        diesel::update(conversations::table.find(place)).set(columns).execute(conn)?;
        for (sender, messages) in sent {
            // A member's own messages are not unread to them.
            diesel::update(participants::table.find((place, sender)))
                .set(participants::not_unread.eq(participants::not_unread + messages))
                .execute(conn)?;
        }
    }
    Ok(())
}

/// Inserts a message; returns 0 if its id exists already.
fn insert(conn: &mut SqliteConnection, id: &str, place: &str, seq: i64, new: &NewMessage) -> QueryResult<usize> {
    let NewMessage { message, request_hash, sent_by } = new;
    let file = message.file.as_ref().map(file_json).transpose()?;
    let attachments = (!message.attachments.is_empty()).then(|| files_json(&message.attachments)).transpose()?;
    diesel::insert_into(messages::table)
        .values((
            messages::id.eq(id),
            messages::place.eq(place),
            messages::seq.eq(seq),
            messages::position.eq(message.position),
            messages::sender.eq(message.sender.id.as_str()),
            messages::created_at.eq(message.created_at.as_millis()),
            messages::updated_at.eq(message.updated_at.as_millis()),
            messages::role.eq(message.role.as_str()),
            messages::message_type.eq(&message.message_type),
            messages::listing_id.eq(message.listing.as_ref().map(|listing| listing.id.as_str())),
            messages::client_message_id.eq(&message.client_message_id),
            messages::request_hash.eq(request_hash.as_ref().map(|hash| &hash[..])),
            messages::sent_by.eq(sent_by.as_ref().map(|hash| &hash[..])),
            messages::file.eq(file),
            messages::attachments.eq(attachments),
            messages::content.eq(&message.content),
            messages::chat.eq(message.chat.as_deref()),
            messages::truncated.eq(message.is_truncated.then_some(true)),
        ))
        .on_conflict(messages::id)
        .do_nothing()
        .execute(conn)
}
