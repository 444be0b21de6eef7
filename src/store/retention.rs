//! What has grown old goes: messages, notifications, uploads that nothing names any more.
//!
//! In steps of a few rows, each a write like others in the persister's queue, with pauses between them: a send waits for
//! one such step at most. What is to go is found by readers.
use std::collections::HashSet;
use std::time::Duration;

use diesel::dsl::exists;
use diesel::prelude::*;
use tokio::time::sleep;

use super::rows::{UploadRow, user_id};
use super::schema::{conversations, messages, notifications, rooms, uploads, users};
use super::{AnyConnection, Store, StoreError, Write, Written};
use crate::model::{File, Timestamp, UserId};

/// Rows that one step deletes at most: some milliseconds of the writer's time.
const STEP_ROWS: i64 = 200;
/// Between two steps the writer belongs to others.
const PAUSE: Duration = Duration::from_millis(50);
/// Places, users or uploads that one question looks at.
const PAGE: i64 = 500;
/// Messages that one question looks through for uploads' names.
const MESSAGES_PAGE: i64 = 2_000;
/// Uploads that are looked for at once: their names are in memory.
const CANDIDATES: usize = 10_000;
/// A send that has found its upload is in the queue by then.
const SENDS_SETTLE: Duration = Duration::from_secs(1);
/// How the address of an upload begins.
const UPLOADS: &str = "/uploads/";

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

/// Forgets the uploads that were made before that and that no message, nobody's picture and no group's names; `remove` is
/// given their addresses, to remove the files. Answers how many.
///
/// # Errors
/// As [`prune_messages`].
pub async fn prune_uploads(store: &Store, before: Timestamp, remove: impl AsyncFn(Vec<String>)) -> Result<usize, StoreError> {
    let (mut count, mut after) = (0, String::new());
    loop {
        let mut old: Vec<(File, UserId, Timestamp)> = Vec::new();
        let mut is_last = false;
        while old.len() < CANDIDATES && !is_last {
            let start = after.clone();
            let (page, last) = store.read(move |conn| old_uploads(conn, &start, before)).await?;
            old.extend(page);
            is_last = last.is_none();
            after = last.unwrap_or_default();
        }
        let named = named_among(store, old.iter().map(|(file, ..)| file.url.clone()).collect()).await?;
        old.retain(|(file, ..)| !named.contains(&file.url));
        let removed = forget(store, old).await?;
        count += removed.len();
        remove(removed).await;
        if is_last {
            return Ok(count);
        }
    }
}

/// Forgets uploads. A message that was on its way brings its upload back.
async fn forget(store: &Store, old: Vec<(File, UserId, Timestamp)>) -> Result<Vec<String>, StoreError> {
    if old.is_empty() {
        return Ok(Vec::new());
    }
    for some in old.chunks(usize::try_from(STEP_ROWS).unwrap_or(1)) {
        let urls = some.iter().map(|(file, ..)| file.url.clone()).collect();
        store.write(Write::ForgetUploads { urls }).await?;
        sleep(PAUSE).await;
    }
    sleep(SENDS_SETTLE).await;
    store.write(Write::Barrier).await?;
    let named = named_among(store, old.iter().map(|(file, ..)| file.url.clone()).collect()).await?;
    let mut removed = Vec::with_capacity(old.len());
    for (file, owner, uploaded_at) in old {
        if named.contains(&file.url) {
            store.write(Write::Upload { file, owner, uploaded_at }).await?;
        } else {
            removed.push(file.url);
        }
    }
    Ok(removed)
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

fn old_uploads(conn: &mut AnyConnection, after: &str, before: Timestamp) -> QueryResult<Page<(File, UserId, Timestamp)>> {
    let rows: Vec<(UploadRow, String, i64)> = uploads::table
        .filter(uploads::url.gt(after))
        .order(uploads::url)
        .limit(PAGE)
        .select((UploadRow::as_select(), uploads::url, uploads::uploaded_at))
        .load(conn)?;
    let last = rows.last().map(|(_, url, _)| url.clone());
    let old = rows.into_iter().filter(|(.., uploaded_at)| *uploaded_at < before.as_millis());
    let page = old.map(|(row, _, uploaded_at)| {
        let (file, owner) = row.try_into()?;
        Ok((file, owner, Timestamp::from_millis(uploaded_at)))
    });
    Ok((page.collect::<QueryResult<_>>()?, last))
}

/// Which of these addresses something names: a message as its file, or anywhere in its text, or a picture.
async fn named_among(store: &Store, mut wanted: HashSet<String>) -> Result<HashSet<String>, StoreError> {
    let mut named = HashSet::new();
    for list in [message_texts, user_pictures, conversation_pictures] {
        let mut after = String::new();
        loop {
            if wanted.is_empty() {
                return Ok(named);
            }
            let start = after.clone();
            let (texts, last) = store.read(move |conn| list(conn, &start)).await?;
            for url in texts.iter().flat_map(|text| uploads_in(text)) {
                named.extend(wanted.take(url));
            }
            let Some(last) = last else { break };
            after = last;
        }
    }
    Ok(named)
}

/// The addresses of uploads in a text.
fn uploads_in(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(UPLOADS).filter_map(move |(start, _)| {
        let rest = text.get(start..)?;
        let is_name = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_');
        let name = rest.get(UPLOADS.len()..)?;
        let length = name.find(|character| !is_name(character)).unwrap_or(name.len());
        let url = rest.get(..UPLOADS.len() + length)?;
        // Behind an address a sentence may end.
        Some(url.trim_end_matches('.'))
    })
}

fn message_texts(conn: &mut AnyConnection, after: &str) -> QueryResult<Page<String>> {
    type Row = (String, Option<String>, Option<String>, Option<String>);
    let content = diesel::dsl::case_when(messages::content.like("%/uploads/%"), messages::content.nullable());
    let rows: Vec<Row> = messages::table
        .filter(messages::id.gt(after))
        .order(messages::id)
        .limit(MESSAGES_PAGE)
        .select((messages::id, messages::file, messages::attachments, content))
        .load(conn)?;
    let last = rows.last().map(|(id, ..)| id.clone());
    Ok((rows.into_iter().flat_map(|(_, file, attachments, content)| [file, attachments, content]).flatten().collect(), last))
}

fn user_pictures(conn: &mut AnyConnection, after: &str) -> QueryResult<Page<String>> {
    let rows: Vec<(String, Option<String>)> = users::table
        .filter(users::id.gt(after))
        .order(users::id)
        .limit(MESSAGES_PAGE)
        .select((users::id, users::avatar))
        .load(conn)?;
    let last = rows.last().map(|(id, _)| id.clone());
    Ok((rows.into_iter().filter_map(|(_, avatar)| avatar).collect(), last))
}

fn conversation_pictures(conn: &mut AnyConnection, after: &str) -> QueryResult<Page<String>> {
    let rows: Vec<(String, Option<String>)> = conversations::table
        .filter(conversations::id.gt(after))
        .order(conversations::id)
        .limit(MESSAGES_PAGE)
        .select((conversations::id, conversations::avatar))
        .load(conn)?;
    let last = rows.last().map(|(id, _)| id.clone());
    Ok((rows.into_iter().filter_map(|(_, avatar)| avatar).collect(), last))
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_are_found_wherever_they_stand() {
        let text = r#"{"url":"/uploads/ab1.png"} see http://x/uploads/cd2.pdf. And (/uploads/ef3.jpg) ä/uploads/"#;
        let found: Vec<&str> = super::uploads_in(text).collect();
        assert_eq!(found, ["/uploads/ab1.png", "/uploads/cd2.pdf", "/uploads/ef3.jpg", "/uploads/"]);
    }
}
