//! Dead letters: events for webhooks that were given up.
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::webhook_rows::{ROWS_AT_ONCE, delete_events};
use crate::config::WebhookEvent;
use crate::model::Timestamp;
use crate::store::connection::AnyConnection;
use crate::store::schema::{webhook_checks, webhook_dead_letters, webhook_events};
use crate::store::subscribers::Subscribers;

/// Makes dead letters of events, with the reason. Returns their number.
pub(super) fn bury(conn: &mut AnyConnection, numbers: &[i64], failure: &str) -> QueryResult<usize> {
    let mut buried = 0;
    for some in numbers.chunks(ROWS_AT_ONCE) {
        let letters = webhook_events::table.filter(webhook_events::number.eq_any(some)).select((
            webhook_events::number,
            webhook_events::webhook,
            webhook_events::event,
            webhook_events::lane,
            webhook_events::subject,
            webhook_events::detail,
            webhook_events::happened_at,
            webhook_events::queued_at,
            Timestamp::now().as_millis().into_sql::<BigInt>(),
            failure.into_sql::<Text>(),
        ));
        buried +=
            letters.insert_into(webhook_dead_letters::table).into_columns(webhook_dead_letters::all_columns).execute(conn)?;
        delete_events(conn, some)?;
    }
    Ok(buried)
}

/// Makes dead letters of the events of webhooks that are configured no more.
pub(in crate::store) fn bury_unwanted(conn: &mut AnyConnection, wanted: &Subscribers) -> QueryResult<()> {
    let names: Vec<&str> = wanted.names().collect();
    loop {
        let numbers: Vec<i64> = webhook_events::table
            .filter(webhook_events::webhook.ne_all(&names))
            .order(webhook_events::number)
            .limit(i64::try_from(ROWS_AT_ONCE).unwrap_or(i64::MAX))
            .select(webhook_events::number)
            .load(conn)?;
        if numbers.is_empty() {
            break;
        }
        bury(conn, &numbers, "no webhook of this name was configured at a start")?;
    }
    if !wanted.want(WebhookEvent::MessageUnreached) {
        diesel::delete(webhook_checks::table).execute(conn)?;
    }
    Ok(())
}

/// Puts dead letters behind all that waits, in their order. Returns their number.
pub(super) fn replay(conn: &mut AnyConnection, numbers: &[i64]) -> QueryResult<usize> {
    let mut replayed = 0;
    for some in numbers.chunks(ROWS_AT_ONCE) {
        let events = webhook_dead_letters::table
            .filter(webhook_dead_letters::number.eq_any(some))
            .order(webhook_dead_letters::number)
            .select((
                webhook_dead_letters::webhook,
                webhook_dead_letters::event,
                webhook_dead_letters::lane,
                webhook_dead_letters::subject,
                webhook_dead_letters::detail,
                webhook_dead_letters::happened_at,
                Timestamp::now().as_millis().into_sql::<BigInt>(),
            ));
        let columns = (
            webhook_events::webhook,
            webhook_events::event,
            webhook_events::lane,
            webhook_events::subject,
            webhook_events::detail,
            webhook_events::happened_at,
            webhook_events::queued_at,
        );
        replayed += events.insert_into(webhook_events::table).into_columns(columns).execute(conn)?;
        delete_letters(conn, some)?;
    }
    Ok(replayed)
}

/// Deletes dead letters. Returns their number.
pub(super) fn delete_letters(conn: &mut AnyConnection, numbers: &[i64]) -> QueryResult<usize> {
    let mut rows = 0;
    for some in numbers.chunks(ROWS_AT_ONCE) {
        rows += diesel::delete(webhook_dead_letters::table.filter(webhook_dead_letters::number.eq_any(some))).execute(conn)?;
    }
    Ok(rows)
}

/// Deletes dead letters that died before a time, and the oldest beyond `most`. Returns their number.
pub(super) fn forget_letters(conn: &mut AnyConnection, before: Timestamp, most: i64) -> QueryResult<usize> {
    let old = webhook_dead_letters::table.filter(webhook_dead_letters::died_at.lt(before.as_millis()));
    let rows = diesel::delete(old).execute(conn)?;
    let surplus: Option<i64> = webhook_dead_letters::table
        .order(webhook_dead_letters::number.desc())
        .offset(most)
        .select(webhook_dead_letters::number)
        .first(conn)
        .optional()?;
    let Some(last) = surplus else { return Ok(rows) };
    let surplus = webhook_dead_letters::table.filter(webhook_dead_letters::number.le(last));
    Ok(rows + diesel::delete(surplus).execute(conn)?)
}
