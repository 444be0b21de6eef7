//! The words of each front end, as its stock client exchanges them.
use serde_json::Value;

/// A front end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Words {
    Assistant,
    Conversation,
    Listing,
    Agent,
    Messenger,
}

/// Something that a page was sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// A message.
    Message { id: &'a str, conversation: Option<&'a str>, sender: &'a str, text: &'a str },
    /// A message was edited.
    Edited { id: &'a str, text: &'a str },
    /// A message was deleted.
    Deleted { id: &'a str },
    /// A message of one's own has arrived at a user.
    Delivered { id: &'a str, user: &'a str },
    /// A request without an ack was refused.
    Refused { code: &'a str },
    /// Something else.
    Other,
}

/// Destination of a send, in words of the wire.
pub enum To<'a> {
    Direct { conversation: &'a str, other: &'a str },
    Group { conversation: &'a str },
    Model,
}

impl Words {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Assistant => "assistant",
            Self::Conversation => "conversation",
            Self::Listing => "listing",
            Self::Agent => "agent",
            Self::Messenger => "messenger",
        }
    }

    /// Returns whether it shows groups.
    pub fn has_groups(self) -> bool {
        matches!(self, Self::Conversation | Self::Agent | Self::Messenger)
    }

    /// Returns whether it shows direct messages.
    pub fn has_direct(self) -> bool {
        self != Self::Assistant
    }

    /// Returns the arguments of a send.
    pub fn send(self, to: &To<'_>, name: &str, text: &str) -> String {
        match (self, to) {
            (Self::Assistant, _) | (_, To::Model) => {
                format!(r#"["ai-message",{{"chatId":"c-1","chat":"c-1","content":"{text}","clientMessageId":"{name}"}}]"#)
            }
            (Self::Messenger, To::Direct { other, .. }) => {
                format!(r#"["send_direct_message",{{"recipientId":"{other}","content":"{text}","clientMessageId":"{name}"}}]"#)
            }
            (Self::Messenger, To::Group { conversation }) => format!(
                r#"["send_group_message",{{"conversationId":"{conversation}","content":"{text}","clientMessageId":"{name}"}}]"#
            ),
            (Self::Listing, To::Direct { other, .. }) => {
                format!(r#"["sendDirectMessage",{{"receiverId":"{other}","content":"{text}","clientMessageId":"{name}"}}]"#)
            }
            (_, To::Direct { conversation, .. } | To::Group { conversation }) => {
                format!(r#"["message:send",{{"conversationId":"{conversation}","content":"{text}","clientMessageId":"{name}"}}]"#)
            }
        }
    }

    /// Returns the arguments by which a user is said to type, if it has words for that.
    pub fn typing(self, conversation: &str) -> Option<String> {
        let event = match self {
            Self::Messenger => "typing_start",
            Self::Conversation => "typing:start",
            Self::Assistant | Self::Listing | Self::Agent => return None,
        };
        Some(format!(r#"["{event}",{{"conversationId":"{conversation}"}}]"#))
    }

    /// Returns the arguments of a receipt, if it has words for that.
    pub fn receipt(self, id: &str) -> Option<String> {
        let event = match self {
            Self::Messenger => "mark_as_read",
            Self::Conversation => "message:read",
            Self::Assistant | Self::Listing | Self::Agent => return None,
        };
        Some(format!(r#"["{event}",{{"messageId":"{id}"}}]"#))
    }

    /// Reads an event.
    pub fn hear<'a>(self, event: &str, payload: &'a Value) -> Heard<'a> {
        let known = match (self, event) {
            (Self::Messenger, "new_message" | "new_group_message") => message_of(payload, "message"),
            (Self::Messenger, "message_updated") => edit_of(&payload["message"], "content"),
            (Self::Messenger, "message_deleted") => text(&payload["messageId"]).map(|id| Heard::Deleted { id }),
            (Self::Messenger, "message_delivered") | (Self::Conversation, "message:delivered") => {
                text(&payload["messageId"]).zip(text(&payload["userId"])).map(|(id, user)| Heard::Delivered { id, user })
            }
            (Self::Conversation, "message:new") => plain(payload, "id"),
            (Self::Conversation, "message:updated") => edit_of(payload, "content"),
            (Self::Conversation, "message:deleted") => text(&payload["messageId"]).map(|id| Heard::Deleted { id }),
            (Self::Agent, "message:receive") if payload["success"] == false => {
                text(&payload["code"]).map(|code| Heard::Refused { code })
            }
            (Self::Agent, "message:receive") => plain(&payload["data"], "_id"),
            (Self::Agent, "message:updated") => edit_of(&payload["data"], "content"),
            (Self::Agent, "message:deleted") => id_of(&payload["data"]).map(|id| Heard::Deleted { id }),
            (Self::Listing, "directMessage") => direct(payload),
            (Self::Listing, "messageUpdated") => edit_of(payload, "message"),
            (Self::Listing, "messageDeleted") => id_of(payload).map(|id| Heard::Deleted { id }),
            (_, "error") => text(&payload["code"]).map(|code| Heard::Refused { code }),
            _ => None,
        };
        known.unwrap_or(Heard::Other)
    }
}

/// Returns the id in the ack of a send, or the code of its refusal. `assistant` says no id.
pub fn read_ack(ack: &Value) -> Result<Option<&str>, &str> {
    if ack["success"] == true {
        Ok(id_of(&ack["message"]).or_else(|| id_of(&ack["data"])).or_else(|| id_of(ack)))
    } else {
        Err(text(&ack["code"]).unwrap_or("no code"))
    }
}

fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

fn id_of(value: &Value) -> Option<&str> {
    text(&value["_id"]).or_else(|| text(&value["id"]))
}

fn message_of<'a>(payload: &'a Value, key: &str) -> Option<Heard<'a>> {
    let message = &payload[key];
    Some(Heard::Message {
        id: id_of(message)?,
        conversation: text(&payload["conversationId"]),
        sender: text(&message["sender"]["_id"])?,
        text: text(&message["content"])?,
    })
}

fn plain<'a>(message: &'a Value, id: &str) -> Option<Heard<'a>> {
    Some(Heard::Message {
        id: text(&message[id])?,
        conversation: text(&message["conversationId"]),
        sender: text(&message["senderId"])?,
        text: text(&message["content"])?,
    })
}

fn direct(message: &Value) -> Option<Heard<'_>> {
    Some(Heard::Message {
        id: id_of(message)?,
        conversation: None,
        sender: text(&message["senderId"]["_id"])?,
        text: text(&message["message"])?,
    })
}

fn edit_of<'a>(message: &'a Value, key: &str) -> Option<Heard<'a>> {
    let id = id_of(message).or_else(|| text(&message["messageId"]))?;
    Some(Heard::Edited { id, text: text(&message[key])? })
}
