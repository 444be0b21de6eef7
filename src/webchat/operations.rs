//! Descriptions of the routes for `/api/openapi.json`. Pages and their files are for people, and not in it.
use schemars::{Schema, SchemaGenerator, json_schema};

use crate::model::{Timestamp, UserId};
use crate::web::{Answer, Operation, Who};

/// All operations of this module.
pub(crate) const OPERATIONS: &[Operation] = &[Operation::post(
    "/api/demo",
    Who::Anyone,
    "Tokens of the two people of the demo at /, for this machine only, and only while nobody has an account.",
)
.answers(&[Answer::Success(200, &[("people", people)])])
.refuses(&[(404, "NOT_FOUND")])];

fn people(generator: &mut SchemaGenerator) -> Schema {
    let (id, time) = (generator.subschema_for::<UserId>(), generator.subschema_for::<Timestamp>());
    let user = json_schema!({
        "type": "object",
        "properties": { "id": id, "username": { "type": "string" }, "fullName": { "type": ["string", "null"] } },
        "required": ["id", "username", "fullName"],
        "additionalProperties": false,
    });
    json_schema!({ "type": "array", "items": {
        "type": "object",
        "properties": { "user": user, "token": { "type": "string" }, "expiresAt": time },
        "required": ["user", "token", "expiresAt"],
        "additionalProperties": false,
    } })
}
