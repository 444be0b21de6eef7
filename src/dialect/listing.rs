//! `listing`: a market place; so far its public rooms.
//!
//! ```text
//! → 42["joinRoom","flat-7"]
//! ← 42["joinedRoom",{"roomId":"flat-7","success":true}]
//! ← 42["roomMessage",{"_id":"0197…","user":{…},"roomId":"flat-7","message":"Still free?","timestamp":"2026-…","messageType":"text"}]
//! ```
use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::Fault;
use super::error::{Wording, failure_packet};
use super::fields::{Field, Payload};
use super::vocabulary::{Asked, Decoded, Entry, Vocabulary, packet, to_json};
use crate::chat::{Command, Draft, Event, Reply, Words};
use crate::engineio::Encoded;
use crate::model::{File, Message, MessageId, Profile, Timestamp, UserId};
use crate::socketio::Args;

/// The front end of `seeds/002`.
#[derive(Debug)]
pub struct Listing;

impl Vocabulary for Listing {
    fn name(&self) -> &'static str {
        "listing"
    }

    fn events(&self) -> &'static [Entry] {
        const EVENTS: &[Entry] = &[Entry::work("joinRoom"), Entry::work("leaveRoom"), Entry::work("sendRoomMessage")];
        EVENTS
    }

    fn decode(&self, asked: &mut Asked, args: &Args) -> Result<Decoded, Fault> {
        match asked.event {
            "joinRoom" => {
                let field = Field::of(args, "roomId")?;
                let room = field.room()?;
                asked.echo = field.json().unwrap_or_default().into();
                Ok(Command::JoinRoom { room }.into())
            }
            "leaveRoom" => {
                let field = Field::of(args, "roomId")?;
                let room = field.room()?;
                asked.echo = field.json().unwrap_or_default().into();
                Ok(Command::LeaveRoom { room }.into())
            }
            "sendRoomMessage" => {
                let payload = Payload::of(args)?;
                let field = payload.field("roomId");
                let (room, draft) = (field.room()?, draft(&payload)?);
                asked.echo = field.json().unwrap_or_default().into();
                let command = Command::SendToRoom { room, shown_as: asked.echo.clone(), draft };
                Ok(Decoded::Command { command, held_copy: true })
            }
            _ => Err(Fault::UnknownEvent),
        }
    }

    fn encode(&self, event: &Event) -> Option<Encoded> {
        match event {
            Event::RoomMessage { message, shown_as } => {
                let room_id = serde_json::from_str(shown_as).ok()?;
                Some(Encoded::text(&packet("roomMessage", &RoomMessageView::new(message, room_id))))
            }
            Event::AnswerFailed { error, .. } => Some(Encoded::text(&failure_packet(error))),
            Event::Connected { .. }
            | Event::AnswerPiece { .. }
            | Event::Apology { .. }
            | Event::Message { .. }
            | Event::MessageUpdated { .. }
            | Event::MessageDeleted { .. }
            | Event::Delivered { .. }
            | Event::Read { .. }
            | Event::Typing { .. }
            | Event::Presence(_)
            | Event::Notification(_)
            | Event::ConversationChanged(_)
            | Event::ConversationDeleted { .. }
            | Event::GroupOpened { .. } => None,
        }
    }

    fn words(&self, _is_pinned: bool) -> Words {
        Words::default()
    }

    fn encode_ack(&self, asked: &Asked, reply: &Reply) -> String {
        let room_id = serde_json::from_str(&asked.echo).ok();
        match (reply, room_id) {
            (Reply::Sent { message, status: _ }, Some(room_id)) => {
                to_json(&SentAck { success: true, sent: RoomMessageView::new(message, room_id) })
            }
            (_, room_id) => to_json(&RoomAck { success: true, room_id }),
        }
    }

    fn encode_reply(&self, asked: &Asked, _reply: &Reply) -> Option<String> {
        let name = match asked.event {
            "joinRoom" => "joinedRoom",
            "leaveRoom" => "leftRoom",
            // The sender's own copy of the message is the answer.
            _ => return None,
        };
        Some(packet(name, &RoomReply { room_id: serde_json::from_str(&asked.echo).ok()?, success: true }))
    }

    fn word(&self, event: &'static str, fault: &Fault) -> Wording {
        let wording = Wording::from(fault);
        match event {
            "sendRoomMessage" => Wording { message: Cow::Borrowed("Failed to send message"), ..wording },
            _ => wording,
        }
    }
}

fn draft(payload: &Payload<'_>) -> Result<Draft, Fault> {
    let content = payload.field("content");
    let draft = Draft {
        content: content.text()?.unwrap_or_default(),
        message_type: payload.field("messageType").message_type()?,
        file_url: None,
        attachment_urls: Vec::new(),
        listing_id: None,
        client_message_id: payload.field("clientMessageId").id()?,
    };
    if draft.content.is_empty() { Err(content.fault()) } else { Ok(draft) }
}

/// A message of a public room as `listing` shows it, and as HTTP does with more fields beside it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomMessageView<'a> {
    #[serde(rename = "_id")]
    id: MessageId,
    user: Summary<'a>,
    room_id: &'a RawValue,
    message: Cow<'a, str>,
    timestamp: Timestamp,
    message_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a File>,
}

impl<'a> RoomMessageView<'a> {
    /// The message, in the room that its reader calls `room_id`.
    pub fn new(message: &'a Message, room_id: &'a RawValue) -> Self {
        Self {
            id: message.id,
            user: Summary::of(&message.sender),
            room_id,
            message: text_of(message),
            timestamp: message.created_at,
            message_type: &message.message_type,
            file: message.file.as_ref(),
        }
    }
}

/// The text; for a file without one, what a reader can do with it.
fn text_of(message: &Message) -> Cow<'_, str> {
    match &message.file {
        Some(file) if message.content.is_empty() => Cow::Owned(format!("{} {}", file.filename, file.url)),
        _ => Cow::Borrowed(&message.content),
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    #[serde(rename = "_id")]
    id: &'a UserId,
    full_name: &'a str,
    username: &'a str,
    profile_picture: Option<&'a str>,
}

impl<'a> Summary<'a> {
    fn of(user: &'a Profile) -> Self {
        let Profile { id, username, full_name, avatar, email: _, role: _ } = user;
        Self { id, full_name: full_name.as_deref().unwrap_or(username), username, profile_picture: avatar.as_deref() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RoomReply<'a> {
    room_id: &'a RawValue,
    success: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RoomAck<'a> {
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct SentAck<'a> {
    success: bool,
    #[serde(flatten)]
    sent: RoomMessageView<'a>,
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
