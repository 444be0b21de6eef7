//! Rows of events for webhooks, and of the checks whom messages have not reached.
use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Nullable, Text};

use crate::config::WebhookEvent;
use crate::model::Timestamp;
use crate::store::connection::AnyConnection;
use crate::store::rows::is_room;
use crate::store::schema::{webhook_checks, webhook_events};
use crate::store::subscribers::Subscribers;
use crate::store::webhook_event::EventDetail;
use crate::store::write::NewMessage;

/// Maximum number of rows in one statement; SQLite binds only some thousands of values.
pub(super) const ROWS_AT_ONCE: usize = 1_000;

/// An event of a batch, before its rows are made: one for each webhook that wants it.
#[derive(Debug)]
pub(super) struct NewEvent {
    /// Kind of event.
    pub event: WebhookEvent,
    /// Events of one lane are told of in their order.
    pub lane: String,
    /// Id of the message, conversation or user that it is about.
    pub subject: String,
    /// Further facts.
    pub detail: Option<EventDetail>,
    /// Time of the change.
    pub at: Timestamp,
}

/// Stores events: a row for each webhook that wants one.
pub(super) fn insert(conn: &mut AnyConnection, wanted: &Subscribers, events: &[NewEvent]) -> QueryResult<()> {
    let now = Timestamp::now().as_millis();
    let mut rows = Arrays::default();
    for NewEvent { event, lane, subject, detail, at } in events {
        let detail = detail.as_ref().map(EventDetail::to_json).transpose()?;
        for webhook in wanted.of(*event) {
            rows.webhook.push(webhook);
            rows.event.push(event.as_str());
            rows.lane.push(lane);
            rows.subject.push(subject);
            rows.detail.push(detail.clone());
            rows.happened_at.push(at.as_millis());
            rows.queued_at.push(now);
        }
    }
    if rows.webhook.is_empty() {
        return Ok(());
    }
    match conn {
        AnyConnection::Postgres(conn) => rows.execute(conn).map(drop),
        AnyConnection::Sqlite(conn) => rows.insert_singly(conn),
    }
}

/// Rows of a batch as columns.
#[derive(Default)]
struct Arrays<'a> {
    webhook: Vec<&'a str>,
    event: Vec<&'static str>,
    lane: Vec<&'a str>,
    subject: Vec<&'a str>,
    detail: Vec<Option<String>>,
    happened_at: Vec<i64>,
    queued_at: Vec<i64>,
}

impl Arrays<'_> {
    /// Inserts each row by a statement of its own: without a round trip to a server, that is fastest.
    fn insert_singly(self, conn: &mut SqliteConnection) -> QueryResult<()> {
        let Self { webhook, event, lane, subject, detail, happened_at, queued_at } = self;
        let times = happened_at.into_iter().zip(queued_at);
        for (((((webhook, event), lane), subject), detail), (happened_at, queued_at)) in
            webhook.into_iter().zip(event).zip(lane).zip(subject).zip(detail).zip(times)
        {
            diesel::insert_into(webhook_events::table)
                .values((
                    webhook_events::webhook.eq(webhook),
                    webhook_events::event.eq(event),
                    webhook_events::lane.eq(lane),
                    webhook_events::subject.eq(subject),
                    webhook_events::detail.eq(detail),
                    webhook_events::happened_at.eq(happened_at),
                    webhook_events::queued_at.eq(queued_at),
                ))
                .execute(conn)?;
        }
        Ok(())
    }
}

impl QueryFragment<Pg> for Arrays<'_> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        pass.push_sql(
            "INSERT INTO webhook_events (webhook, event, lane, subject, detail, happened_at, queued_at) \
             SELECT webhook, event, lane, subject, detail, happened_at, queued_at FROM unnest(",
        );
        pass.push_bind_param::<Array<Text>, _>(&self.webhook)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Text>, _>(&self.event)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Text>, _>(&self.lane)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Text>, _>(&self.subject)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Nullable<Text>>, _>(&self.detail)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<BigInt>, _>(&self.happened_at)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<BigInt>, _>(&self.queued_at)?;
        // Numbers are given in the order of the batch.
        pass.push_sql(
            ") WITH ORDINALITY AS input (webhook, event, lane, subject, detail, happened_at, queued_at, nth) ORDER BY nth",
        );
        Ok(())
    }
}

impl QueryId for Arrays<'_> {
    type QueryId = Arrays<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RunQueryDsl<PgConnection> for Arrays<'_> {}

/// Notes new messages of conversations, to find out later whom they have not reached.
pub(super) fn insert_checks(conn: &mut AnyConnection, wanted: &Subscribers, stored: &[&NewMessage]) -> QueryResult<()> {
    let wait = i64::try_from(wanted.unreached_after().as_millis()).unwrap_or(i64::MAX);
    let due_at = Timestamp::now().plus_millis(wait).as_millis();
    let to_conversations = stored.iter().filter(|new| !is_room(&new.message.place));
    let rows: Vec<_> = to_conversations
        .map(|new| (webhook_checks::message.eq(new.message.id.to_string()), webhook_checks::due_at.eq(due_at)))
        .collect();
    for some in rows.chunks(ROWS_AT_ONCE) {
        let some = some.to_vec();
        match conn {
            AnyConnection::Postgres(conn) => diesel::insert_into(webhook_checks::table).values(some).execute(conn)?,
            AnyConnection::Sqlite(conn) => diesel::insert_into(webhook_checks::table).values(some).execute(conn)?,
        };
    }
    Ok(())
}

/// Deletes checks that were made.
pub(super) fn delete_checks(conn: &mut AnyConnection, numbers: &[i64]) -> QueryResult<()> {
    for some in numbers.chunks(ROWS_AT_ONCE) {
        diesel::delete(webhook_checks::table.filter(webhook_checks::number.eq_any(some))).execute(conn)?;
    }
    Ok(())
}

/// Deletes events that were delivered, or are to be skipped. Returns their number.
pub(super) fn delete_events(conn: &mut AnyConnection, numbers: &[i64]) -> QueryResult<usize> {
    let mut rows = 0;
    for some in numbers.chunks(ROWS_AT_ONCE) {
        rows += diesel::delete(webhook_events::table.filter(webhook_events::number.eq_any(some))).execute(conn)?;
    }
    Ok(rows)
}
