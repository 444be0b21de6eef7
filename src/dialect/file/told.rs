//! What is told to filters: events and answers as values.
use std::sync::Arc;

use super::super::content::data_of;
use super::super::request_error::RequestError;
use super::super::vocabulary::Asked;
use super::value::{Name, Value};
use crate::chat::{Event, PresenceChange, Reply, Sent};
use crate::model::{Conversation, File, Message, Notification, Place, Profile, ReadMark, SocketId, Timestamp};
use crate::store::Overview;

fn time(at: Timestamp) -> Value {
    Value::from(at.to_string())
}

fn json(text: &str) -> Value {
    Value::parse(text).unwrap_or_default()
}

fn file(file: &File) -> Value {
    let File { url: _, filename, size, mimetype, message_type } = file;
    Value::object([
        ("url", Value::text(&*file.shown_url())),
        ("filename", Value::text(filename.as_str())),
        ("size", Value::from(*size)),
        ("mimetype", Value::text(mimetype.as_str())),
        ("messageType", Value::text(message_type.as_str())),
    ])
}

fn user(user: &Profile) -> Value {
    let Profile { id, username, full_name, avatar, email, role } = user;
    Value::object([
        ("id", Value::text(id.as_str())),
        ("username", Value::text(username.as_str())),
        ("fullName", Value::optional(full_name.as_deref())),
        ("avatar", Value::optional(avatar.as_deref())),
        ("email", Value::optional(email.as_deref())),
        ("role", Value::text(role.as_str())),
    ])
}

fn message(message: &Message) -> Value {
    let (conversation, room) = match &message.place {
        Place::Conversation(id) => (Value::from(id.to_string()), Value::Null),
        Place::Room(room) => (Value::Null, Value::text(room.as_str())),
        Place::CommonChat => (Value::Null, Value::Null),
    };
    let mark =
        |ReadMark { user, read_at }: &ReadMark| Value::object([("user", Value::text(user.as_str())), ("at", time(*read_at))]);
    let listing = message.listing.as_ref().map(|listing| {
        Value::object([("id", Value::text(listing.id.as_str())), ("title", Value::optional(listing.title.as_deref()))])
    });
    Value::object([
        ("id", Value::from(message.id.to_string())),
        ("conversation", conversation),
        ("room", room),
        ("sender", user(&message.sender)),
        ("role", Value::text(message.role.as_str())),
        ("content", Value::text(message.content.as_str())),
        ("type", Value::text(message.message_type.as_str())),
        ("files", Value::list(message.file.iter().chain(&message.attachments).map(file).collect())),
        ("listing", listing.unwrap_or_default()),
        ("status", Value::text(message.status.as_str())),
        ("readBy", Value::list(message.read_by.iter().map(mark).collect())),
        ("clientMessageId", Value::optional(message.client_message_id.as_deref())),
        ("chat", message.chat.as_deref().map(json).unwrap_or_default()),
        ("truncated", Value::from(message.is_truncated)),
        ("createdAt", time(message.created_at)),
        ("updatedAt", time(message.updated_at)),
    ])
}

fn conversation_fields(conversation: &Conversation) -> Vec<(Name, Value)> {
    let Conversation { id, kind, name, avatar, admin, participants, last_message, last_seq: _, created_at, updated_at } =
        conversation;
    let last = last_message.as_ref().map(|last| {
        Value::object([
            ("content", Value::text(last.content.as_str())),
            ("sender", Value::text(last.sender.as_str())),
            ("type", Value::text(last.message_type.as_str())),
            ("at", time(last.timestamp)),
        ])
    });
    let fields = [
        ("id", Value::from(id.to_string())),
        ("kind", Value::text(kind.as_str())),
        ("name", Value::optional(name.as_deref())),
        ("avatar", Value::optional(avatar.as_deref())),
        ("admin", Value::optional(admin.as_ref().map(crate::model::UserId::as_str))),
        ("members", Value::list(participants.iter().map(|user| Value::text(user.as_str())).collect())),
        ("lastMessage", last.unwrap_or_default()),
        ("createdAt", time(*created_at)),
        ("updatedAt", time(*updated_at)),
    ];
    fields.into_iter().map(|(name, value)| (Name::Known(name), value)).collect()
}

fn conversation(conversation: &Conversation) -> Value {
    Value::object_of(conversation_fields(conversation))
}

fn overview(overview: &Overview) -> Value {
    let Overview { conversation, members, unread, name } = overview;
    let mut fields = conversation_fields(conversation);
    fields.push((Name::Known("users"), Value::list(members.iter().map(|member| user(member)).collect())));
    fields.push((Name::Known("unread"), Value::from(*unread)));
    fields.push((Name::Known("alias"), Value::optional(name.as_deref())));
    Value::object_of(fields)
}

fn notification(notification: &Notification) -> Value {
    let Notification { id, user, kind, message, data: _, read, created_at } = notification;
    Value::object([
        ("id", Value::from(id.to_string())),
        ("user", Value::text(user.as_str())),
        ("type", Value::text(kind.as_str())),
        ("message", Value::text(message.as_str())),
        ("data", data_of(notification).map(|data| json(data.get())).unwrap_or_default()),
        ("read", Value::from(*read)),
        ("createdAt", time(*created_at)),
    ])
}

/// Returns about how large the value of an event is, in bytes.
pub(super) fn size_of(event: &Event) -> usize {
    match event {
        Event::Message { message, .. } | Event::RoomMessage { message, .. } | Event::MessageUpdated { message, .. } => {
            message.content.len() + 40 * message.read_by.len()
        }
        Event::ConversationChanged(conversation) => 40 * conversation.participants.len(),
        Event::Notification(notification) => notification.message.len() + notification.data.as_ref().map_or(0, String::len),
        Event::AnswerPiece { delta, .. } => delta.len(),
        _ => 0,
    }
}

/// Returns about how large the value of an answer is, in bytes.
pub(super) fn size_of_reply(reply: &Reply) -> usize {
    match reply {
        Reply::Sent(Sent { message: it, .. }) | Reply::Message(it) => it.content.len(),
        Reply::Messages(messages) => messages.iter().map(|message| 800 + message.content.len()).sum(),
        Reply::Conversations(overviews) => overviews.iter().map(|overview| 800 + 400 * overview.members.len()).sum(),
        Reply::Connections { connections, .. } => 100 * connections.len(),
        Reply::Notifications(notifications) => notifications.iter().map(|one| 400 + one.message.len()).sum(),
        _ => 0,
    }
}

/// Returns an event as values: several, if several users are concerned.
pub(super) fn of_event(event: &Event) -> Vec<Value> {
    let value = match event {
        Event::Connected { user, socket, token } => Value::object([
            ("user", Value::text(user.as_str())),
            ("socket", Value::text(socket.as_str())),
            ("token", Value::optional(token.as_deref())),
        ]),
        Event::Message { message: it, kind, recipient } | Event::MessageUpdated { message: it, kind, recipient } => {
            Value::object([
                ("message", message(it)),
                ("kind", Value::text(kind.as_str())),
                ("recipient", recipient.as_deref().map(user).unwrap_or_default()),
                ("room", Value::Null),
            ])
        }
        Event::RoomMessage { message: it, shown_as } => Value::object([
            ("message", message(it)),
            ("kind", Value::text(if it.place == Place::CommonChat { "common_chat" } else { "room" })),
            ("recipient", Value::Null),
            ("room", json(shown_as)),
        ]),
        Event::MessageDeleted { message, conversation, kind, deleted_at } => Value::object([
            ("message", Value::from(message.to_string())),
            ("conversation", Value::from(conversation.to_string())),
            ("kind", Value::text(kind.as_str())),
            ("at", time(*deleted_at)),
        ]),
        Event::Delivered { message, conversation, users, delivered_at, client_message_id, at_once: _ } => {
            let delivered = |user: &crate::model::UserId| {
                Value::object([
                    ("message", Value::from(message.to_string())),
                    ("conversation", Value::from(conversation.to_string())),
                    ("user", Value::text(user.as_str())),
                    ("at", time(*delivered_at)),
                    ("clientMessageId", Value::optional(client_message_id.as_deref())),
                ])
            };
            return users.iter().map(delivered).collect();
        }
        Event::Read { message, conversation, user, read_at } => Value::object([
            ("message", Value::from(message.to_string())),
            ("conversation", Value::from(conversation.to_string())),
            ("user", Value::text(user.as_str())),
            ("at", time(*read_at)),
        ]),
        Event::AnswerPiece { chat, delta, done } => {
            Value::object([("chat", json(chat)), ("delta", Value::text(delta.as_str())), ("done", Value::from(*done))])
        }
        Event::AnswerFailed { chat, error, error_id } => {
            let error = RequestError::from(error.clone());
            Value::object([
                ("chat", json(chat)),
                ("code", Value::text(error.code())),
                ("error", Value::text(&*error.sentence())),
                ("retryAfterMs", retry_after(&error)),
                ("errorId", error_id.map(|id| Value::from(id.to_string())).unwrap_or_default()),
            ])
        }
        Event::Typing { user: who, conversation, active } => Value::object([
            ("user", user(who)),
            ("conversation", Value::from(conversation.to_string())),
            ("active", Value::from(*active)),
        ]),
        Event::GroupOpened { user: who, conversation, opened } => Value::object([
            ("user", user(who)),
            ("conversation", Value::from(conversation.to_string())),
            ("opened", Value::from(*opened)),
        ]),
        Event::Notification(it) => notification(it),
        Event::ConversationChanged(it) => Value::object([("conversation", conversation(it))]),
        Event::ConversationDeleted { conversation } => Value::object([("conversation", Value::from(conversation.to_string()))]),
        Event::Presence(_) | Event::Apology { .. } | Event::Emitted(_) => return Vec::new(),
    };
    vec![value]
}

/// Returns a change of presence as a value.
pub(super) fn of_presence(change: &PresenceChange) -> Value {
    match change {
        PresenceChange::Online { user: who, status, came: _ } => {
            Value::object([("user", user(who)), ("status", Value::text(status.as_str())), ("lastSeen", Value::Null)])
        }
        PresenceChange::Offline { user, last_seen } => Value::object([
            ("user", Value::object([("id", Value::text(user.as_str()))])),
            ("status", Value::text("offline")),
            ("lastSeen", time(*last_seen)),
        ]),
    }
}

fn retry_after(request_error: &RequestError) -> Value {
    request_error.retry_after_ms().and_then(|millis| i64::try_from(millis).ok()).into()
}

/// Returns a refusal as a value.
pub(super) fn of_refusal(asked: &Asked, request_error: &RequestError) -> Value {
    let field = match request_error {
        RequestError::Field(field) => Value::text(&**field),
        RequestError::Missing(field) => Value::text(*field),
        RequestError::UnknownEvent | RequestError::Chat(_) => Value::Null,
    };
    Value::object([
        ("event", Value::text(asked.event)),
        ("code", Value::text(request_error.code())),
        ("error", Value::text(&*request_error.sentence())),
        ("field", field),
        ("retryAfterMs", retry_after(request_error)),
        ("errorId", asked.error_id.map(|id| Value::from(id.to_string())).unwrap_or_default()),
        ("echo", json(&asked.echo)),
        ("at", time(asked.at)),
    ])
}

/// Returns an answer as a value.
pub(super) fn of_reply(asked: &Asked, reply: &Reply) -> Value {
    let mut fields = vec![("event", Value::text(asked.event)), ("echo", json(&asked.echo)), ("at", time(asked.at))];
    match reply {
        Reply::Done => {}
        Reply::Sent(Sent { message: it, recipient, status, name }) => {
            fields.push(("message", message(it)));
            fields.push(("recipient", recipient.as_deref().map(user).unwrap_or_default()));
            fields.push(("status", Value::text(status.as_str())));
            fields.push(("alias", Value::optional(name.as_deref())));
        }
        Reply::Message(it) => fields.push(("message", message(it))),
        Reply::Messages(messages) => {
            fields.push(("messages", Value::list(messages.iter().map(message).collect())));
        }
        Reply::Conversation(reply) => {
            fields.push(("conversation", conversation(&reply.conversation)));
            fields.push(("created", Value::from(reply.created)));
        }
        Reply::Conversations(overviews) => {
            fields.push(("conversations", Value::list(overviews.iter().map(overview).collect())));
        }
        Reply::Connections { connections, total } => {
            let connection = |(user, socket): &(Arc<Profile>, SocketId)| {
                Value::object([
                    ("user", Value::text(user.id.as_str())),
                    ("username", Value::text(user.username.as_str())),
                    ("socket", Value::text(socket.as_str())),
                ])
            };
            fields.push(("connections", Value::list(connections.iter().map(connection).collect())));
            fields.push(("total", Value::from(i64::try_from(*total).unwrap_or(i64::MAX))));
        }
        Reply::Notifications(notifications) => {
            fields.push(("notifications", Value::list(notifications.iter().map(notification).collect())));
        }
        Reply::Notified(notified) => fields.push(("notification", notification(&notified.notification))),
        Reply::Renewed { expires_at } => fields.push(("expiresAt", expires_at.map(time).unwrap_or_default())),
        Reply::Account(account) => fields.push(("account", user(&account.profile))),
    }
    Value::object_of(fields.into_iter().map(|(name, value)| (Name::Known(name), value)))
}
