//! Retention: what has grown old goes, messages, notifications, uploads that nothing names any more.
//!
//! In steps of a few rows, each a write like others in the persister's queue, with pauses between them: a send waits for
//! one such step at most. What is to go is found by readers.
use std::time::Duration;

use diesel::dsl::exists;
use diesel::prelude::*;
use tokio::time::sleep;

use super::connection::AnyConnection;
use super::failure::StoreError;
use super::handle::Store;
use super::queries::files::list_orphans;
use super::rows::user_id;
use super::schema::{conversations, messages, notifications, rooms, users};
use super::write::{Write, Written};
use crate::model::{Timestamp, UserId};

/// Rows that one step deletes at most: some milliseconds of the writer's time.
const STEP_ROWS: i64 = 200;
/// Between two steps the writer belongs to others.
const PAUSE: Duration = Duration::from_millis(50);
/// Places, users or uploads that one question looks at.
const PAGE: i64 = 500;

/// Deletes the messages that were written before that. Answers how many.
///
/// # Errors
/// [`StoreError::Unavailable`] where the database is away or busy: the rest waits for the next time.
pub async fn prune_messages(store: &Store, before: Timestamp) -> Result<usize, StoreError> {
    let mut deleted = 0;
    for list in [old_conversations, old_rooms] {
        let mut after = String::new();
        loop {
            let start = after.clone();
            let (page, last) = store.read(move |conn| list(conn, &start, before)).await?;
            for place in page {
                let write = || Write::PruneMessages { place: place.clone(), before, limit: STEP_ROWS };
                deleted += in_steps(store, write).await?;
            }
            let Some(last) = last else { break };
            after = last;
        }
    }
    Ok(deleted)
}

/// Deletes the notifications that were made, or last renewed, before that. Answers how many.
///
/// # Errors
/// As [`prune_messages`].
pub async fn prune_notifications(store: &Store, before: Timestamp) -> Result<usize, StoreError> {
    let (mut deleted, mut after) = (0, String::new());
    loop {
        let start = after.clone();
        let (page, last) = store.read(move |conn| users_with_old_notifications(conn, &start, before)).await?;
        for user in page {
            let write = || Write::PruneNotifications { user: user.clone(), before, limit: STEP_ROWS };
            deleted += in_steps(store, write).await?;
        }
        let Some(last) = last else { return Ok(deleted) };
        after = last;
    }
}

/// Has the uploads looked at that were made before that and that no message, nobody's picture and no group's names. Answers how
/// many.
///
/// # Errors
/// As [`prune_messages`].
pub async fn release_orphans(store: &Store, before: Timestamp) -> Result<usize, StoreError> {
    let (mut count, mut after) = (0, String::new());
    loop {
        let start = after.clone();
        let (urls, last) = store.read(move |conn| list_orphans(conn, &start, before, PAGE)).await?;
        for urls in urls.chunks(usize::try_from(STEP_ROWS).unwrap_or(1)) {
            count += urls.len();
            store.write(Write::ReleaseFiles { urls: urls.to_vec() }).await?;
            sleep(PAUSE).await;
        }
        let Some(last) = last else { return Ok(count) };
        after = last;
    }
}

/// Repeats a step until there is nothing left for it. Answers how many rows it took away.
async fn in_steps(store: &Store, write: impl Fn() -> Write) -> Result<usize, StoreError> {
    let mut deleted = 0;
    loop {
        let Written::Pruned { rows } = store.write(write()).await? else { return Err(StoreError::Internal) };
        deleted += rows;
        sleep(PAUSE).await;
        if i64::try_from(rows).unwrap_or(i64::MAX) < STEP_ROWS {
            return Ok(deleted);
        }
    }
}

/// A page: what was found in it, and where the next one begins.
type Page<T> = (Vec<T>, Option<String>);

fn old_conversations(conn: &mut AnyConnection, after: &str, before: Timestamp) -> QueryResult<Page<String>> {
    let ids: Vec<String> = conversations::table
        .filter(conversations::id.gt(after))
        .order(conversations::id)
        .limit(PAGE)
        .select(conversations::id)
        .load(conn)?;
    let is_old = messages::table.filter(messages::place.eq(conversations::id).and(messages::created_at.lt(before.as_millis())));
    let found =
        conversations::table.filter(conversations::id.eq_any(&ids).and(exists(is_old))).select(conversations::id).load(conn)?;
    Ok((found, ids.into_iter().last()))
}

fn old_rooms(conn: &mut AnyConnection, after: &str, before: Timestamp) -> QueryResult<Page<String>> {
    let places: Vec<String> =
        rooms::table.filter(rooms::place.gt(after)).order(rooms::place).limit(PAGE).select(rooms::place).load(conn)?;
    let is_old = messages::table.filter(messages::place.eq(rooms::place).and(messages::created_at.lt(before.as_millis())));
    let found = rooms::table.filter(rooms::place.eq_any(&places).and(exists(is_old))).select(rooms::place).load(conn)?;
    Ok((found, places.into_iter().last()))
}

fn users_with_old_notifications(conn: &mut AnyConnection, after: &str, before: Timestamp) -> QueryResult<Page<UserId>> {
    let ids: Vec<String> = users::table.filter(users::id.gt(after)).order(users::id).limit(PAGE).select(users::id).load(conn)?;
    let is_old =
        notifications::table.filter(notifications::user_id.eq(users::id).and(notifications::created_at.lt(before.as_millis())));
    let found: Vec<String> = users::table.filter(users::id.eq_any(&ids).and(exists(is_old))).select(users::id).load(conn)?;
    Ok((found.iter().map(|id| user_id(id)).collect::<QueryResult<_>>()?, ids.into_iter().last()))
}
