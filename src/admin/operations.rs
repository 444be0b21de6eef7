//! Descriptions of the routes for `/api/openapi.json`, one line each, in the order of `routes.rs`.
use schemars::{Schema, SchemaGenerator, json_schema};

use super::audit::ID_MAX;
use super::explain::Explanation;
use super::log_filter::MAX_SECONDS;
use super::webhooks;
use crate::model::{SocketId, Timestamp, UserId, UserRole};
use crate::schema::{Field, Shape, kinds};
use crate::web::{Answer, DocumentedError, Operation, USER_NAME_MAX, Who};

/// Descriptions of all routes.
pub const OPERATIONS: &[Operation] = &[
    Operation::get(
        "/api/admin/events/stream",
        Who::Admin,
        "Events as they happen, as server-sent events; with arguments only if bodies is set.",
    )
    .query(&[
        Field::optional("user", kinds::user),
        Field::optional("socket", SchemaGenerator::subschema_for::<SocketId>),
        Field::optional("dialect", kinds::some_text),
        Field::optional("event", kinds::text),
        Field::optional("bodies", kinds::flag),
    ])
    .answers(&[Answer::Other(200, "text/event-stream")]),
    Operation::get("/api/admin/stats", Who::Admin, "All figures.").answers(&[Answer::Success(200, &[("stats", figures)])]),
    Operation::get("/api/admin/stats/stream", Who::Admin, "The same as server-sent events, one line a second.")
        .answers(&[Answer::Other(200, "text/event-stream")]),
    Operation::get("/metrics", Who::Bearer, "The figures for Prometheus; requires METRICS_TOKEN if that is set.")
        .answers(&[Answer::Other(200, "text/plain")]),
    Operation::get("/api/admin/log", Who::Admin, "The log filter.").answers(&[Answer::Success(200, &[("log", log_filter)])]),
    Operation::put("/api/admin/log", Who::Admin, "Switches the log filter, for some time or until the next start.")
        .body(Shape::Object(&[Field::required("filter", kinds::some_text), Field::optional("forSeconds", log_seconds)]))
        .answers(&[Answer::Success(200, &[("log", log_filter)])]),
    Operation::post("/api/admin/users", Who::Admin, "Makes an account; its id is ours where none is given.")
        .body(Shape::Object(&[
            Field::required("username", kinds::text),
            Field::optional("id", kinds::user),
            Field::optional("email", kinds::text),
            Field::optional("fullName", kinds::text),
            Field::optional("password", kinds::text_of::<8, 1_024>),
            Field::optional("passwordHash", kinds::text),
            Field::optional("role", SchemaGenerator::subschema_for::<UserRole>),
        ]))
        .answers(&[Answer::Success(201, &[("user", account)])])
        .refuses(&[CONFLICT]),
    Operation::patch(
        "/api/admin/users/{id}",
        Who::Admin,
        "Changes an account. Disabling disconnects its sockets and refuses its tokens; a new password ends all logins.",
    )
    .body(Shape::Object(&[
        Field::optional("disabled", kinds::flag),
        Field::optional("role", SchemaGenerator::subschema_for::<UserRole>),
        Field::optional("password", kinds::text_of::<8, 1_024>),
        Field::optional("passwordHash", kinds::text),
        Field::optional("username", kinds::text),
        Field::optional("email", kinds::text),
        Field::optional("fullName", kinds::text),
    ]))
    .answers(&[Answer::Success(200, &[("user", account)])])
    .refuses(&[NOT_FOUND, CONFLICT]),
    Operation::delete(
        "/api/admin/users/{id}",
        Who::Admin,
        "Deletes an account: personal data is deleted, messages to others stay, under a nameless author.",
    )
    .refuses(&[NOT_FOUND]),
    Operation::get(
        "/api/admin/audit",
        Who::Admin,
        "Actions of administrators and of servers with keys, newest first; next is the before of the next page.",
    )
    .query(&[Field::optional("before", kinds::text_of::<0, ID_MAX>), LIMIT])
    .answers(&[Answer::Success(200, &[("entries", audit_entries), ("next", next_entry)])]),
    Operation::get(
        "/api/admin/webhooks",
        Who::Admin,
        "The webhooks, the events that wait longest, and dead letters, newest first; next is the before of the next page.",
    )
    .query(&[
        Field::optional("webhook", kinds::text_of::<1, { webhooks::NAME_MAX }>),
        Field::optional("before", event_number),
        LIMIT,
    ])
    .answers(&[Answer::Success(
        200,
        &[
            ("webhooks", webhooks::webhooks),
            ("waiting", webhooks::events),
            ("deadLetters", webhooks::events),
            ("next", next_event),
        ],
    )]),
    Operation::post(
        "/api/admin/webhooks/replay",
        Who::Admin,
        "Puts dead letters, by their numbers or all of a webhook, behind what waits, and tries at once.",
    )
    .body(UNTOLD)
    .answers(&[Answer::Success(200, &[("events", kinds::count)])])
    .refuses(&[NOT_FOUND]),
    Operation::post(
        "/api/admin/webhooks/skip",
        Who::Admin,
        "Deletes events by their numbers, waiting or dead, or all dead letters of a webhook; what waits for it stays.",
    )
    .body(UNTOLD)
    .answers(&[Answer::Success(200, &[("events", kinds::count), ("waiting", kinds::count)])])
    .refuses(&[NOT_FOUND]),
    Operation::post(
        "/api/admin/tokens/revoke",
        Who::Admin,
        "Revokes the tokens of a token's login, or all of a user; their sockets are disconnected.",
    )
    .body(Shape::ObjectWith(
        &[Field::optional("token", kinds::some_text), Field::optional("user", kinds::text_of::<1, USER_NAME_MAX>)],
        &[&[Field::required("token", kinds::some_text), Field::required("user", kinds::text_of::<1, USER_NAME_MAX>)]],
    ))
    .answers(&[Answer::Success(200, &[("user", view)])])
    .refuses(&[NOT_FOUND]),
    Operation::get(
        "/api/admin/sockets",
        Who::Admin,
        "Sessions in the order of their sockets' ids, parked ones too, of all or of whom search finds by id, e-mail or part of a \
         name; next is the after of the next page.",
    )
    .query(&[
        Field::optional("user", kinds::user),
        Field::optional("search", kinds::text_of::<0, USER_NAME_MAX>),
        Field::optional("after", SchemaGenerator::subschema_for::<SocketId>),
        LIMIT,
    ])
    .answers(&[Answer::Success(200, &[("sockets", sessions), ("next", SchemaGenerator::subschema_for::<Option<SocketId>>)])]),
    Operation::get("/api/admin/sockets/{id}", Who::Admin, "A session.")
        .answers(&[Answer::Success(200, &[("socket", session)])])
        .refuses(&[NOT_FOUND]),
    Operation::get(
        "/api/admin/explain/user/{who}",
        Who::Admin,
        "Explains why a user does or does not get messages; by id, name, e-mail or socket id.",
    )
    .answers(&[Answer::Success(200, &[("user", view), ("explanation", SchemaGenerator::subschema_for::<Explanation>)])])
    .refuses(&[NOT_FOUND]),
    Operation::get("/api/admin/explain/message/{id}", Who::Admin, "Explains what happened to a message.")
        .answers(&[Answer::Success(200, &[("message", view), ("explanation", SchemaGenerator::subschema_for::<Explanation>)])])
        .refuses(&[NOT_FOUND]),
    Operation::get("/api/admin/rooms", Who::Admin, "Rooms with at least one socket, by members or by rate.")
        .query(&[Field::optional("sort", room_order), LIMIT])
        .answers(&[Answer::Success(200, &[("rooms", rooms)])]),
    Operation::get("/api/admin/rooms/{room}", Who::Admin, "A room and its sockets.")
        .query(&[LIMIT])
        .answers(&[Answer::Success(200, &[("room", room), ("sockets", members)])])
        .refuses(&[NOT_FOUND]),
    Operation::post("/api/admin/sockets/{id}/kick", Who::Admin, "Disconnects a socket.").refuses(&[NOT_FOUND]),
];

const NUMBERS: Field = Field::required("numbers", event_numbers);
const WEBHOOK: Field = Field::required("webhook", kinds::text_of::<1, { webhooks::NAME_MAX }>);
/// Numbers of events, or a webhook.
const UNTOLD: Shape = Shape::ObjectWith(
    &[Field::optional("numbers", event_numbers), Field::optional("webhook", kinds::text_of::<1, { webhooks::NAME_MAX }>)],
    &[&[NUMBERS, WEBHOOK]],
);
const LIMIT: Field = Field::optional("limit", limit);
const NOT_FOUND: DocumentedError = (404, "NOT_FOUND");
const CONFLICT: DocumentedError = (409, "CONFLICT");

/// A limit; more than 200 counts as 200.
fn limit(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "default": 50 })
}

fn event_number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX })
}

fn next_event(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["integer", "null"] })
}

fn event_numbers(_: &mut SchemaGenerator) -> Schema {
    let number = json_schema!({ "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX });
    json_schema!({ "type": "array", "items": number, "maxItems": webhooks::NUMBERS_MAX })
}

fn room_order(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["members", "rate"] })
}

/// A snapshot; later releases may add fields.
fn view(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "properties": { "id": { "type": "string" } }, "required": ["id"], "additionalProperties": true })
}

fn audit_entries(generator: &mut SchemaGenerator) -> Schema {
    let (count, time) = (kinds::count(generator), generator.subschema_for::<Timestamp>());
    let text = json_schema!({ "type": ["string", "null"] });
    json_schema!({ "type": "array", "items": {
        "type": "object",
        "properties": {
            "id": { "type": "string" }, "doneAt": time, "actor": { "type": "string" }, "action": { "type": "string" },
            "object": text, "address": text, "times": count,
        },
        "required": ["id", "doneAt", "actor", "action", "object", "address", "times"],
    } })
}

fn next_entry(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"] })
}

fn session(generator: &mut SchemaGenerator) -> Schema {
    let (socket, user) = (generator.subschema_for::<SocketId>(), generator.subschema_for::<UserId>());
    json_schema!({
        "type": "object",
        "properties": { "socketId": socket, "userId": user, "state": { "enum": ["open", "parked"] } },
        "required": ["socketId", "userId", "state"],
        "additionalProperties": true,
    })
}

fn sessions(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": session(generator) })
}

fn room(generator: &mut SchemaGenerator) -> Schema {
    let count = kinds::count(generator);
    json_schema!({
        "type": "object",
        "properties": { "room": { "type": "string" }, "members": count, "parked": count, "messagesPerMinute": { "type": "number" } },
        "required": ["room", "members", "parked", "messagesPerMinute"],
    })
}

fn rooms(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": room(generator) })
}

fn members(generator: &mut SchemaGenerator) -> Schema {
    let (socket, user) = (generator.subschema_for::<SocketId>(), generator.subschema_for::<UserId>());
    let member = json_schema!({
        "type": "object",
        "properties": { "socketId": socket, "userId": user },
        "required": ["socketId", "userId"],
    });
    json_schema!({ "type": "array", "items": member })
}

/// A log filter, in the syntax of `RUST_LOG`.
fn log_filter(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "filter": { "type": "string" },
            "configured": { "type": "string" },
            "until": { "type": ["string", "null"], "format": "date-time" },
        },
        "required": ["filter", "configured", "until"],
        "additionalProperties": false,
    })
}

fn log_seconds(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": MAX_SECONDS })
}

/// Figures by name; later releases may add some.
fn figures(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "additionalProperties": true })
}

/// An account in answers to administrators.
fn account(generator: &mut SchemaGenerator) -> Schema {
    let (id, role) = (generator.subschema_for::<UserId>(), generator.subschema_for::<UserRole>());
    let text = || json_schema!({ "type": ["string", "null"] });
    json_schema!({
        "type": "object",
        "properties": {
            "id": id, "username": { "type": "string" }, "fullName": text(), "avatar": text(), "email": text(), "role": role,
            "disabled": { "type": "boolean" },
            "guest": { "type": "boolean" },
        },
        "required": ["id", "username", "fullName", "avatar", "email", "role", "disabled", "guest"],
    })
}
