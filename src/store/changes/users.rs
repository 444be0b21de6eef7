//! Users, their tokens and their uploads.
use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use log::warn;

use super::file_names;
use super::outcome::{DONE, Outcome};
use crate::model::{ChosenStatus, Description, File, MODEL_USER, Profile, Timestamp, UserId, UserRole, name_key, numbered_name};
use crate::store::connection::AnyConnection;
use crate::store::failure::StoreError;
use crate::store::file_names::picture_of_user;
use crate::store::queries::search::search_text;
use crate::store::queries::users::find_account;
use crate::store::rows::ProfileRow;
use crate::store::schema::{account_changes, unkeyed_users, users};
use crate::store::write::{AccountChange, NewUser, Written};

/// Creates a user, or returns the existing one with this id.
pub(super) fn create(conn: &mut AnyConnection, new: &NewUser) -> QueryResult<Outcome> {
    let NewUser { id, username, suffix_if_taken, email, full_name, password_hash, role, described_at, created_at } = new;
    let known = users::table.find(id.as_str()).select(ProfileRow::as_select()).first(conn).optional()?;
    if let Some(row) = known {
        return Ok(Ok(Written::User(row.try_into()?)));
    }
    let mut username = username.clone();
    if is_username_taken(conn, &username, id.as_str())? {
        if !suffix_if_taken {
            return Ok(Err(StoreError::Conflict("username")));
        }
        username = free_username(conn, &username, id.as_str())?;
    }
    let mut email = email.clone();
    if let Some(address) = &email
        && is_email_taken(conn, address, id.as_str())?
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
            users::username_key.eq(name_key(&username)),
            users::email.eq(&email),
            users::email_key.eq(email.as_deref().map(name_key)),
            users::password_hash.eq(password_hash),
            users::full_name.eq(full_name),
            users::search_text.eq(search_text(&username, full_name.as_deref())),
            users::role.eq(role.as_str()),
            users::status.eq(ChosenStatus::default().as_str()),
            users::disabled.eq(false),
            users::described_at.eq(described_at.map(Timestamp::as_millis)),
            users::created_at.eq(created_at.as_millis()),
        ))
        .execute(conn)?;
    let profile = Profile { id: id.clone(), username, full_name: full_name.clone(), avatar: None, email, role: *role };
    Ok(Ok(Written::User(Arc::new(profile))))
}

/// Returns whether another user has this username. A guest gives it up to an account, and is numbered.
fn is_username_taken(conn: &mut AnyConnection, username: &str, user: &str) -> QueryResult<bool> {
    let others = users::table.filter(users::username_key.eq(name_key(username)).and(users::id.ne(user)));
    let Some(holder) = others.select(users::id).first::<String>(conn).optional()? else { return Ok(false) };
    if !is_guest(&holder) || is_guest(user) {
        return Ok(true);
    }
    let numbered = free_username(conn, username, &holder)?;
    let columns = (
        users::username_key.eq(name_key(&numbered)),
        users::search_text.eq(search_text(&numbered, None)),
        users::username.eq(numbered),
    );
    diesel::update(users::table.find(holder)).set(columns).execute(conn)?;
    Ok(false)
}

fn is_guest(user: &str) -> bool {
    UserId::parse(user).is_ok_and(|id| id.is_guest())
}

/// Returns whether another user has this address.
fn is_email_taken(conn: &mut AnyConnection, email: &str, user: &str) -> QueryResult<bool> {
    let others = users::table.filter(users::email_key.eq(name_key(email)).and(users::id.ne(user)));
    others.select(users::id).first::<String>(conn).optional().map(|id| id.is_some())
}

/// Returns the username with the smallest free number appended, provided that the numbers in use have no gaps. Searched
/// by bisection, since thousands of users may want the same name.
fn free_username(conn: &mut AnyConnection, username: &str, user: &str) -> QueryResult<String> {
    let (mut taken, mut free) = (1u64, 2u64);
    while is_username_taken(conn, &numbered_name(username, free), user)? {
        taken = free;
        free = free.saturating_mul(2);
    }
    while free - taken > 1 {
        let middle = taken + (free - taken) / 2;
        if is_username_taken(conn, &numbered_name(username, middle), user)? {
            taken = middle;
        } else {
            free = middle;
        }
    }
    Ok(numbered_name(username, free))
}

pub(super) fn update_profile(
    conn: &mut AnyConnection,
    id: &UserId,
    full_name: Option<&Option<String>>,
    avatar: Option<&Option<String>>,
) -> QueryResult<()> {
    let user = users::table.find(id.as_str());
    let username: Option<String> = user.select(users::username).first(conn).optional()?;
    let Some(username) = username else { return Ok(()) };
    if let Some(full_name) = full_name {
        let columns = (users::full_name.eq(full_name), users::search_text.eq(search_text(&username, full_name.as_deref())));
        diesel::update(user).set(columns).execute(conn)?;
    }
    if let Some(avatar) = avatar {
        diesel::update(user).set(users::avatar.eq(avatar)).execute(conn)?;
        file_names::rename(conn, &picture_of_user(id), &[avatar.as_deref().unwrap_or_default()])?;
    }
    Ok(())
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

pub(super) fn change(conn: &mut AnyConnection, change: &AccountChange) -> QueryResult<Outcome> {
    let AccountChange { user: id, username, email, full_name, avatar, role, disabled, password_hash, kept_login, changed_at } =
        change;
    let Some(account) = find_account(conn, id)?.filter(|account| !account.is_deleted) else { return Ok(DONE) };
    if id.as_str() == MODEL_USER {
        return Ok(DONE);
    }
    if let Some(name) = username
        && is_username_taken(conn, name, id.as_str())?
    {
        return Ok(Err(StoreError::Conflict("username")));
    }
    if let Some(Some(address)) = email
        && (is_email_taken(conn, address, id.as_str())? || is_login_of_another(conn, address, id.as_str())?)
    {
        return Ok(Err(StoreError::Conflict("email")));
    }
    let user = users::table.find(id.as_str());
    let profile = &account.profile;
    let (username, email) = (username.as_ref().unwrap_or(&profile.username), email.as_ref().unwrap_or(&profile.email));
    let (full_name, role) = (full_name.as_ref().unwrap_or(&profile.full_name), role.unwrap_or(profile.role));
    let is_described_anew =
        (username, email, full_name, role) != (&profile.username, &profile.email, &profile.full_name, profile.role);
    let described_at = if is_described_anew { Some(*changed_at) } else { account.described_at };
    let columns = (
        users::username.eq(username),
        users::username_key.eq(name_key(username)),
        users::email.eq(email),
        users::email_key.eq(email.as_deref().map(name_key)),
        users::full_name.eq(full_name),
        users::search_text.eq(search_text(username, full_name.as_deref())),
        users::role.eq(role.as_str()),
        users::disabled.eq(disabled.unwrap_or(account.disabled)),
        users::described_at.eq(described_at.map(Timestamp::as_millis)),
    );
    diesel::update(user).set(columns).execute(conn)?;
    if let Some(avatar) = avatar {
        diesel::update(user).set(users::avatar.eq(avatar)).execute(conn)?;
        file_names::rename(conn, &picture_of_user(id), &[avatar.as_deref().unwrap_or_default()])?;
    }
    if let Some(password_hash) = password_hash {
        set_password(conn, id, password_hash, *changed_at, kept_login.as_deref())?;
    }
    Ok(DONE)
}

/// Returns whether another user logs in with this text as a name.
fn is_login_of_another(conn: &mut AnyConnection, text: &str, user: &str) -> QueryResult<bool> {
    let others = users::table.filter(users::username_key.eq(name_key(text)).and(users::id.ne(user)));
    let others = others.filter(users::password_hash.is_not_null());
    others.select(users::id).first::<String>(conn).optional().map(|id| id.is_some())
}

pub(super) fn renew_password_hash(conn: &mut AnyConnection, id: &UserId, known: &str, renewed: &str) -> QueryResult<()> {
    let unchanged = users::table.find(id.as_str()).filter(users::password_hash.eq(known));
    diesel::update(unchanged).set(users::password_hash.eq(renewed)).execute(conn).map(drop)
}

pub(super) fn set_role(conn: &mut AnyConnection, id: &UserId, role: UserRole, at: Timestamp) -> QueryResult<()> {
    let columns = (users::role.eq(role.as_str()), users::described_at.eq(at.as_millis()));
    diesel::update(users::table.find(id.as_str())).set(columns).execute(conn).map(drop)
}

pub(super) fn describe(conn: &mut AnyConnection, id: &UserId, description: &Description) -> QueryResult<()> {
    let Some(account) = find_account(conn, id)?.filter(|account| !account.is_deleted && !description.is_known(account)) else {
        return Ok(());
    };
    let Description { username, email, full_name, role, said_at } = description;
    let profile = &account.profile;
    let username = match username {
        Some(name) if is_username_taken(conn, name, id.as_str())? => free_username(conn, name, id.as_str())?,
        Some(name) => name.clone(),
        None => profile.username.clone(),
    };
    let email = match email {
        Some(address) if is_email_taken(conn, address, id.as_str())? => profile.email.clone(),
        Some(address) => Some(address.clone()),
        None => profile.email.clone(),
    };
    let full_name = full_name.clone().or_else(|| profile.full_name.clone());
    let columns = (
        users::username_key.eq(name_key(&username)),
        users::search_text.eq(search_text(&username, full_name.as_deref())),
        users::username.eq(username),
        users::email_key.eq(email.as_deref().map(name_key)),
        users::email.eq(email),
        users::full_name.eq(full_name),
        users::role.eq(role.unwrap_or(profile.role).as_str()),
        users::described_at.eq(said_at.or(account.described_at).map(Timestamp::as_millis)),
    );
    diesel::update(users::table.find(id.as_str())).set(columns).execute(conn).map(drop)
}

/// Updates the comparison keys of at most `limit` names, except where another user has the new key. Returns the number
/// of names that were outdated before.
pub(in crate::store) fn key_names(conn: &mut AnyConnection, limit: i64) -> QueryResult<usize> {
    let ids: Vec<String> =
        unkeyed_users::table.order(unkeyed_users::user_id).limit(limit).select(unkeyed_users::user_id).load(conn)?;
    for id in &ids {
        let columns = (users::username, users::email, users::full_name);
        let found: Option<(String, Option<String>, Option<String>)> =
            users::table.find(id).select(columns).first(conn).optional()?;
        if let Some((username, email, full_name)) = found {
            let user = users::table.find(id);
            if is_username_taken(conn, &username, id)? {
                warn!(user = id.as_str(); "another user has the same name under the present rules: this one can only be found by e-mail address");
            } else {
                diesel::update(user).set(users::username_key.eq(name_key(&username))).execute(conn)?;
            }
            if let Some(address) = email
                && !is_email_taken(conn, &address, id)?
            {
                diesel::update(user).set(users::email_key.eq(name_key(&address))).execute(conn)?;
            }
            diesel::update(user).set(users::search_text.eq(search_text(&username, full_name.as_deref()))).execute(conn)?;
        }
        diesel::delete(unkeyed_users::table.find(id)).execute(conn)?;
    }
    Ok(ids.len())
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

pub(super) fn forget_account_changes(conn: &mut AnyConnection, ids: &[i64]) -> QueryResult<()> {
    diesel::delete(account_changes::table.filter(account_changes::id.eq_any(ids))).execute(conn).map(drop)
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
