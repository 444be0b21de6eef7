//! Routes of the explanations: they gather the facts.
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::message::{MessageFacts, explain_message};
use super::untold::UNTOLD_MAX;
use super::user::{UserFacts, explain_user};
use crate::admin::sessions::with_connections;
use crate::chat::{ChatError, ListSessions, MessageTrace, RoomKey, TraceMessage};
use crate::model::{Account, MessageId, Place, SocketId, UserId};
use crate::store;
use crate::web::{Admin, HttpError, WebState, find_stored, path_text};

/// Maximum number of sessions of a user that are considered.
const SESSIONS_MAX: usize = 50;
/// Maximum number of conversations with undelivered messages that are listed.
const UNDELIVERED_MAX: i64 = 20;
/// Maximum number of members of a conversation that are reported on.
const MEMBERS_MAX: usize = 50;

/// `GET /api/admin/explain/user/{who}`: a user's id, name or e-mail address, or the id of a socket.
pub(crate) async fn user(state: Data<WebState>, _: Admin, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let account = find(&state, path_text(&request, "who")).await?.ok_or(ChatError::UserNotFound)?;
    let id = account.profile.id.clone();
    let sessions = ListSessions { users: Some(vec![id.clone()]), after: None, limit: SESSIONS_MAX };
    let sessions = with_connections(&state, state.chat.list_sessions(sessions).await?).await;
    let trace = state.chat.trace_of(id.clone()).await?;
    let asked = id.clone();
    let stored = state.store.read(move |conn| {
        let undelivered = store::list_undelivered(conn, &asked, UNDELIVERED_MAX)?;
        Ok((undelivered, store::list_untold(conn, asked.as_str(), UNTOLD_MAX)?))
    });
    let (undelivered, untold) = stored.await?;
    let facts = UserFacts {
        account: &account,
        dialects: state.settings.dialects,
        sessions,
        trace,
        undelivered,
        untold,
        webhooks: state.webhooks.figures(),
    };
    let user =
        json!({"id": id, "username": account.profile.username, "email": account.profile.email, "disabled": account.disabled});
    Ok(HttpResponse::Ok().json(json!({"success": true, "user": user, "explanation": explain_user(&facts)})))
}

/// `GET /api/admin/explain/message/{id}`
pub(crate) async fn message(state: Data<WebState>, _: Admin, request: HttpRequest) -> Result<HttpResponse, HttpError> {
    let id = MessageId::parse(&path_text(&request, "id")).map_err(|_| HttpError::not_found("Message not found"))?;
    let found = state.store.read_after_writes(move |conn| {
        let Some(message) = store::find_message(conn, id)? else { return Ok(None) };
        let conversation = match message.place.conversation() {
            Some(conversation) => store::find_conversation(conn, conversation)?,
            None => None,
        };
        let untold = store::list_untold(conn, &id.to_string(), UNTOLD_MAX)?;
        Ok(Some((message, conversation, untold)))
    });
    let (message, conversation, untold) = found.await?.ok_or_else(|| HttpError::not_found("Message not found"))?;
    let members: Vec<UserId> = conversation.iter().flat_map(|conversation| &conversation.participants).cloned().collect();
    let spoken_of = || members.iter().filter(|member| **member != message.sender.id).take(MEMBERS_MAX).cloned();
    let trace = match &conversation {
        Some(conversation) => {
            let (kind, seq) = (conversation.kind, message.seq);
            let asked = TraceMessage { message: id, conversation: conversation.id, kind, seq, members: spoken_of().collect() };
            state.chat.trace_message(asked).await?
        }
        None => MessageTrace::default(),
    };
    let facts = MessageFacts {
        message: &message,
        conversation: conversation.as_ref(),
        members: spoken_of().collect(),
        trace,
        untold,
        webhooks: state.webhooks.figures(),
    };
    let shown = json!({"id": id, "senderId": message.sender.id, "place": place_name(&message.place), "seq": message.seq});
    Ok(HttpResponse::Ok().json(json!({"success": true, "message": shown, "explanation": explain_message(&facts)})))
}

fn place_name(place: &Place) -> String {
    RoomKey::of(place).to_string()
}

/// Finds a user by the id of a socket, a user id, a name or an e-mail address.
async fn find(state: &WebState, who: String) -> Result<Option<Account>, HttpError> {
    if let Ok(socket) = SocketId::parse(&who)
        && let Some(session) = state.chat.find_session(socket).await?
    {
        return Ok(find_stored(&state.store, &session.user).await?);
    }
    if let Ok(id) = UserId::parse(&who)
        && let Some(account) = find_stored(&state.store, &id).await?
    {
        return Ok(Some(account));
    }
    let found = state.store.read(move |conn| store::find_credentials(conn, &who)).await?;
    Ok(found.map(|(account, _)| account))
}
