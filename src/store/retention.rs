//! Deletes expired messages, notifications and unreferenced uploads.
//!
//! Works in steps of a few rows, each an ordinary write with pauses in between, so that a send waits for one step at
//! most. Readers find the rows to delete.
use std::time::Duration;

use diesel::dsl::exists;
use diesel::prelude::*;
use tokio::time::sleep;

use super::connection::AnyConnection;
use super::failure::StoreError;
use super::handle::Store;
use super::queries::files::list_orphans;
use super::rows::user_id;
use super::schema::{conversations, deleted_places, messages, notifications, rooms, users};
use super::write::{Write, Written};
use crate::model::{Timestamp, UserId};

/// Maximum number of rows deleted in one step: takes some milliseconds of the writer's time.
const STEP_ROWS: i64 = 200;
/// Pause between two steps, during which the writer serves others.
const PAUSE: Duration = Duration::from_millis(50);
/// Number of conversations, users or uploads examined by one query.
const PAGE: i64 = 500;

/// Deletes the messages written before a time. Returns their number.
///
/// # Errors
/// [`StoreError::Unavailable`] if the database is unreachable or busy: the rest waits for the next round.
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

/// Deletes the notifications last renewed before a time. Returns their number.
///
/// # Errors
/// Same as [`prune_messages`].
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

/// Deletes some messages of a deleted conversation. Returns whether there may be more, of this one or another.
///
/// # Errors
/// Same as [`prune_messages`].
pub async fn prune_deleted(store: &Store) -> Result<bool, StoreError> {
    // Whoever has heard of a deletion comes after its commit.
    let place = store.read(|conn| deleted_places::table.select(deleted_places::place).first(conn).optional()).await?;
    let Some(place) = place else { return Ok(false) };
    store.write(Write::PruneDeleted { place, limit: STEP_ROWS }).await?;
    sleep(PAUSE).await;
    Ok(true)
}

/// Notes for removal the uploads made before a time that no message, user or group refers to. Returns their number.
///
/// # Errors
/// Same as [`prune_messages`].
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

/// Repeats a step until it finds nothing more. Returns the number of rows deleted.
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

/// Rows of a page, and the start of the next one.
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
