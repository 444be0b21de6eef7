//! Inserts all new messages of a batch by one statement. Its text is always the same, so Postgres prepares it once; its
//! array parameters hold one element for each message.
use std::collections::HashMap;

use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text};
use uuid::Uuid;

use super::outcome::Stored;
use crate::store::rows::{file_json, files_json, is_room, message_id, place_key};
use crate::store::write::NewMessage;

/// Names of the arrays, in order.
const COLUMNS: &str = "id, place, position, sender, created_at, updated_at, role, message_type, listing_id, \
     client_message_id, request_hash, sent_by, file, attachments, content, chat, truncated";

/// Numbers the messages that are not stored yet: the last number of their conversation or room rises by their count.
/// The scalar subqueries are looked up by key, whatever the planner assumes about the table's size.
const NUMBER: &str = ", known AS MATERIALIZED (\
     SELECT input.*, (SELECT messages.seq FROM messages WHERE messages.id = input.id) AS known_seq, \
     (SELECT messages.position FROM messages WHERE messages.id = input.id) AS known_position FROM input), \
     fresh AS MATERIALIZED (SELECT known.*, row_number() OVER (PARTITION BY place ORDER BY nth) AS step, \
     count(*) OVER (PARTITION BY place) AS steps FROM known WHERE known_seq IS NULL), \
     newest AS (SELECT place, count(*) AS added, max(position) AS position, max(created_at) AS created_at \
     FROM fresh GROUP BY place)";
const MOVE_CONVERSATIONS: &str = ", moved AS (\
     UPDATE conversations SET last_seq = conversations.last_seq + newest.added, \
     last_position = greatest(conversations.last_position, newest.position), \
     updated_at = greatest(conversations.updated_at, newest.created_at) \
     FROM newest WHERE conversations.id = newest.place \
     RETURNING conversations.id AS place, conversations.last_seq)";
/// Members' own messages are not unread to them.
const COUNT_OWN: &str = ", own AS (\
     UPDATE participants SET not_unread = not_unread + sent.messages \
     FROM (SELECT place, sender, count(*) AS messages FROM fresh GROUP BY place, sender) AS sent \
     WHERE participants.conversation = sent.place AND participants.user_id = sent.sender)";
const MOVE_ROOMS: &str = ", moved AS (\
     INSERT INTO rooms (place, last_seq, last_position, created_at, updated_at) \
     SELECT place, added, position, created_at, created_at FROM newest \
     ON CONFLICT (place) DO UPDATE SET last_seq = rooms.last_seq + excluded.last_seq, \
     last_position = greatest(rooms.last_position, excluded.last_position), \
     updated_at = greatest(rooms.updated_at, excluded.updated_at) \
     RETURNING rooms.place, rooms.last_seq)";
const INSERT: &str = ", stored AS (\
     INSERT INTO messages (id, place, seq, position, sender, created_at, updated_at, role, message_type, listing_id, \
     client_message_id, request_hash, sent_by, file, attachments, content, chat, truncated) \
     SELECT id, place, moved.last_seq - steps + step, position, sender, created_at, updated_at, role, message_type, listing_id, \
     client_message_id, request_hash, sent_by, file, attachments, content, chat, truncated \
     FROM fresh JOIN moved USING (place) RETURNING messages.id, messages.seq, messages.position) \
     SELECT id, seq, position FROM stored UNION ALL \
     SELECT id, known_seq, known_position FROM known WHERE known_seq IS NOT NULL";

/// Stores messages and numbers each; a message that is stored already keeps its numbers. Messages of unknown
/// conversations are left out.
pub(super) fn insert_messages(conn: &mut PgConnection, new: &[&NewMessage]) -> QueryResult<HashMap<Uuid, Stored>> {
    let (to_rooms, to_conversations): (Vec<_>, Vec<_>) = new.iter().copied().partition(|new| is_room(&new.message.place));
    let mut numbers = HashMap::with_capacity(new.len());
    Arrays::<false>::of(&to_conversations)?.insert(conn, &mut numbers)?;
    Arrays::<true>::of(&to_rooms)?.insert(conn, &mut numbers)?;
    Ok(numbers)
}

/// The messages of a batch as columns, either of rooms or of conversations.
#[derive(Default)]
struct Arrays<'a, const ROOMS: bool> {
    id: Vec<String>,
    place: Vec<String>,
    position: Vec<i64>,
    sender: Vec<&'a str>,
    created_at: Vec<i64>,
    updated_at: Vec<i64>,
    role: Vec<&'static str>,
    message_type: Vec<&'a str>,
    listing_id: Vec<Option<&'a str>>,
    client_message_id: Vec<Option<&'a str>>,
    request_hash: Vec<Option<&'a [u8]>>,
    sent_by: Vec<Option<&'a [u8]>>,
    file: Vec<Option<String>>,
    attachments: Vec<Option<String>>,
    content: Vec<&'a str>,
    chat: Vec<Option<&'a str>>,
    truncated: Vec<Option<bool>>,
}

impl<'a, const ROOMS: bool> Arrays<'a, ROOMS> {
    /// Makes the columns; of duplicate messages only one is kept.
    fn of(new: &[&'a NewMessage]) -> QueryResult<Self> {
        let mut arrays = Self::default();
        let mut taken = std::collections::HashSet::with_capacity(new.len());
        for NewMessage { message, request_hash, sent_by } in new {
            if !taken.insert(message.id) {
                continue;
            }
            arrays.id.push(message.id.to_string());
            arrays.place.push(place_key(&message.place));
            arrays.position.push(message.position);
            arrays.sender.push(message.sender.id.as_str());
            arrays.created_at.push(message.created_at.as_millis());
            arrays.updated_at.push(message.updated_at.as_millis());
            arrays.role.push(message.role.as_str());
            arrays.message_type.push(&message.message_type);
            arrays.listing_id.push(message.listing.as_ref().map(|listing| listing.id.as_str()));
            arrays.client_message_id.push(message.client_message_id.as_deref());
            arrays.request_hash.push(request_hash.as_ref().map(|hash| &hash[..]));
            arrays.sent_by.push(sent_by.as_ref().map(|hash| &hash[..]));
            arrays.file.push(message.file.as_ref().map(file_json).transpose()?);
            let attachments = (!message.attachments.is_empty()).then(|| files_json(&message.attachments));
            arrays.attachments.push(attachments.transpose()?);
            arrays.content.push(&message.content);
            arrays.chat.push(message.chat.as_deref());
            arrays.truncated.push(message.is_truncated.then_some(true));
        }
        Ok(arrays)
    }

    fn insert(self, conn: &mut PgConnection, numbers: &mut HashMap<Uuid, Stored>) -> QueryResult<()> {
        if self.id.is_empty() {
            return Ok(());
        }
        let stored: Vec<(String, i64, i64)> = self.load(conn)?;
        for (id, seq, position) in stored {
            numbers.insert(*message_id(&id)?.as_uuid(), Stored { seq, position });
        }
        Ok(())
    }
}

impl<const ROOMS: bool> QueryFragment<Pg> for Arrays<'_, ROOMS> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        pass.push_sql("WITH input AS (SELECT * FROM unnest(");
        pass.push_bind_param::<Array<Text>, _>(&self.id)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Text>, _>(&self.place)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<BigInt>, _>(&self.position)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Text>, _>(&self.sender)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<BigInt>, _>(&self.created_at)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<BigInt>, _>(&self.updated_at)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Text>, _>(&self.role)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Text>, _>(&self.message_type)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Nullable<Text>>, _>(&self.listing_id)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Nullable<Text>>, _>(&self.client_message_id)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Nullable<Binary>>, _>(&self.request_hash)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Nullable<Binary>>, _>(&self.sent_by)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Nullable<Text>>, _>(&self.file)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Nullable<Text>>, _>(&self.attachments)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Text>, _>(&self.content)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Nullable<Text>>, _>(&self.chat)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Nullable<Bool>>, _>(&self.truncated)?;
        pass.push_sql(") WITH ORDINALITY AS input (");
        pass.push_sql(COLUMNS);
        pass.push_sql(", nth))");
        pass.push_sql(NUMBER);
        if ROOMS {
            pass.push_sql(MOVE_ROOMS);
        } else {
            pass.push_sql(MOVE_CONVERSATIONS);
            pass.push_sql(COUNT_OWN);
        }
        pass.push_sql(INSERT);
        Ok(())
    }
}

impl<const ROOMS: bool> QueryId for Arrays<'_, ROOMS> {
    type QueryId = Arrays<'static, ROOMS>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<const ROOMS: bool> Query for Arrays<'_, ROOMS> {
    type SqlType = (Text, BigInt, BigInt);
}

impl<const ROOMS: bool> RunQueryDsl<PgConnection> for Arrays<'_, ROOMS> {}
