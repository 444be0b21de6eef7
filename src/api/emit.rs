//! Events emitted by other servers.
use actix_web::web::Data;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

use super::limits::{EVENT_MAX, ROOM_MAX};
use super::notifications::worded_notification;
use crate::chat::{Command, Emit, EmitTo, Emitted, Notified};
use crate::dialect::{NOTIFICATION_EVENT, parse_room};
use crate::model::ConversationId;
use crate::socketio::is_reserved;
use crate::web::{ActsOn, Admin, Body, Chat, HttpError, WebState};

/// `POST /api/emit` `{to:{user|room|conversation|all},event,data}`
///
/// `data` is the event's single argument, any JSON. Stock clients whose CONNECT was answered with a `pid` take a text
/// at the end of an event for a recovery offset; with those, our own offset stands behind it.
pub(super) async fn emit(state: Data<WebState>, _: Admin, request: HttpRequest, body: Body) -> Result<HttpResponse, HttpError> {
    let wanted = Wanted::read(&body)?;
    let name = &wanted.event.name;
    request.extensions_mut().insert(ActsOn(format!("{} (event: {name})", body.get("to").unwrap_or(&Value::Null))));
    let sockets = wanted.run(&state.chat).await?;
    Ok(HttpResponse::Ok().json(json!({"success": true, "sockets": sockets})))
}

/// Emits events, each given as the body of `POST /api/emit`: all, or, if one of them is wrong, none.
///
/// # Errors
/// The first one's refusal.
pub(crate) async fn emit_all(chat: &Chat, bodies: Vec<Map<String, Value>>) -> Result<(), HttpError> {
    let wanted = bodies.into_iter().map(|fields| Wanted::read(&Body::of(fields)?)).collect::<Result<Vec<_>, _>>()?;
    for wanted in wanted {
        wanted.run(chat).await?;
    }
    Ok(())
}

/// An event that is to be emitted.
struct Wanted {
    /// `None`: a target that cannot exist.
    to: Option<EmitTo>,
    event: Emitted,
    /// The event is a notification of these words, which is stored, too.
    notification: Option<(String, String, Option<String>)>,
}

impl Wanted {
    fn read(body: &Body) -> Result<Self, HttpError> {
        let to = target(body)?;
        let name = body.bounded_text("event", 1, EVENT_MAX)?.ok_or_else(|| HttpError::missing("event"))?;
        if is_reserved(name) {
            return Err(HttpError::bad_request(format!("Invalid event: {name} is reserved")));
        }
        let data = body.get("data");
        let is_notification = name == NOTIFICATION_EVENT && matches!(to, Some(EmitTo::User(_)));
        let notification = is_notification.then(|| worded_notification(data)).transpose()?;
        let event = Emitted { name: name.into(), data: data.map(|data| data.to_string().into()) };
        Ok(Self { to, event, notification })
    }

    /// Emits it; returns the number of sockets.
    async fn run(self, chat: &Chat) -> Result<usize, HttpError> {
        match self {
            Self { to: Some(EmitTo::User(user)), event, notification: Some((kind, message, data)) } => {
                // Also stored, so a user who is offline gets it later.
                let command = Command::Notify { kind, message, data, emitted: Some(event) };
                let Notified { sockets, .. } = chat.ask_for(&user, command).await?;
                Ok(sockets)
            }
            Self { to: Some(to), event, .. } => Ok(chat.emit(Emit { to, event }).await?),
            Self { to: None, .. } => Ok(0),
        }
    }
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
