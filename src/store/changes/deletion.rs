//! Deletion of a user: personal data is deleted, messages to others stay, under an author without a name.
use diesel::prelude::*;

use super::{conversations, file_names, logins, withdrawal};
use crate::model::{ChosenStatus, ConversationId, ConversationKind, DELETED_NAME, MODEL_USER, Timestamp, UserId, UserRole};
use crate::store::connection::AnyConnection;
use crate::store::file_names::picture_of_user;
use crate::store::rows::conversation_id;
use crate::store::schema::{
    conversation_names, conversations as conversation_rows, notifications, online_users, participants, uploads, users,
};
use crate::store::write::direct_key;

/// Deletes a user, who leaves all groups; `keeps_name`: what the user wrote stays under the username. Has no effect on a
/// user who is deleted or unknown.
pub(super) fn delete_user(conn: &mut AnyConnection, user: &UserId, deleted_at: Timestamp, keeps_name: bool) -> QueryResult<()> {
    let known = users::table.find(user.as_str()).filter(users::deleted_at.is_null()).select(users::username);
    let Some(username) = known.first::<String>(conn).optional()?.filter(|_| user.as_str() != MODEL_USER) else {
        return Ok(());
    };
    leave(conn, user, deleted_at)?;
    diesel::delete(conversation_names::table.filter(conversation_names::owner.eq(user.as_str()))).execute(conn)?;
    diesel::delete(online_users::table.find(user.as_str())).execute(conn)?;
    diesel::delete(notifications::table.filter(notifications::user_id.eq(user.as_str()))).execute(conn)?;
    logins::forget_of(conn, user.as_str())?;
    file_names::rename(conn, &picture_of_user(user), &[])?;
    file_names::release_own(conn, user.as_str())?;
    // Files used in messages stay, without an owner.
    diesel::update(uploads::table.filter(uploads::owner.eq(user.as_str()))).set(uploads::owner.eq(MODEL_USER)).execute(conn)?;
    let nothing = None::<String>;
    let personal = (
        users::username.eq(if keeps_name { &*username } else { DELETED_NAME }),
        // Keys of names contain no line break, so no other user can have this one.
        users::username_key.eq(format!("deleted\n{user}")),
        users::email.eq(&nothing),
        users::email_key.eq(&nothing),
        users::password_hash.eq(&nothing),
        users::full_name.eq(&nothing),
        users::avatar.eq(&nothing),
        users::search_text.eq(""),
        users::role.eq(UserRole::User.as_str()),
        users::status.eq(ChosenStatus::Offline.as_str()),
        users::last_seen.eq(None::<i64>),
        users::kept_login.eq(&nothing),
        users::tokens_valid_from.eq(deleted_at.as_millis()),
        users::deleted_at.eq(deleted_at.as_millis()),
    );
    diesel::update(users::table.find(user.as_str())).set(personal).execute(conn)?;
    withdrawal::forget_author(conn, user)
}

/// Leaves all groups: each gets another administrator, or is deleted if it has no other member. Chats with the model or
/// with oneself are deleted, since nobody else saw them. Direct conversations stay for the other user.
fn leave(conn: &mut AnyConnection, user: &UserId, left_at: Timestamp) -> QueryResult<()> {
    type Row = (String, String, Option<String>, Option<String>);
    let own: Vec<Row> = participants::table
        .inner_join(conversation_rows::table.on(conversation_rows::id.eq(participants::conversation)))
        .filter(participants::user_id.eq(user.as_str()).and(participants::left_at.is_null()))
        .select((conversation_rows::id, conversation_rows::kind, conversation_rows::admin, conversation_rows::direct_key))
        .load(conn)?;
    let with_oneself = direct_key(user, user);
    for (id, kind, admin, key) in own {
        let conversation = conversation_id(&id)?;
        let is_nobody_elses = kind == ConversationKind::Ai.as_str() || key.as_ref() == Some(&with_oneself);
        if is_nobody_elses {
            conversations::delete(conn, conversation)?;
        } else if kind == ConversationKind::Group.as_str() {
            leave_group(conn, user, conversation, admin.as_deref() == Some(user.as_str()), left_at)?;
        }
    }
    Ok(())
}

fn leave_group(
    conn: &mut AnyConnection,
    user: &UserId,
    id: ConversationId,
    is_admin: bool,
    left_at: Timestamp,
) -> QueryResult<()> {
    let heir: Option<String> = participants::table
        .filter(participants::conversation.eq(id.to_string()).and(participants::left_at.is_null()))
        .filter(participants::user_id.ne(user.as_str()))
        .order((participants::joined_at, participants::joined_rank, participants::user_id))
        .select(participants::user_id)
        .first(conn)
        .optional()?;
    let Some(heir) = heir else { return conversations::delete(conn, id) };
    if is_admin {
        let group = conversation_rows::table.find(id.to_string());
        diesel::update(group).set(conversation_rows::admin.eq(heir)).execute(conn)?;
    }
    conversations::remove_participant(conn, id, user, left_at)
}
