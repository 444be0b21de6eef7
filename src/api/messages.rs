//! Sending, editing and deleting messages, by the same commands as over sockets.
use std::sync::Arc;

use actix_web::web::Data;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::conversations::conversation_in_path;
use super::shapes::MessageView;
use crate::chat::{ChatError, Command, Draft, SendTo, Sent};
use crate::model::limits::{ATTACHMENTS_MAX, ID_MAX, TYPE_MAX};
use crate::model::{ConversationId, ListingId, Message, MessageId, RoomId, UserId, upload_path};
use crate::web::{
    Actor, ActsOn, Admin, AuthenticatedUser, Body, HttpError, USER_NAME_MAX, WebState, changed, find_user, path_text,
};

/// `POST /api/conversations/{id}/messages` `{content?,type?,file?,attachments?,clientMessageId?}`
pub(super) async fn send(
    state: Data<WebState>,
    user: AuthenticatedUser,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, HttpError> {
    let conversation = conversation_in_path(&request)?;
    let command = Command::Send { to: SendTo::Conversation(conversation), draft: draft(&body)? };
    let sent = state.chat.ask_for(user.id(), command).await?;
    Ok(sent_response(&sent))
}

fn sent_response(Sent { message, status, .. }: &Sent) -> HttpResponse {
    HttpResponse::Created().json(json!({"success": true, "message": MessageView::new(message), "status": status.as_str()}))
}

fn draft(body: &Body) -> Result<Draft, HttpError> {
    let attachment_urls = match body.get("attachments") {
        None => Vec::new(),
        Some(Value::Array(files)) if files.len() <= ATTACHMENTS_MAX => {
            files.iter().map(file_url).collect::<Option<_>>().ok_or_else(|| HttpError::invalid("attachments"))?
        }
        Some(_) => return Err(HttpError::invalid("attachments")),
    };
    let draft = Draft {
        content: body.optional_text("content")?.unwrap_or_default().to_owned(),
        message_type: body.bounded_text("type", 1, TYPE_MAX)?.map(str::to_owned),
        file_url: body.get("file").map(|file| file_url(file).ok_or_else(|| HttpError::invalid("file"))).transpose()?,
        attachment_urls,
        listing_id: listing(body)?,
        client_message_id: body.id_text("clientMessageId", 1, ID_MAX)?,
    };
    if draft.content.is_empty() && draft.file_url.is_none() && draft.attachment_urls.is_empty() {
        return Err(if body.get("content").is_none() { HttpError::missing("content") } else { HttpError::invalid("content") });
    }
    Ok(draft)
}

fn listing(body: &Body) -> Result<Option<ListingId>, HttpError> {
    let id = body.id_text("listingId", 1, ID_MAX)?;
    id.map(|id| ListingId::parse(&id).map_err(|_| HttpError::invalid("listingId"))).transpose()
}

/// Returns the address in a file as answered by the upload; its other fields are ignored.
fn file_url(file: &Value) -> Option<String> {
    file.as_object()?.get("url")?.as_str().map(|url| upload_path(url).to_owned())
}

/// `POST /api/messages` `{from?,to:{user|conversation|room|commonChat},content,…}`: users send as themselves; a server
/// with a key names the sender in `from`.
pub(super) async fn post(
    state: Data<WebState>,
    server: Result<Admin, HttpError>,
    user: Result<AuthenticatedUser, HttpError>,
    request: HttpRequest,
    body: Result<Body, HttpError>,
) -> Result<HttpResponse, HttpError> {
    // An unauthenticated caller must get 401 before any complaint about the body.
    let body = if server.is_ok() || user.is_ok() { body? } else { Body::default() };
    let by_address = server.is_ok();
    let from = match (server, user) {
        (Ok(Admin { claims: None }), _) => {
            let speaker = speaker(&state, &body).await?;
            request.extensions_mut().insert(ActsOn(format!("from {speaker}")));
            speaker
        }
        (_, Ok(user)) => {
            let is_own = body.get("from").is_none_or(|from| from.as_str() == Some(user.id().as_str()));
            if !is_own {
                return Err(HttpError::forbidden("Only a server with a key speaks for others"));
            }
            // Here, an administrator sends as a plain user, so the audit has no entry.
            request.extensions_mut().remove::<Actor>();
            user.id().clone()
        }
        (Err(http_error), _) | (_, Err(http_error)) => return Err(http_error),
    };
    let command = addressed(&state, &body, by_address).await?;
    let sent = state.chat.ask_for(&from, command).await?;
    Ok(sent_response(&sent))
}

/// Returns the user on whose behalf a server sends.
async fn speaker(state: &WebState, body: &Body) -> Result<UserId, HttpError> {
    let name = body.bounded_text("from", 1, USER_NAME_MAX)?.ok_or_else(|| HttpError::bad_request("from is required"))?;
    let account = find_user(state, name, true).await?;
    if account.disabled {
        return Err(HttpError::forbidden("The account that it is from is disabled"));
    }
    Ok(account.profile.id.clone())
}

/// Parses the message and its target. `by_address`: the target may be named by e-mail address.
async fn addressed(state: &WebState, body: &Body, by_address: bool) -> Result<Command, HttpError> {
    let draft = draft(body)?;
    let to = body.object("to")?.ok_or_else(|| HttpError::bad_request("to is required"))?;
    let names = [
        to.bounded_text("user", 1, USER_NAME_MAX)?,
        to.bounded_text("conversation", 1, USER_NAME_MAX)?,
        to.bounded_text("room", 1, USER_NAME_MAX)?,
    ];
    let is_common = to.get("commonChat").is_some_and(|value| *value == Value::Bool(true));
    match (names, is_common) {
        ([Some(user), None, None], false) => {
            let recipient = find_user(state, user, by_address).await?.profile.id.clone();
            Ok(Command::Send { to: SendTo::User(recipient), draft })
        }
        ([None, Some(id), None], false) => {
            let conversation = ConversationId::parse(id).map_err(|_| ChatError::ConversationNotFound)?;
            Ok(Command::Send { to: SendTo::Conversation(conversation), draft })
        }
        ([None, None, Some(name)], false) => {
            let room = RoomId::parse(name).map_err(|_| HttpError::invalid("to.room"))?;
            Ok(Command::Send { to: SendTo::Room { room, shown_as: json!(name).to_string().into() }, draft })
        }
        ([None, None, None], true) => Ok(Command::Send { to: SendTo::CommonChat, draft }),
        ([None, None, None], false) => Err(HttpError::invalid("to: it names nobody")),
        _ => Err(HttpError::invalid("to: it names more than one")),
    }
}

/// `PATCH /api/messages/{id}` `{content}`
pub(super) async fn edit(
    state: Data<WebState>,
    user: AuthenticatedUser,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, HttpError> {
    let message = message_in_path(&request)?;
    let content = body.text("content")?.to_owned();
    let message: Arc<Message> = state.chat.ask_for(user.id(), Command::EditMessage { message, content }).await?;
    Ok(changed(json!({"message": MessageView::new(&message)}), body.ignored(&["content"])))
}

/// `DELETE /api/messages/{id}`
pub(super) async fn remove(
    state: Data<WebState>,
    user: AuthenticatedUser,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    state.chat.ask(user.id(), Command::DeleteMessage { message: message_in_path(&request)? }).await?;
    Ok(HttpResponse::Ok().json(json!({"success": true})))
}

fn message_in_path(request: &HttpRequest) -> Result<MessageId, ChatError> {
    MessageId::parse(&path_text(request, "id")).map_err(|_| ChatError::MessageNotFound)
}
