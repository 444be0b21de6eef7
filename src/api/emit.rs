//! Events emitted by other servers.
use actix_web::web::Data;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::limits::{EVENT_MAX, ROOM_MAX};
use super::notifications::worded_notification;
use crate::chat::{Command, Emit, EmitTo, Emitted, Notified};
use crate::dialect::{NOTIFICATION_EVENT, parse_room};
use crate::model::{ConversationId, UserId};
use crate::socketio::is_reserved;
use crate::web::{ActsOn, Admin, Body, HttpError, WebState};

/// `POST /api/emit` `{to:{user|room|conversation|all},event,data}`
///
/// `data` is the event's single argument, any JSON. Stock clients whose CONNECT was answered with a `pid` take a text
/// at the end of an event for a recovery offset; with those, our own offset stands behind it.
pub(super) async fn emit(state: Data<WebState>, _: Admin, request: HttpRequest, body: Body) -> Result<HttpResponse, HttpError> {
    let to = target(&body)?;
    let name = body.bounded_text("event", 1, EVENT_MAX)?.ok_or_else(|| HttpError::missing("event"))?;
    if is_reserved(name) {
        return Err(HttpError::bad_request(format!("Invalid event: {name} is reserved")));
    }
    request.extensions_mut().insert(ActsOn(format!("{} (event: {name})", body.get("to").unwrap_or(&Value::Null))));
    let data = body.get("data");
    let event = Emitted { name: name.into(), data: data.map(|data| data.to_string().into()) };
    let sockets = match to {
        Some(EmitTo::User(user)) if name == NOTIFICATION_EVENT => notify(&state, &user, event, data).await?,
        Some(to) => state.chat.emit(Emit { to, event }).await?,
        None => 0,
    };
    Ok(HttpResponse::Ok().json(json!({"success": true, "sockets": sockets})))
}

/// Notifies a user. The notification is also stored, so a user who is offline gets it later.
async fn notify(state: &WebState, user: &UserId, event: Emitted, data: Option<&Value>) -> Result<usize, HttpError> {
    let (kind, message, data) = worded_notification(data)?;
    let command = Command::Notify { kind, message, data, emitted: Some(event) };
    let Notified { sockets, .. } = state.chat.ask_for(user, command).await?;
    Ok(sockets)
}

/// Parses the target; `None` if it names something that cannot exist.
fn target(body: &Body) -> Result<Option<EmitTo>, HttpError> {
    let to = body.object("to")?.ok_or_else(|| HttpError::bad_request("to is required"))?;
    let all = match to.get("all") {
        None | Some(Value::Bool(false)) => None,
        Some(Value::Bool(true)) => Some(EmitTo::Everyone),
        Some(_) => return Err(HttpError::invalid("to.all")),
    };
    let user = to.get("user").map(|_| to.user("user").map_err(|_| HttpError::invalid("to.user"))).transpose()?;
    let room = to.id_text("room", 1, ROOM_MAX).map_err(|_| HttpError::invalid("to.room"))?;
    let conversation = to.id_text("conversation", 1, ROOM_MAX).map_err(|_| HttpError::invalid("to.conversation"))?;
    let room = room.map(|room| parse_room(&room));
    let conversation = conversation.map(|id| ConversationId::parse(&id).ok().map(EmitTo::Conversation));
    let mut named = [all.map(Some), user.map(EmitTo::User).map(Some), room, conversation].into_iter().flatten();
    match (named.next(), named.next()) {
        (Some(target), None) => Ok(target),
        (None, _) => Err(HttpError::invalid("to: it names nobody")),
        (Some(_), Some(_)) => Err(HttpError::invalid("to: it names more than one")),
    }
}
