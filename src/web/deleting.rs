//! Deletion of accounts.
use super::http_error::HttpError;
use super::settings::WebState;
use crate::chat::{Administer, ChatError, Command};
use crate::model::{ConversationKind, UserId};
use crate::store;

/// Deletes a user's account. The user first leaves all groups, as by a normal leave, so that the other members see it.
///
/// # Errors
/// 404 if there is no such user, 503 if the store is unavailable: groups left by then stay left, and the call can be
/// repeated.
pub async fn delete_account(state: &WebState, user: &UserId) -> Result<(), HttpError> {
    let asked = user.clone();
    let memberships = state.store.read_after_writes(move |conn| store::load_memberships(conn, &asked)).await?;
    for membership in memberships.into_iter().filter(|membership| membership.kind == ConversationKind::Group) {
        let leave = Command::RemoveParticipant { conversation: membership.conversation, participant: user.clone() };
        match state.chat.ask(user, leave).await {
            // Another request was faster.
            Ok(_) | Err(ChatError::ConversationNotFound | ChatError::NotAMember | ChatError::UserNotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match state.chat.administer(Administer::Delete { user: user.clone() }).await? {
        true => Ok(()),
        false => Err(ChatError::UserNotFound.into()),
    }
}
