//! Descriptions of the routes for `/api/openapi.json`, one line each, in the order of `routes.rs`.
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::limits::{
    AVATAR_MAX, EVENT_MAX, GROUP_NAME_MAX, IDS_MAX, NOTIFICATION_MAX, PARTICIPANTS_MAX, ROOM_MAX, SEARCH_MAX, TITLE_MAX,
};
use super::own_sessions::SessionView;
use super::shapes::{ConversationView, MessageView, NumberedRoomMessage, UserView};
use crate::dialect::{CommonChatMessage, DeletedMessageView, DirectMessageView, NotificationView};
use crate::model::limits::{ATTACHMENTS_MAX, ID_MAX, TYPE_MAX, USERNAME_MAX};
use crate::model::{File, ListingId, MessageStatus, SocketId, Timestamp, UserId};
use crate::schema::{Field, SchemaOf, Shape, kinds};
use crate::web::{Answer, DocumentedError, HOOK_FAILED, HOOK_REFUSED, Operation, USER_NAME_MAX, Who};

/// Descriptions of all routes.
pub const OPERATIONS: &[Operation] = &[
    // accounts
    Operation::post(
        "/api/auth/register",
        Who::Anyone,
        "Creates an account and logs in; also sets the cookie token. Requires ALLOW_REGISTRATION.",
    )
    .body(Shape::Object(&[
        Field::required("username", username),
        Field::required("email", email),
        Field::required("password", password),
        Field::optional("fullName", full_name),
    ]))
    .answers(&[Answer::Success(201, LOGIN)])
    .refuses(&[CONFLICT]),
    Operation::post("/api/auth/login", Who::Anyone, "Logs in by username or e-mail; also sets the cookie token.")
        .body(Shape::ObjectWith(
            &[
                Field::optional("login", kinds::text_of::<1, USER_NAME_MAX>),
                Field::optional("username", kinds::text_of::<1, USER_NAME_MAX>),
                Field::optional("email", kinds::text_of::<1, USER_NAME_MAX>),
                Field::required("password", kinds::text),
            ],
            &[
                &[Field::required("login", kinds::text_of::<1, USER_NAME_MAX>)],
                &[Field::required("username", kinds::text_of::<1, USER_NAME_MAX>)],
                &[Field::required("email", kinds::text_of::<1, USER_NAME_MAX>)],
            ],
        ))
        .answers(&[Answer::Success(200, LOGIN)])
        .refuses(&[INVALID_CREDENTIALS, (401, "ACCOUNT_DISABLED")]),
    Operation::post(
        "/api/auth/refresh",
        Who::User,
        "Issues a new token of the same login; the old one stays valid until its own exp.",
    )
    .answers(&[Answer::Success(200, LOGIN)]),
    Operation::post("/api/auth/logout", Who::User, "Revokes the login's tokens at once, and clears the cookie."),
    Operation::get("/api/auth/me", Who::User, "The caller.").answers(OWN_USER),
    Operation::post(
        "/api/auth/password",
        Who::User,
        "Changes the password; revokes all other tokens of the user, and disconnects their sockets.",
    )
    .body(Shape::Object(&[Field::required("oldPassword", kinds::text), Field::required("newPassword", password)]))
    .refuses(&[INVALID_CREDENTIALS]),
    // users
    Operation::get("/api/users", Who::User, "Finds users by part of username or full name, ignoring case.")
        .query(&[Field::required("query", kinds::text_of::<1, SEARCH_MAX>), LIMIT])
        .answers(&[Answer::Success(200, &[("users", of::<Vec<UserView>>)])]),
    Operation::get("/api/users/online", Who::User, "Online users, in order of id.")
        .query(PAGE)
        .answers(&[Answer::Success(200, &[("users", of::<Vec<UserView>>), NEXT_CURSOR])]),
    Operation::patch(
        "/api/users/me",
        Who::User,
        "Changes the caller's account; an empty text clears a field. Username, e-mail and password need oldPassword.",
    )
    .body(Shape::Object(&[
        Field::optional("fullName", emptiable_full_name),
        Field::optional("avatar", kinds::text_of::<0, AVATAR_MAX>),
        Field::optional("username", kinds::text),
        Field::optional("email", kinds::text),
        Field::optional("password", password),
        Field::optional("oldPassword", kinds::text),
    ]))
    .answers(OWN_USER)
    .refuses(&[INVALID_CREDENTIALS, CONFLICT]),
    Operation::delete(
        "/api/users/me",
        Who::User,
        "Deletes the account: personal data is deleted, messages to others stay, under a nameless author.",
    )
    .body(Shape::Object(&[Field::required("password", kinds::text)]))
    .refuses(&[INVALID_CREDENTIALS]),
    Operation::get("/api/users/me", Who::User, "The caller.").answers(OWN_USER),
    Operation::get("/api/users/me/sessions", Who::User, "The caller's valid logins, the last used first.")
        .answers(&[Answer::Success(200, &[("sessions", of::<Vec<SessionView>>)])]),
    Operation::delete(
        "/api/users/me/sessions/{id}",
        Who::User,
        "Ends a login of the caller: refuses its tokens, disconnects its sockets.",
    )
    .refuses(&[NOT_FOUND]),
    Operation::get("/api/users/me/export", Who::User, "All data of the caller as lines of JSON, an end last.")
        .answers(&[Answer::Other(200, "application/x-ndjson")]),
    Operation::get("/api/users/{id}", Who::User, "A user.")
        .answers(&[Answer::Success(200, &[("user", of::<UserView>)])])
        .refuses(&[NOT_FOUND]),
    Operation::get("/api/users/{id}/sockets", Who::Admin, "Socket ids of a user.")
        .answers(&[Answer::Success(200, &[("sockets", of::<Vec<SocketId>>)])])
        .refuses(&[NOT_FOUND]),
    // marketplace
    Operation::post(
        "/api/messages/sync",
        Who::User,
        "Direct messages with a user changed or deleted since a time, oldest change first, at most 100.",
    )
    .body(Shape::Object(&[Field::required("otherUserId", kinds::user), Field::optional("lastSyncTimestamp", time)]))
    .answers(&[Answer::Success(
        200,
        &[
            ("messages", of::<Vec<DirectMessageView>>),
            ("deleted", of::<Vec<DeletedMessageView>>),
            ("syncTimestamp", of::<Timestamp>),
            ("count", kinds::count),
        ],
    )]),
    Operation::get("/api/messages/sync-status", Who::User, "Time of the last change in the caller's direct messages.").answers(
        &[Answer::Success(
            200,
            &[("lastActivity", of::<Option<Timestamp>>), ("serverTime", of::<Timestamp>), ("userId", of::<UserId>)],
        )],
    ),
    Operation::put("/api/listings/{id}", Who::Admin, "Sets the title shown in directMessage.listingId.")
        .path(&[Field::required("id", of::<ListingId>)])
        .body(Shape::Object(&[Field::required("title", kinds::text_of::<1, TITLE_MAX>)]))
        .answers(&[Answer::Success(200, &[("listing", listing)])]),
    // conversations
    Operation::get("/api/conversations", Who::User, "The caller's conversations, most recently active first.")
        .query(&[LIMIT, BEFORE])
        .answers(&[Answer::Success(200, &[("conversations", of::<Vec<ConversationView>>), NEXT_CURSOR])]),
    Operation::post(
        "/api/conversations",
        Who::UserOrServer,
        "Creates a group, or finds or creates the direct conversation with a user.",
    )
    .body(Shape::Value(Field::required("conversation", new_conversation)))
    .answers(&[
        Answer::Success(200, &[("conversation", of::<ConversationView>)]),
        Answer::Success(201, &[("conversation", of::<ConversationView>)]),
    ])
    .refuses(&[NOT_FOUND, TOO_LARGE]),
    Operation::get("/api/conversations/{id}", Who::User, "A conversation, for its members.")
        .answers(CONVERSATION)
        .refuses(&[NOT_FOUND]),
    Operation::patch("/api/conversations/{id}", Who::UserOrServer, "Renames a group or changes its picture, for its admin.")
        .body(Shape::Object(&[
            Field::optional("name", kinds::text_of::<1, GROUP_NAME_MAX>),
            Field::optional("avatar", kinds::text_of::<0, AVATAR_MAX>),
        ]))
        .answers(CONVERSATION)
        .refuses(&[NOT_FOUND]),
    Operation::delete(
        "/api/conversations/{id}",
        Who::UserOrServer,
        "Deletes a group, for its admin, or the caller's own chat with the model.",
    )
    .refuses(&[NOT_FOUND]),
    Operation::post("/api/conversations/{id}/participants", Who::UserOrServer, "Adds members to a group, for its admin.")
        .body(Shape::Object(&[Field::required("participants", participants)]))
        .answers(CONVERSATION)
        .refuses(&[NOT_FOUND]),
    Operation::delete(
        "/api/conversations/{id}/participants/{user}",
        Who::UserOrServer,
        "Removes a member, for the group's admin; members can remove themselves.",
    )
    .refuses(&[NOT_FOUND]),
    Operation::get("/api/conversations/{id}/messages", Who::User, "Messages of a conversation, ascending, for its members.")
        .query(PAGE)
        .answers(&[Answer::Success(200, &[("messages", of::<Vec<MessageView>>), NEXT_CURSOR])])
        .refuses(&[NOT_FOUND]),
    Operation::post("/api/conversations/{id}/messages", Who::User, "Sends a message: the same command as the socket's.")
        .body(Shape::ObjectWith(
            &[
                Field::optional("content", kinds::text),
                Field::optional("type", kinds::text_of::<1, TYPE_MAX>),
                Field::optional("file", file_reference),
                Field::optional("attachments", attachments),
                Field::optional("listingId", kinds::id_of::<ID_MAX>),
                Field::optional("clientMessageId", kinds::id_of::<ID_MAX>),
            ],
            SOMETHING_SAID,
        ))
        .answers(SENT)
        .refuses(NOT_SENT),
    Operation::post("/api/messages", Who::UserOrServer, "Sends a message to any target; a server with a key names the sender.")
        .body(Shape::ObjectWith(
            &[
                Field::required("to", addressee),
                Field::optional("from", kinds::text_of::<1, USER_NAME_MAX>),
                Field::optional("content", kinds::text),
                Field::optional("type", kinds::text_of::<1, TYPE_MAX>),
                Field::optional("file", file_reference),
                Field::optional("attachments", attachments),
                Field::optional("listingId", kinds::id_of::<ID_MAX>),
                Field::optional("clientMessageId", kinds::id_of::<ID_MAX>),
            ],
            SOMETHING_SAID,
        ))
        .answers(SENT)
        .refuses(NOT_SENT),
    Operation::patch("/api/messages/{id}", Who::User, "Edits a message, for its author; recipients are notified.")
        .body(Shape::Object(&[Field::required("content", kinds::some_text)]))
        .answers(&[Answer::Success(200, &[("message", of::<MessageView>)])])
        .refuses(&[NOT_FOUND, NOT_STORED, HOOK_REFUSED, HOOK_FAILED]),
    Operation::delete(
        "/api/messages/{id}",
        Who::User,
        "Deletes a message, for its author, or a model's answer, for the user who asked; recipients are notified.",
    )
    .refuses(&[NOT_FOUND, NOT_STORED, HOOK_REFUSED, HOOK_FAILED]),
    Operation::get("/api/rooms/{room}/messages", Who::User, "Messages of a public room, ascending; empty if there are none.")
        .path(&[Field::required("room", kinds::text_of::<1, 200>)])
        .query(PAGE)
        .answers(&[Answer::Success(200, &[("messages", of::<Vec<NumberedRoomMessage>>), NEXT_CURSOR])]),
    Operation::get("/api/common-chat/messages", Who::User, "Messages of the common chat, ascending.")
        .query(PAGE)
        .answers(&[Answer::Success(200, &[("messages", numbered_common_chat), NEXT_CURSOR])]),
    // notifications
    Operation::get("/api/notifications", Who::User, "The caller's notifications, newest first.")
        .query(PAGE)
        .answers(&[Answer::Success(200, &[("notifications", of::<Vec<NotificationView>>), NEXT_CURSOR])]),
    Operation::post("/api/notifications", Who::Admin, "Notifies a user: stores the notification, and emits notification:new.")
        .body(Shape::Object(&[
            Field::required("userId", kinds::user),
            Field::required("type", kinds::text_of::<1, TYPE_MAX>),
            Field::required("message", kinds::text_of::<1, NOTIFICATION_MAX>),
            Field::optional("data", kinds::anything),
        ]))
        .answers(&[Answer::Success(201, &[("notification", of::<NotificationView>)])])
        .refuses(&[NOT_FOUND, NOT_STORED]),
    Operation::post("/api/notifications/read", Who::User, "Marks some or all notifications as read.")
        .body(Shape::Object(&[Field::optional("ids", notification_ids)])),
    Operation::post("/api/emit", Who::Admin, "Emits an event unchanged to sockets of every dialect; returns their number.")
        .body(Shape::Object(&[
            Field::required("to", emit_target),
            Field::required("event", event_name),
            Field::optional("data", kinds::anything),
        ]))
        .answers(&[Answer::Success(200, &[("sockets", kinds::count)])])
        .refuses(&[NOT_FOUND, NOT_STORED]),
    // files
    Operation::post("/api/upload", Who::User, "Stores a file; name and content determine its type.")
        .file()
        .answers(&[Answer::Success(200, &[("file", of::<File>)])])
        .refuses(&[HOOK_REFUSED, HOOK_FAILED]),
    Operation::get(
        "/uploads/{name}",
        Who::AnyoneOrUsers,
        "A stored file, or ranges of it. With UPLOADS_REQUIRE_AUTH for users only.",
    )
    .answers(&[Answer::Other(200, "*/*"), Answer::Other(206, "*/*"), Answer::Empty(304), Answer::Empty(412)])
    .refuses(&[NOT_FOUND, (416, "INVALID_PAYLOAD")]),
    // the server
    Operation::get("/app/get-connection-id", Who::Anyone, "The address of the socket endpoint.")
        .answers(&[Answer::Success(200, &[("data", connection)])]),
    Operation::get("/api/socket/health", Who::Anyone, "Number of joined sockets, and of rooms with at least one socket.")
        .answers(&[Answer::Json(200, socket_health)]),
    Operation::get("/healthz", Who::Anyone, "The process is alive.")
        .answers(&[Answer::Success(200, &[("status", of::<String>)])]),
    Operation::get("/readyz", Who::Anyone, "The server can serve clients; otherwise 503 with the reasons.")
        .answers(&[Answer::Success(200, &[("status", of::<String>)])]),
    // these documents
    Operation::get("/api/openapi.json", Who::Anyone, "This document.").answers(DOCUMENT),
    Operation::get("/api/asyncapi.json", Who::Anyone, "The events of Socket.IO clients, as AsyncAPI.").answers(DOCUMENT),
    Operation::get("/api/types.d.ts", Who::Anyone, "The same events as TypeScript types.")
        .answers(&[Answer::Other(200, "text/plain"), Answer::Empty(304)]),
];

/// At least one of these must be in a message.
const SOMETHING_SAID: &[&[Field]] = &[&[
    Field::required("content", kinds::some_text),
    Field::required("file", file_reference),
    Field::required("attachments", some_attachments),
]];

/// Exactly one of a user, a conversation, a public room and the common chat.
fn addressee(_: &mut SchemaGenerator) -> Schema {
    let named = |name: &str, most: usize| json!({"type": "object", "properties": {name: {"type": "string", "minLength": 1, "maxLength": most}}, "required": [name], "additionalProperties": false});
    let common = json!({"type": "object", "properties": {"commonChat": {"const": true}}, "required": ["commonChat"], "additionalProperties": false});
    json_schema!({ "oneOf": [named("user", USER_NAME_MAX), named("conversation", USER_NAME_MAX), named("room", 200), common] })
}

const NOT_FOUND: DocumentedError = (404, "NOT_FOUND");
const CONFLICT: DocumentedError = (409, "CONFLICT");
const NOT_STORED: DocumentedError = (503, "NOT_STORED");
const TOO_LARGE: DocumentedError = (413, "TOO_LARGE");
const INVALID_CREDENTIALS: DocumentedError = (401, "INVALID_CREDENTIALS");
const NOT_SENT: &[DocumentedError] = &[
    NOT_FOUND,
    CONFLICT,
    NOT_STORED,
    HOOK_REFUSED,
    HOOK_FAILED,
    (503, "MODEL_BUSY"),
    (503, "MODEL_FAILED"),
    (503, "MODEL_TIMEOUT"),
];

const LIMIT: Field = Field::optional("limit", limit);
const BEFORE: Field = Field::optional("before", cursor);
const PAGE: &[Field] = &[LIMIT, BEFORE, Field::optional("after", cursor)];
const NEXT_CURSOR: (&str, SchemaOf) = ("nextCursor", of::<Option<String>>);
const OWN_USER: &[Answer] = &[Answer::Success(200, &[("user", own_user)])];
const CONVERSATION: &[Answer] = &[Answer::Success(200, &[("conversation", of::<ConversationView>)])];
/// Answer with a message, sent once it is stored.
const SENT: &[Answer] = &[Answer::Success(201, &[("message", of::<MessageView>), ("status", of::<MessageStatus>)])];
const LOGIN: &[(&str, SchemaOf)] = &[("user", own_user), ("token", of::<String>), ("expiresAt", of::<Timestamp>)];
const DOCUMENT: &[Answer] = &[Answer::Json(200, object), Answer::Empty(304)];

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

/// The authenticated user, with fields that others do not see.
fn own_user(generator: &mut SchemaGenerator) -> Schema {
    let user = generator.subschema_for::<UserView>();
    json_schema!({ "allOf": [user, { "required": ["email", "role"] }] })
}

fn listing(generator: &mut SchemaGenerator) -> Schema {
    let id = generator.subschema_for::<ListingId>();
    json_schema!({ "type": "object", "properties": { "id": id, "title": { "type": "string" } }, "required": ["id", "title"] })
}

fn numbered_common_chat(generator: &mut SchemaGenerator) -> Schema {
    let mut message = CommonChatMessage::json_schema(generator);
    if let Some(Value::Object(properties)) = message.get_mut("properties") {
        properties.insert("seq".to_owned(), json!({ "type": "integer" }));
    }
    if let Some(Value::Array(required)) = message.get_mut("required") {
        required.push("seq".into());
    }
    json_schema!({ "type": "array", "items": message })
}

fn connection(generator: &mut SchemaGenerator) -> Schema {
    let timestamp = generator.subschema_for::<Timestamp>();
    let text = json!({ "type": "string" });
    json_schema!({
        "type": "object",
        "properties": {
            "websocketUrl": text,
            "connectionInfo": {
                "type": "object",
                "properties": { "protocol": { "enum": ["ws", "wss"] }, "host": text, "port": text, "timestamp": timestamp },
                "required": ["protocol", "host", "port", "timestamp"],
            },
            "instructions": {
                "type": "object",
                "properties": { "authentication": text, "events": { "type": "array", "items": text } },
                "required": ["authentication", "events"],
            },
        },
        "required": ["websocketUrl", "connectionInfo", "instructions"],
    })
}

fn socket_health(generator: &mut SchemaGenerator) -> Schema {
    let count = kinds::count(generator);
    json_schema!({
        "type": "object",
        "properties": {
            "status": { "const": "ok" },
            "socket": {
                "type": "object",
                "properties": { "initialized": { "type": "boolean" }, "connected": count, "rooms": count },
                "required": ["initialized", "connected", "rooms"],
            },
        },
        "required": ["status", "socket"],
    })
}

// ---- request fields ----

/// A username; same rules as `auth::check_username`.
fn username(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": USERNAME_MAX,
        "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$",
        "not": { "pattern": "^\\s*[mM][oO][dD][eE][lL]\\s*$" },
    })
}

/// An e-mail address; same rules as `auth::check_email`.
fn email(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 3, "maxLength": USER_NAME_MAX,
        "pattern": "^[^\\s\\u0000-\\u001f\\u007f-\\u009f]+@[^@\\s\\u0000-\\u001f\\u007f-\\u009f]+$",
    })
}

/// A new password; same rules as `auth::check_password`.
fn password(generator: &mut SchemaGenerator) -> Schema {
    kinds::text_of::<8, 1_024>(generator)
}

/// A display name; same rules as `auth::check_full_name`.
fn full_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$" })
}

fn emptiable_full_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "maxLength": 200, "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$" })
}

/// A limit; more than 200 counts as 200.
fn limit(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "default": 50 })
}

/// A cursor, exclusive and opaque: a `nextCursor` of the same list.
fn cursor(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$" })
}

/// A time: ISO text or epoch milliseconds; an empty text counts as absent.
fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [{ "type": "string", "format": "date-time" }, { "const": "" }, { "type": "integer" }] })
}

fn participants(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": kinds::user(generator), "maxItems": PARTICIPANTS_MAX })
}

fn new_conversation(generator: &mut SchemaGenerator) -> Schema {
    const GROUP: Shape = Shape::Object(&[
        Field::required("type", word_group),
        Field::required("name", kinds::text_of::<1, GROUP_NAME_MAX>),
        Field::optional("avatar", kinds::text_of::<1, AVATAR_MAX>),
        Field::required("participants", participants),
    ]);
    const DIRECT: Shape = Shape::Object(&[Field::required("type", word_direct), Field::required("participantId", kinds::user)]);
    json_schema!({ "anyOf": [GROUP.schema(generator), DIRECT.schema(generator)] })
}

fn word_group(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "const": "group" })
}

fn word_direct(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "const": "direct" })
}

/// A file as its upload was answered; only the address is used.
fn file_reference(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "properties": { "url": { "type": "string" } }, "required": ["url"] })
}

fn attachments(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": file_reference(generator), "maxItems": ATTACHMENTS_MAX })
}

fn some_attachments(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": file_reference(generator), "minItems": 1, "maxItems": ATTACHMENTS_MAX })
}

/// Ids of notifications; unknown ones are ignored.
fn notification_ids(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "type": ["string", "integer"], "minimum": 0 }, "maxItems": IDS_MAX })
}

/// Exactly one of four targets.
fn emit_target(generator: &mut SchemaGenerator) -> Schema {
    let user = kinds::user(generator).to_value();
    let room = kinds::id_of::<ROOM_MAX>(generator).to_value();
    let all = json!({ "const": true });
    let nobody = |name: &str| if name == "all" { json!({ "enum": [false, null] }) } else { json!({ "type": "null" }) };
    let targets = [("user", user), ("room", room.clone()), ("conversation", room), ("all", all)];
    let only = |(name, schema): &(&str, Value)| {
        let properties: serde_json::Map<_, _> = targets
            .iter()
            .map(|(other, _)| ((*other).to_owned(), if other == name { schema.clone() } else { nobody(other) }))
            .collect();
        json!({ "type": "object", "properties": properties, "required": [name] })
    };
    let alternatives: Vec<_> = targets.iter().map(only).collect();
    json_schema!({ "anyOf": alternatives })
}

/// An event name that Socket.IO does not reserve.
fn event_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": EVENT_MAX,
        "not": { "enum": ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"] },
    })
}
