//! Read receipts.
use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Text};

use super::withdrawal;
use crate::model::{MessageId, Timestamp, UserId};
use crate::store::connection::AnyConnection;
use crate::store::schema::{message_reads, messages};
use crate::store::write::Write;

/// Stores receipts: the first one of a reader for a message counts, changes the message, and moves the reader's
/// `read_seq` forward. The reader's notifications of messages up to it are deleted.
const STORE: &str = ") WITH ORDINALITY AS input (message, user_id, read_at, nth)), \
     marks AS MATERIALIZED (SELECT DISTINCT ON (input.message, input.user_id) input.message, input.user_id, input.read_at, \
     messages.place, messages.seq, messages.created_at FROM input JOIN messages ON messages.id = input.message \
     ORDER BY input.message, input.user_id, input.nth), \
     stored AS (INSERT INTO message_reads (message, user_id, read_at) SELECT message, user_id, read_at FROM marks \
     ON CONFLICT (message, user_id) DO NOTHING RETURNING message_reads.message, message_reads.read_at), \
     touched AS (UPDATE messages SET updated_at = news.read_at \
     FROM (SELECT message, max(read_at) AS read_at FROM stored GROUP BY message) AS news \
     WHERE messages.id = news.message AND messages.updated_at < news.read_at), \
     outdated AS (DELETE FROM notifications \
     USING (SELECT place, user_id, max(created_at) AS created_at FROM marks GROUP BY place, user_id) AS furthest \
     WHERE notifications.user_id = furthest.user_id AND notifications.conversation = furthest.place \
     AND notifications.kind = 'message' AND notifications.created_at <= furthest.created_at) \
     UPDATE participants SET read_seq = furthest.seq, not_unread = ";
const OF_FURTHEST: &str = " FROM (SELECT marks.place, marks.user_id, max(marks.seq) AS seq, \
     (SELECT conversations.last_seq FROM conversations WHERE conversations.id = marks.place) AS last_seq \
     FROM marks GROUP BY marks.place, marks.user_id) AS furthest \
     WHERE participants.conversation = furthest.place AND participants.user_id = furthest.user_id \
     AND participants.read_seq < furthest.seq";

/// Returns the new `not_unread` of a member who has read up to `furthest.seq`: counted over the shorter of the two parts, up
/// to there or from there, so that who reads on message by message has one message counted, and who reads the newest, none.
const NOT_UNREAD: &str = "CASE WHEN participants.not_unread IS NULL \
     OR furthest.last_seq - furthest.seq <= furthest.seq - participants.read_seq \
     THEN furthest.last_seq - furthest.seq - (SELECT count(*) FROM messages WHERE messages.place = participants.conversation \
     AND messages.seq > furthest.seq AND messages.sender <> participants.user_id AND messages.deleted_at IS NULL) \
     ELSE participants.not_unread - (furthest.seq - participants.read_seq) + (SELECT count(*) FROM messages \
     WHERE messages.place = participants.conversation AND messages.seq > participants.read_seq \
     AND messages.seq <= furthest.seq AND messages.sender <> participants.user_id AND messages.deleted_at IS NULL) END";

/// Stores the receipts among `changes`.
pub(super) fn store(conn: &mut AnyConnection, changes: &[&Write]) -> QueryResult<()> {
    let receipts = changes.iter().filter_map(|change| match change {
        Write::MarkRead { message, conversation: _, reader, read_at } => Some((*message, reader, *read_at)),
        _ => None,
    });
    match conn {
        AnyConnection::Postgres(conn) => {
            let mut arrays = Arrays::default();
            for (message, reader, read_at) in receipts {
                arrays.message.push(message.to_string());
                arrays.reader.push(reader.as_str());
                arrays.read_at.push(read_at.as_millis());
            }
            if arrays.message.is_empty() { Ok(()) } else { arrays.execute(conn).map(drop) }
        }
        AnyConnection::Sqlite(conn) => {
            for (message, reader, read_at) in receipts {
                mark_read(conn, message, reader, read_at)?;
            }
            Ok(())
        }
    }
}

fn mark_read(conn: &mut SqliteConnection, id: MessageId, reader: &UserId, read_at: Timestamp) -> QueryResult<()> {
    let (id, read) = (id.to_string(), read_at.as_millis());
    let columns = (messages::place, messages::seq, messages::created_at);
    let found: Option<(String, i64, i64)> = messages::table.find(&id).select(columns).first(conn).optional()?;
    let Some((place, seq, created_at)) = found else { return Ok(()) };
    let receipt = (message_reads::message.eq(&id), message_reads::user_id.eq(reader.as_str()), message_reads::read_at.eq(read));
    let is_first = diesel::insert_into(message_reads::table).values(receipt).on_conflict_do_nothing().execute(conn)? > 0;
    if is_first {
        let message = messages::table.find(&id).filter(messages::updated_at.lt(read));
        diesel::update(message).set(messages::updated_at.eq(read)).execute(conn)?;
    }
    withdrawal::forget_read(conn, &place, reader, created_at)?;
    diesel::sql_query(format!(
        "UPDATE participants SET read_seq = furthest.seq, not_unread = {NOT_UNREAD} \
         FROM (SELECT $1 AS seq, last_seq FROM conversations WHERE id = $2) AS furthest \
         WHERE participants.conversation = $2 AND participants.user_id = $3 AND participants.read_seq < furthest.seq"
    ))
    .bind::<BigInt, _>(seq)
    .bind::<Text, _>(place)
    .bind::<Text, _>(reader.as_str())
    .execute(conn)
    .map(drop)
}

/// Receipts as columns.
#[derive(Default)]
struct Arrays<'a> {
    message: Vec<String>,
    reader: Vec<&'a str>,
    read_at: Vec<i64>,
}

impl QueryFragment<Pg> for Arrays<'_> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        pass.push_sql("WITH input AS (SELECT * FROM unnest(");
        pass.push_bind_param::<Array<Text>, _>(&self.message)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Text>, _>(&self.reader)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<BigInt>, _>(&self.read_at)?;
        pass.push_sql(STORE);
        pass.push_sql(NOT_UNREAD);
        pass.push_sql(OF_FURTHEST);
        Ok(())
    }
}

impl QueryId for Arrays<'_> {
    type QueryId = Arrays<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RunQueryDsl<PgConnection> for Arrays<'_> {}
