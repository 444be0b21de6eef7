//! Applies a batch of changes, in an order that lets similar ones share statements.
use diesel::QueryResult;
use diesel::prelude::*;

use super::outcome::{DONE, Outcome};
use super::webhook_rows::NewEvent;
use super::{
    audit, conversations, dead_letters, deletion, file_names, insert_postgres, insert_sqlite, listings, logins, messages,
    notifications, presence, progress, receipts, retention, users, webhook_rows, webhooks,
};
use crate::config::WebhookEvent;
use crate::store::connection::AnyConnection;
use crate::store::failure::StoreError;
use crate::store::file_names::{has_names, names_of};
use crate::store::rows::is_room;
use crate::store::subscribers::Subscribers;
use crate::store::write::{NewMessage, TestFault, Write, Written};

/// Applies `writes`; returns one outcome for each, in order.
///
/// # Errors
/// The database is unreachable or refuses one of them; the transaction must then be rolled back.
pub(in crate::store) fn apply(conn: &mut AnyConnection, writes: &[Write], wanted: &Subscribers) -> QueryResult<Vec<Outcome>> {
    let mut outcomes: Vec<Outcome> = vec![DONE; writes.len()];
    let (mut run, mut events) = (Run::default(), Vec::new());
    for (write, outcome) in writes.iter().zip(&mut outcomes) {
        match write {
            Write::Message(message) => run.messages.push((message, outcome)),
            Write::MarkRead { .. } | Write::EditMessage { .. } | Write::DeleteMessage { .. } | Write::Delivered(_) => {
                run.changes.push((write, outcome));
            }
            Write::Barrier => {}
            Write::AddParticipants { .. }
            | Write::DeleteConversation { .. }
            | Write::DeleteUser { .. }
            | Write::PruneMessages { .. }
            | Write::PruneDeleted { .. }
            | Write::DropFiles { .. } => {
                // These depend on the messages that the conversation or the file has by now.
                std::mem::take(&mut run).store(conn, wanted, &mut events)?;
                events.extend(webhooks::of_change(conn, wanted, write)?);
                *outcome = apply_one(conn, write)?;
            }
            Write::Unreached { checks, unreached } => {
                events.extend(webhooks::of_unreached(unreached));
                webhook_rows::delete_checks(conn, checks)?;
            }
            _ => {
                events.extend(webhooks::of_change(conn, wanted, write)?);
                *outcome = apply_one(conn, write)?;
            }
        }
    }
    run.store(conn, wanted, &mut events)?;
    if !events.is_empty() {
        webhook_rows::insert(conn, wanted, &events)?;
    }
    Ok(outcomes)
}

/// Returns whether [`apply`] needs only one statement for `writes`, and so no transaction: on Postgres, only messages
/// to conversations, or only to rooms, that refer to no files, and of which no webhook is told.
pub(in crate::store) fn is_one_statement(conn: &AnyConnection, writes: &[Write], wanted: &Subscribers) -> bool {
    let mut places = writes.iter().filter(|write| !matches!(write, Write::Barrier)).map(|write| match write {
        Write::Message(new) => (!has_names(&new.message) && !write.is_event(wanted)).then(|| is_room(&new.message.place)),
        _ => None,
    });
    let Some(first) = places.next() else { return true };
    matches!(conn, AnyConnection::Postgres(_)) && first.is_some() && places.all(|place| place == first)
}

/// A run of new messages, or of changes to stored messages.
#[derive(Default)]
struct Run<'a> {
    messages: Vec<(&'a NewMessage, &'a mut Outcome)>,
    changes: Vec<(&'a Write, &'a mut Outcome)>,
}

impl Run<'_> {
    /// Stores them, and adds their events to `events`.
    fn store(self, conn: &mut AnyConnection, wanted: &Subscribers, events: &mut Vec<NewEvent>) -> QueryResult<()> {
        let Self { messages, changes } = self;
        if !messages.is_empty() {
            let (new, outcomes): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
            let numbers = match conn {
                AnyConnection::Postgres(conn) => insert_postgres::insert_messages(conn, &new)?,
                AnyConnection::Sqlite(conn) => insert_sqlite::insert_messages(conn, &new)?,
            };
            // A repetition adds no references: an edit or deletion may have removed them since.
            let is_new = |new: &NewMessage| {
                let stored = numbers.get(new.message.id.as_uuid());
                stored.is_some_and(|stored| stored.position == new.message.position)
            };
            let named: Vec<_> = new.iter().filter(|new| is_new(new)).flat_map(|new| names_of(&new.message)).collect();
            file_names::insert(conn, &named)?;
            if wanted.want(WebhookEvent::MessageCreated) || wanted.want(WebhookEvent::MessageUnreached) {
                let stored: Vec<&NewMessage> = new.iter().copied().filter(|new| is_new(new)).collect();
                webhooks::note_messages(conn, wanted, &stored, events)?;
            }
            for (message, outcome) in new.into_iter().zip(outcomes) {
                // A message whose conversation does not exist gets no number.
                let stored = numbers.get(message.message.id.as_uuid()).ok_or(StoreError::Refused);
                *outcome = stored.map(|stored| Written::Message {
                    seq: stored.seq,
                    // A retried batch has the same position as before; a client's repetition has another.
                    is_repeat: stored.position != message.message.position,
                });
            }
        }
        let writes: Vec<&Write> = changes.iter().map(|(write, _)| *write).collect();
        progress::store(conn, &writes)?;
        let changed = messages::store(conn, changes)?;
        receipts::store(conn, &writes)?;
        events.extend(webhooks::of_changed_messages(conn, wanted, &changed)?);
        Ok(())
    }
}

fn apply_one(conn: &mut AnyConnection, write: &Write) -> QueryResult<Outcome> {
    match write {
        Write::CreateConversation { conversation, joined_position } => {
            conversations::create(conn, conversation, *joined_position)?;
        }
        Write::UpdateConversation { conversation, name, avatar, admin, updated_at } => {
            conversations::update(conn, *conversation, name.as_deref(), avatar.as_deref(), admin.as_ref(), *updated_at)?;
        }
        Write::NameConversation { owner, name, conversation, named_at } => {
            conversations::set_name(conn, owner, name, *conversation, *named_at)?;
        }
        Write::AddParticipants { conversation, users, joined_at, joined_position } => {
            conversations::add_participants(conn, *conversation, users, *joined_at, *joined_position)?;
        }
        Write::RemoveParticipant { conversation, user, left_at } => {
            conversations::remove_participant(conn, *conversation, user, *left_at)?;
        }
        Write::DeleteConversation { conversation } => conversations::delete(conn, *conversation)?,
        Write::CreateUser(user) => return users::create(conn, user),
        Write::UpdateProfile { user, full_name, avatar } => {
            users::update_profile(conn, user, full_name.as_ref(), avatar.as_ref())?;
        }
        Write::SetStatus { user, status } => users::set_status(conn, user, *status)?,
        Write::Online { came, gone, at } => presence::store(conn, came, gone, *at)?,
        Write::SetLastSeen { user, last_seen } => users::set_last_seen(conn, user, *last_seen)?,
        Write::SetPassword { user, password_hash, valid_from, kept_login } => {
            users::set_password(conn, user, password_hash, *valid_from, kept_login.as_deref())?;
        }
        Write::ChangeAccount(change) => return users::change(conn, change),
        Write::RenewPasswordHash { user, known, renewed } => users::renew_password_hash(conn, user, known, renewed)?,
        Write::Describe { user, description } => users::describe(conn, user, description)?,
        Write::SetRole { user, role, at } => users::set_role(conn, user, *role, *at)?,
        Write::DeleteUser { user, deleted_at, keeps_name } => deletion::delete_user(conn, user, *deleted_at, *keeps_name)?,
        Write::RevokeTokensOf { user, valid_from } => users::revoke_tokens_of(conn, user, *valid_from)?,
        Write::RevokeToken { key, until } => users::revoke_token(conn, key, *until)?,
        Write::NoteLogin(login) => logins::note(conn, login)?,
        Write::Audit(entry) => audit::insert(conn, entry)?,
        Write::ForgetAccountChanges { ids } => users::forget_account_changes(conn, ids)?,
        Write::Notify(new) => notifications::store(conn, new)?,
        Write::NotificationsSeen { user, ids, seen_at } => notifications::mark_seen(conn, user, ids.as_deref(), *seen_at)?,
        Write::NotificationsRead { user, ids, read_at } => notifications::mark_read(conn, user, ids.as_deref(), *read_at)?,
        Write::SetListingTitle { listing, title, updated_at } => listings::set_title(conn, listing, title, *updated_at)?,
        Write::Upload { file, owner, uploaded_at } => users::insert_upload(conn, file, owner, *uploaded_at)?,
        Write::PruneDeleted { place, limit } => return retention::prune_deleted(conn, place, *limit),
        Write::PruneMessages { place, before, limit } => return retention::prune_messages(conn, place, *before, *limit),
        Write::PruneNotifications { user, before, limit } => return retention::prune_notifications(conn, user, *before, *limit),
        Write::ReleaseFiles { urls } => file_names::release(conn, urls)?,
        Write::DropFiles { urls } => return file_names::drop_unnamed(conn, urls),
        Write::FilesRemoved { urls } => file_names::note_removed(conn, urls)?,
        Write::WebhookDelivered { numbers } => webhook_rows::delete_events(conn, numbers).map(drop)?,
        Write::BuryWebhookEvents { numbers, failure } => return pruned(dead_letters::bury(conn, numbers, failure)?),
        Write::ReplayWebhookEvents { numbers } => return pruned(dead_letters::replay(conn, numbers)?),
        Write::SkipWebhookEvents { numbers } => {
            return pruned(webhook_rows::delete_events(conn, numbers)? + dead_letters::delete_letters(conn, numbers)?);
        }
        Write::ForgetDeadLetters { before, most } => return pruned(dead_letters::forget_letters(conn, *before, *most)?),
        Write::TestFault(fault) => misbehave(conn, *fault)?,
        // All other changes are part of a run, or are events alone.
        Write::Message(_)
        | Write::Unreached { .. }
        | Write::MarkRead { .. }
        | Write::EditMessage { .. }
        | Write::DeleteMessage { .. }
        | Write::Delivered(_)
        | Write::Barrier => {}
    }
    Ok(DONE)
}

fn pruned(rows: usize) -> QueryResult<Outcome> {
    Ok(Ok(Written::Pruned { rows }))
}

#[expect(clippy::panic, reason = "a test asks for it")]
fn misbehave(conn: &mut AnyConnection, fault: TestFault) -> QueryResult<()> {
    match fault {
        TestFault::Poison => {
            diesel::sql_query("INSERT INTO boots (id, started_at, last_position) VALUES (-1, 0, 0)").execute(conn).map(drop)
        }
        TestFault::Panic => panic!("a test asked for this panic"),
    }
}
