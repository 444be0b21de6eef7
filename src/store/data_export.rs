//! Export of a user's personal data as lines of JSON.
use diesel::prelude::*;
use serde_json::{Value, json};

use super::connection::AnyConnection;
use super::failure::StoreError;
use super::handle::Store;
use super::queries::conversations::load_memberships;
use super::queries::users::{find_account, find_profiles};
use super::rows::UploadRow;
use super::schema::{conversations, messages, notifications, participants, rooms, uploads};
use crate::model::{Account, File, Timestamp, UserId};

/// Maximum number of rows examined by one query.
const PAGE: i64 = 2_000;

/// Reason for an incomplete export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonalError {
    /// The user does not exist.
    NoUser,
    /// The store failed.
    Store(StoreError),
    /// The receiver has gone.
    Unwanted,
}

impl From<StoreError> for PersonalError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Passes the lines of a user's own data to `take`: account, conversations, messages, notifications, uploads, and an
/// end with their counts. Lines come in chunks; `take` returns whether it wants more.
///
/// # Errors
/// [`PersonalError`]; the end line is then missing.
pub async fn export_personal(store: &Store, user: &UserId, take: impl AsyncFn(String) -> bool) -> Result<(), PersonalError> {
    let mut counts = [0_usize; 4];
    let id = user.clone();
    let account = store.read_after_writes(move |conn| find_account(conn, &id)).await?;
    let account = account.filter(|account| !account.is_deleted).ok_or(PersonalError::NoUser)?;
    give(&take, vec![account_line(&account)]).await?;

    let id = user.clone();
    let own = store.read(move |conn| own_conversations(conn, &id)).await?;
    counts[0] = own.len();
    give(&take, own).await?;

    let mut after = String::new();
    loop {
        let (id, start) = (user.clone(), after.clone());
        let places = store.read(move |conn| places_after(conn, &id, &start)).await?;
        let Some((last, _)) = places.last() else { break };
        after.clone_from(last);
        for (place, last_seq) in places {
            let mut seq = 0;
            while seq < last_seq {
                let (id, place) = (user.clone(), place.clone());
                let lines = store.read(move |conn| own_messages(conn, &id, &place, seq)).await?;
                seq += PAGE;
                counts[1] += lines.len();
                give(&take, lines).await?;
            }
        }
    }
    for (number, list) in [own_notifications, own_uploads].into_iter().enumerate() {
        let mut after = (i64::MIN, String::new());
        loop {
            let (id, start) = (user.clone(), after.clone());
            let (lines, last) = store.read(move |conn| list(conn, &id, &start)).await?;
            if let Some(count) = counts.get_mut(2 + number) {
                *count += lines.len();
            }
            give(&take, lines).await?;
            let Some(last) = last else { break };
            after = last;
        }
    }
    let [conversations, messages, notifications, uploads] = counts;
    let end = json!({"end": {
        "conversations": conversations, "messages": messages, "notifications": notifications, "uploads": uploads,
    }});
    give(&take, vec![end]).await
}

async fn give(take: &impl AsyncFn(String) -> bool, lines: Vec<Value>) -> Result<(), PersonalError> {
    if lines.is_empty() {
        return Ok(());
    }
    let text = lines.iter().fold(String::new(), |text, line| text + &line.to_string() + "\n");
    if take(text).await { Ok(()) } else { Err(PersonalError::Unwanted) }
}

fn account_line(account: &Account) -> Value {
    let Account {
        profile,
        status,
        last_seen,
        disabled: _,
        is_deleted: _,
        tokens_valid_from: _,
        kept_login: _,
        described_at: _,
        created_at,
    } = account;
    json!({"account": {
        "id": profile.id, "username": profile.username, "fullName": profile.full_name, "email": profile.email,
        "avatar": profile.avatar, "role": profile.role.as_str(), "status": status.as_str(), "lastSeen": last_seen,
        "createdAt": created_at,
    }})
}

fn own_conversations(conn: &mut AnyConnection, user: &UserId) -> QueryResult<Vec<Value>> {
    let memberships = load_memberships(conn, user)?;
    let mut lines = Vec::with_capacity(memberships.len());
    for membership in memberships {
        let id = membership.conversation.to_string();
        let (name, created_at): (Option<String>, i64) =
            conversations::table.find(&id).select((conversations::name, conversations::created_at)).first(conn)?;
        let other = match &membership.other {
            Some(other) => find_profiles(conn, std::slice::from_ref(other))?.pop(),
            None => None,
        };
        lines.push(json!({"conversation": {
            "id": id, "type": membership.kind.as_str(), "name": name, "calledByMe": membership.name,
            "with": other.map(|other| json!({"id": other.id, "username": other.username})),
            "createdAt": Timestamp::from_millis(created_at),
        }}));
    }
    Ok(lines)
}

/// Returns the conversations and rooms after `after` in which the user may have written, left ones included, each with
/// its last number.
fn places_after(conn: &mut AnyConnection, user: &UserId, after: &str) -> QueryResult<Vec<(String, i64)>> {
    let mut places: Vec<(String, i64)> = participants::table
        .inner_join(conversations::table.on(conversations::id.eq(participants::conversation)))
        .filter(participants::user_id.eq(user.as_str()).and(conversations::id.gt(after)))
        .order(conversations::id)
        .limit(PAGE)
        .select((conversations::id, conversations::last_seq))
        .load(conn)?;
    let rooms: Vec<(String, i64)> = rooms::table
        .filter(rooms::place.gt(after))
        .order(rooms::place)
        .limit(PAGE)
        .select((rooms::place, rooms::last_seq))
        .load(conn)?;
    places.extend(rooms);
    places.sort();
    // Entries beyond the end of the shorter list come with the next page.
    places.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    Ok(places)
}

/// Returns the user's messages within the next page of numbers.
fn own_messages(conn: &mut AnyConnection, user: &UserId, place: &str, after: i64) -> QueryResult<Vec<Value>> {
    type Row = (String, i64, i64, i64, String, String, Option<String>, Option<String>, Option<String>);
    let rows: Vec<Row> = messages::table
        .filter(messages::place.eq(place).and(messages::seq.gt(after)).and(messages::seq.le(after + PAGE)))
        .filter(messages::sender.eq(user.as_str()).and(messages::deleted_at.is_null()))
        .order(messages::seq)
        .select((
            messages::id,
            messages::seq,
            messages::created_at,
            messages::updated_at,
            messages::message_type,
            messages::content,
            messages::file,
            messages::attachments,
            messages::listing_id,
        ))
        .load(conn)?;
    let read = |text: Option<String>| text.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let lines = rows.into_iter().map(|(id, seq, created_at, updated_at, message_type, content, file, attachments, listing)| {
        json!({"message": {
            "id": id, "place": place, "seq": seq, "type": message_type, "content": content, "file": read(file),
            "attachments": read(attachments), "listingId": listing,
            "createdAt": Timestamp::from_millis(created_at), "updatedAt": Timestamp::from_millis(updated_at),
        }})
    });
    Ok(lines.collect())
}

/// End of a page in order of time.
type After = (i64, String);

fn own_notifications(conn: &mut AnyConnection, user: &UserId, after: &After) -> QueryResult<(Vec<Value>, Option<After>)> {
    type Row = (String, i64, String, String, Option<String>, Option<i64>);
    let (time, id) = after;
    let is_later = notifications::created_at.eq(time).and(notifications::id.gt(id)).or(notifications::created_at.gt(time));
    let rows: Vec<Row> = notifications::table
        .filter(notifications::user_id.eq(user.as_str()).and(notifications::created_at.ge(time)).and(is_later))
        .order((notifications::created_at, notifications::id))
        .limit(PAGE)
        .select((
            notifications::id,
            notifications::created_at,
            notifications::kind,
            notifications::message,
            notifications::data,
            notifications::read_at,
        ))
        .load(conn)?;
    let last = rows.last().map(|(id, created_at, ..)| (*created_at, id.clone()));
    let lines = rows.into_iter().map(|(id, created_at, kind, message, data, read_at)| {
        json!({"notification": {
            "id": id, "type": kind, "message": message, "read": read_at.is_some(),
            "data": data.and_then(|data| serde_json::from_str::<Value>(&data).ok()),
            "createdAt": Timestamp::from_millis(created_at),
        }})
    });
    Ok((lines.collect(), last))
}

fn own_uploads(conn: &mut AnyConnection, user: &UserId, after: &After) -> QueryResult<(Vec<Value>, Option<After>)> {
    let (time, url) = after;
    let is_later = uploads::uploaded_at.eq(time).and(uploads::url.gt(url)).or(uploads::uploaded_at.gt(time));
    let rows: Vec<(UploadRow, i64)> = uploads::table
        .filter(uploads::owner.eq(user.as_str()).and(uploads::uploaded_at.ge(time)).and(is_later))
        .order((uploads::uploaded_at, uploads::url))
        .limit(PAGE)
        .select((UploadRow::as_select(), uploads::uploaded_at))
        .load(conn)?;
    let files: Vec<(File, i64)> = rows
        .into_iter()
        .map(|(row, uploaded_at)| <(File, UserId)>::try_from(row).map(|(file, _)| (file, uploaded_at)))
        .collect::<QueryResult<_>>()?;
    let last = files.last().map(|(file, uploaded_at)| (*uploaded_at, file.url.clone()));
    let lines = files.into_iter().map(|(file, uploaded_at)| {
        let File { url, filename, size, mimetype, message_type } = file;
        json!({"upload": {
            "url": url, "filename": filename, "size": size, "mimetype": mimetype, "type": message_type,
            "uploadedAt": Timestamp::from_millis(uploaded_at),
        }})
    });
    Ok((lines.collect(), last))
}
