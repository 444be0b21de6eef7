//! An account goes.
use super::failure::Failure;
use super::settings::WebState;
use crate::chat::{Administer, ChatError, Command};
use crate::model::{ConversationKind, UserId};
use crate::store;

/// Deletes a user's account: out of the groups first, as when a member leaves, so that the others see it.
///
/// # Errors
/// 404 where there is no such user, 503 while the store is away: what was left by then stays left, and it can be tried again.
pub async fn delete_account(state: &WebState, user: &UserId) -> Result<(), Failure> {
    let asked = user.clone();
    let memberships = state.store.read_after_writes(move |conn| store::load_memberships(conn, &asked)).await?;
    for membership in memberships.into_iter().filter(|membership| membership.kind == ConversationKind::Group) {
        let leave = Command::RemoveParticipant { conversation: membership.conversation, participant: user.clone() };
        match state.chat.ask(user, leave).await {
            // Somebody was faster.
            Ok(_) | Err(ChatError::ConversationNotFound | ChatError::NotAMember | ChatError::UserNotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match state.chat.administer(Administer::Delete { user: user.clone() }).await? {
        true => Ok(()),
        false => Err(ChatError::UserNotFound.into()),
    }
}
