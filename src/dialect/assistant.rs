//! `assistant`: one user talks with an AI model.
//!
//! ```text
//! → 42["ai-message",{"chatId":"c-1","chat":"c-1","content":"Why is the sky blue?"}]
//! ← 42["ai-response",{"chat":"c-1","content":"Because air scatters blue light most."}]
//! ← 42["ai-error",{"chat":"c-1","message":"The model could not answer, try again","error":"The model could not …","code":"MODEL_FAILED"}]
//! ```
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::value::RawValue;

use super::argument_schemas::{CLIENT_MESSAGE_ID, SOME_CONTENT, id, id_text};
use super::events::{ClientEvent, EventDoc, ServerEvent};
use super::fields::Payload;
use super::packets::{Packets, one, packet, to_json};
use super::refusal::{Code, RefusedAck};
use super::request_error::{RequestError, Wording};
use super::vocabulary::{Asked, Decoded, Vocabulary};
use crate::auth::AuthError;
use crate::chat::{Capabilities, ChatError, Command, Draft, Event, Reply, SendTo};
use crate::logging::ErrorId;
use crate::model::{ConversationKind, Role, UserId};
use crate::schema::{Field, Shape, either, kinds};
use crate::socketio::Args;

/// Longest `chat` echoed in an answer, in bytes: it is stored with the answer.
const CHAT_MAX_BYTES: usize = 64 * 1024;

/// The vocabulary of this front end.
#[derive(Debug)]
pub(super) struct Assistant;

impl Vocabulary for Assistant {
    fn name(&self) -> &'static str {
        "assistant"
    }

    fn events(&self) -> &'static [ClientEvent] {
        const EVENTS: &[ClientEvent] = &[ClientEvent::work("ai-message").doc(&EventDoc {
            summary: "Asks the model; the question is stored, and the answer comes as ai-response. chat comes back with it.",
            takes: Shape::ObjectWith(
                &[
                    Field::optional("chatId", id),
                    Field::optional("chat", kinds::anything),
                    SOME_CONTENT,
                    Field::optional("stream", kinds::flag),
                    CLIENT_MESSAGE_ID,
                ],
                &[&[Field::required("chatId", id), Field::required("chat", id_text)]],
            ),
            ack: either::<Stored, RefusedAck>,
            is_acked: false,
            reply: None,
        })];
        EVENTS
    }

    fn server_events(&self) -> &'static [ServerEvent] {
        const SERVER_EVENTS: &[ServerEvent] = &[
            ServerEvent::either(
                "ai-response",
                either::<Answer, Apology>,
                "The model's answer; or, where assistant was not pinned, what to show instead of one.",
            ),
            ServerEvent::unplaced(
                "ai-response-chunk",
                SchemaGenerator::subschema_for::<Piece>,
                "A piece of the answer, where the question had stream: true.",
            ),
            ServerEvent::either("ai-error", SchemaGenerator::subschema_for::<Failure>, "There is no answer; asking again works."),
        ];
        SERVER_EVENTS
    }

    fn decode(&self, asked: &mut Asked, args: &Args) -> Result<Decoded, RequestError> {
        if asked.event != "ai-message" {
            return Err(RequestError::UnknownEvent);
        }
        asked.echo = shown_as(args).into();
        let payload = Payload::of(args)?;
        let (chat, chat_id) = (payload.field("chat"), payload.field("chatId"));
        if asked.echo.len() > CHAT_MAX_BYTES {
            asked.echo = "".into();
            return Err(ChatError::TooLarge("the chat").into());
        }
        let name = match chat_id.id()? {
            Some(name) => name,
            None if asked.echo.starts_with('"') => chat.id()?.ok_or_else(|| chat.request_error())?,
            None => return Err(chat_id.request_error()),
        };
        let content = payload.field("content");
        let draft = Draft {
            content: content.text()?.filter(|content| !content.is_empty()).ok_or_else(|| content.request_error())?,
            client_message_id: payload.field("clientMessageId").id()?,
            ..Draft::default()
        };
        let stream = payload.field("stream").flag()?.unwrap_or_default();
        Ok(Command::Send { to: SendTo::Model { chat: name, shown_as: asked.echo.clone(), stream }, draft }.into())
    }

    fn encode(&self, event: &Event) -> Option<Packets> {
        let text = match event {
            Event::Message { message, kind: ConversationKind::Ai, recipient: _ } if message.role == Role::Model => {
                let chat = message.chat.as_deref().unwrap_or_default();
                let truncated = message.is_truncated.then_some(true);
                packet("ai-response", &Answer { chat: raw(chat), content: &message.content, truncated })
            }
            Event::AnswerPiece { chat, delta, done } => {
                packet("ai-response-chunk", &Piece { chat: raw(chat), delta, done: *done })
            }
            Event::AnswerFailed { chat, error, error_id } => failure(chat, &error.clone().into(), *error_id),
            Event::Apology { chat, text, code } => apology(chat, text, code),
            Event::Connected { .. }
            | Event::Message { .. }
            | Event::RoomMessage { .. }
            | Event::MessageUpdated { .. }
            | Event::MessageDeleted { .. }
            | Event::Delivered { .. }
            | Event::Read { .. }
            | Event::Typing { .. }
            | Event::Presence(_)
            | Event::Notification(_)
            | Event::Emitted(_)
            | Event::ConversationChanged(_)
            | Event::ConversationDeleted { .. }
            | Event::GroupOpened { .. } => return None,
        };
        Some(one(text))
    }

    /// A client that requested this dialect knows `ai-error`. The original front end does not, and would wait for ever.
    fn shows(&self, event: &Event, _viewer: &UserId, is_requested: bool) -> bool {
        !(is_requested && matches!(event, Event::Apology { .. }))
    }

    fn capabilities(&self, _is_requested: bool) -> Capabilities {
        Capabilities { answer: true, ..Capabilities::default() }
    }

    fn encode_ack(&self, asked: &Asked, _reply: &Reply) -> String {
        to_json(&Stored { success: true, chat: raw(&asked.echo) })
    }

    fn encode_refusal(&self, asked: &Asked, request_error: &RequestError) -> String {
        failure(&asked.echo, request_error, asked.error_id)
    }

    fn encode_apology(&self, asked: &Asked, request_error: &RequestError, text: &str) -> Option<String> {
        Some(apology(&asked.echo, text, request_error.shown_code()))
    }

    fn connect_sentence(&self, refusal: AuthError) -> Option<&'static str> {
        match refusal {
            AuthError::NoToken => Some("Authentication error : No token provided"),
            AuthError::InvalidToken | AuthError::TokenExpired => Some("Authentication error : Invalid token"),
            AuthError::UserNotFound | AuthError::AccountDisabled => None,
        }
    }
}

/// Returns the chat of a request as answers and refusals echo it, as JSON: its `chat`, else its `chatId`; empty if it
/// has neither.
fn shown_as(args: &Args) -> String {
    let payload = Payload::as_it_came(args);
    let chat_id = || Some(to_json(&payload.field("chatId").id().ok()??));
    payload.field("chat").repeatable().map(str::to_owned).or_else(chat_id).unwrap_or_default()
}

/// Returns the echoed chat as it came; `null` if there was none.
fn raw(json: &str) -> Option<&RawValue> {
    serde_json::from_str(json).ok()
}

fn failure(chat: &str, request_error: &RequestError, error_id: Option<ErrorId>) -> String {
    let Wording { code, error, message } = request_error.into();
    let retry_after_ms = request_error.retry_after_ms();
    packet("ai-error", &Failure { chat: raw(chat), message: &message, error: &error, code: &code, retry_after_ms, error_id })
}

fn apology(chat: &str, content: &str, code: &str) -> String {
    packet("ai-response", &Apology { chat: raw(chat), content, error: true, code })
}

#[derive(Serialize, JsonSchema)]
struct Answer<'a> {
    chat: Option<&'a RawValue>,
    content: &'a str,
    /// Set if the answer was cut off by length or time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("const" = true))]
    truncated: Option<bool>,
}

#[derive(Serialize, JsonSchema)]
struct Piece<'a> {
    chat: Option<&'a RawValue>,
    delta: &'a str,
    done: bool,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Failure<'a> {
    chat: Option<&'a RawValue>,
    message: &'a str,
    error: &'a str,
    #[schemars(with = "Code")]
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_id: Option<ErrorId>,
}

#[derive(Serialize, JsonSchema)]
struct Apology<'a> {
    chat: Option<&'a RawValue>,
    content: &'a str,
    #[schemars(extend("const" = true))]
    error: bool,
    #[schemars(with = "Code")]
    code: &'a str,
}

#[derive(Serialize, JsonSchema)]
struct Stored<'a> {
    #[schemars(extend("const" = true))]
    success: bool,
    chat: Option<&'a RawValue>,
}

#[cfg(test)]
#[path = "assistant_tests.rs"]
mod tests;
