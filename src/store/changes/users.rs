//! Users, their tokens and their uploads.
use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::{Outcome, file_names};
use crate::model::{ChosenStatus, File, Profile, Timestamp, UserId, UserRole};
use crate::store::file_names::picture_of_user;
use crate::store::rows::ProfileRow;
use crate::store::schema::users;
use crate::store::users::{folded, search_text};
use crate::store::{AnyConnection, NewUser, StoreError, Written};

/// Usernames are no longer than this.
const USERNAME_CHARS: usize = 64;

/// Makes a user, or answers with the one that has this id already.
pub(super) fn create(conn: &mut AnyConnection, new: &NewUser) -> QueryResult<Outcome> {
    let NewUser { id, username, suffix_if_taken, email, full_name, password_hash, role, created_at } = new;
    let known = users::table.find(id.as_str()).select(ProfileRow::as_select()).first(conn).optional()?;
    if let Some(row) = known {
        return Ok(Ok(Written::User(row.try_into()?)));
    }
    let mut username = username.clone();
    if is_username_taken(conn, &username)? {
        if !suffix_if_taken {
            return Ok(Err(StoreError::Conflict("username")));
        }
        username = free_username(conn, &username)?;
    }
    let mut email = email.clone();
    if let Some(address) = &email
        && is_email_taken(conn, address)?
    {
        if !suffix_if_taken {
            return Ok(Err(StoreError::Conflict("email")));
        }
        email = None;
    }
    diesel::insert_into(users::table)
        .values((
            users::id.eq(id.as_str()),
            users::username.eq(&username),
            users::username_key.eq(folded(&username)),
            users::email.eq(&email),
            users::email_key.eq(email.as_deref().map(folded)),
            users::password_hash.eq(password_hash),
            users::full_name.eq(full_name),
            users::search_text.eq(search_text(&username, full_name.as_deref())),
            users::role.eq(role.as_str()),
            users::status.eq(ChosenStatus::default().as_str()),
            users::disabled.eq(false),
            users::created_at.eq(created_at.as_millis()),
        ))
        .execute(conn)?;
    let profile = Profile { id: id.clone(), username, full_name: full_name.clone(), avatar: None, email, role: *role };
    Ok(Ok(Written::User(Arc::new(profile))))
}

fn is_username_taken(conn: &mut AnyConnection, username: &str) -> QueryResult<bool> {
    let taken = users::table.filter(users::username_key.eq(folded(username))).select(users::id).first::<String>(conn);
    taken.optional().map(|id| id.is_some())
}

fn is_email_taken(conn: &mut AnyConnection, email: &str) -> QueryResult<bool> {
    let taken = users::table.filter(users::email_key.eq(folded(email))).select(users::id).first::<String>(conn);
    taken.optional().map(|id| id.is_some())
}

/// The username with a free number behind it. Found by halving, for thousands may want the same name: the smallest
/// one where no number was left out.
fn free_username(conn: &mut AnyConnection, username: &str) -> QueryResult<String> {
    let (mut taken, mut free) = (1u64, 2u64);
    while is_username_taken(conn, &numbered(username, free))? {
        taken = free;
        free = free.saturating_mul(2);
    }
    while free - taken > 1 {
        let middle = taken + (free - taken) / 2;
        if is_username_taken(conn, &numbered(username, middle))? {
            taken = middle;
        } else {
            free = middle;
        }
    }
    Ok(numbered(username, free))
}

fn numbered(username: &str, number: u64) -> String {
    let number = number.to_string();
    let kept: String = username.chars().take(USERNAME_CHARS.saturating_sub(number.len())).collect();
    kept + &number
}

pub(super) fn update_profile(
    conn: &mut AnyConnection,
    id: &UserId,
    full_name: Option<&str>,
    avatar: Option<&str>,
) -> QueryResult<()> {
    let username: Option<String> = users::table.find(id.as_str()).select(users::username).first(conn).optional()?;
    let Some(username) = username else { return Ok(()) };
    let columns =
        (users::full_name.eq(full_name), users::avatar.eq(avatar), users::search_text.eq(search_text(&username, full_name)));
    diesel::update(users::table.find(id.as_str())).set(columns).execute(conn)?;
    file_names::rename(conn, &picture_of_user(id), &[avatar.unwrap_or_default()])
}

pub(super) fn set_status(conn: &mut AnyConnection, id: &UserId, status: ChosenStatus) -> QueryResult<()> {
    diesel::update(users::table.find(id.as_str())).set(users::status.eq(status.as_str())).execute(conn).map(drop)
}

pub(super) fn set_last_seen(conn: &mut AnyConnection, id: &UserId, last_seen: Timestamp) -> QueryResult<()> {
    let present = users::table.find(id.as_str()).filter(users::deleted_at.is_null());
    diesel::update(present).set(users::last_seen.eq(last_seen.as_millis())).execute(conn).map(drop)
}

pub(super) fn set_password(
    conn: &mut AnyConnection,
    id: &UserId,
    password_hash: &str,
    valid_from: Timestamp,
    kept_login: Option<&str>,
) -> QueryResult<()> {
    let columns = (
        users::password_hash.eq(password_hash),
        users::tokens_valid_from.eq(valid_from.as_millis()),
        users::kept_login.eq(kept_login),
    );
    diesel::update(users::table.find(id.as_str())).set(columns).execute(conn).map(drop)
}

pub(super) fn set_role(conn: &mut AnyConnection, id: &UserId, role: UserRole) -> QueryResult<()> {
    diesel::update(users::table.find(id.as_str())).set(users::role.eq(role.as_str())).execute(conn).map(drop)
}

pub(super) fn set_disabled(conn: &mut AnyConnection, id: &UserId, disabled: bool) -> QueryResult<()> {
    diesel::update(users::table.find(id.as_str())).set(users::disabled.eq(disabled)).execute(conn).map(drop)
}

pub(super) fn revoke_tokens_of(conn: &mut AnyConnection, id: &UserId, valid_from: Timestamp) -> QueryResult<()> {
    let changes = (users::tokens_valid_from.eq(valid_from.as_millis()), users::kept_login.eq(None::<String>));
    diesel::update(users::table.find(id.as_str())).set(changes).execute(conn).map(drop)
}

pub(super) fn revoke_token(conn: &mut AnyConnection, key: &str, until: Timestamp) -> QueryResult<()> {
    diesel::sql_query(
        "INSERT INTO revoked_tokens (token_key, revoked_until) VALUES ($1, $2) ON CONFLICT (token_key) DO UPDATE SET \
         revoked_until = excluded.revoked_until WHERE revoked_tokens.revoked_until < excluded.revoked_until",
    )
    .bind::<Text, _>(key)
    .bind::<BigInt, _>(until.as_millis())
    .execute(conn)
    .map(drop)
}

pub(super) fn insert_upload(conn: &mut AnyConnection, file: &File, owner: &UserId, uploaded_at: Timestamp) -> QueryResult<()> {
    let File { url, filename, size, mimetype, message_type } = file;
    diesel::sql_query(
        "INSERT INTO uploads (url, owner, filename, size, mimetype, message_type, uploaded_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (url) DO NOTHING",
    )
    .bind::<Text, _>(url)
    .bind::<Text, _>(owner.as_str())
    .bind::<Text, _>(filename)
    .bind::<BigInt, _>(size)
    .bind::<Text, _>(mimetype)
    .bind::<Text, _>(message_type)
    .bind::<BigInt, _>(uploaded_at.as_millis())
    .execute(conn)
    .map(drop)
}
