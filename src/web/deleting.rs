//! Deletion of accounts, and of guests who are gone.
use super::chat::Chat;
use super::http_error::HttpError;
use super::settings::WebState;
use crate::chat::{Administer, ChatError, Command};
use crate::model::{ConversationKind, UserId};
use crate::store::{self, Store};

/// Deletes a user's account. The user first leaves all groups, as by a normal leave, so that the other members see it.
///
/// # Errors
/// 404 if there is no such user, 503 if the store is unavailable: groups left by then stay left, and the call can be
/// repeated.
pub async fn delete_account(state: &WebState, user: &UserId) -> Result<(), HttpError> {
    leave_groups(&state.store, &state.chat, user).await?;
    match state.chat.administer(Administer::Delete { user: user.clone(), keeps_name: false }).await? {
        true => Ok(()),
        false => Err(ChatError::UserNotFound.into()),
    }
}

/// Deletes a guest, unless a session of the guest is there; what the guest wrote stays under the name. Returns whether it
/// was deleted.
///
/// # Errors
/// As [`delete_account`].
pub async fn delete_absent_guest(store: &Store, chat: &Chat, guest: &UserId) -> Result<bool, HttpError> {
    if !chat.sockets_of(guest.clone()).await?.is_empty() {
        return Ok(false);
    }
    leave_groups(store, chat, guest).await?;
    chat.administer(Administer::Delete { user: guest.clone(), keeps_name: true }).await
}

async fn leave_groups(store: &Store, chat: &Chat, user: &UserId) -> Result<(), HttpError> {
    let asked = user.clone();
    let memberships = store.read_after_writes(move |conn| store::load_memberships(conn, &asked)).await?;
    for membership in memberships.into_iter().filter(|membership| membership.kind == ConversationKind::Group) {
        let leave = Command::RemoveParticipant { conversation: membership.conversation, participant: user.clone() };
        match chat.ask(user, leave).await {
            // Another request was faster.
            Ok(_) | Err(ChatError::ConversationNotFound | ChatError::NotAMember | ChatError::UserNotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
