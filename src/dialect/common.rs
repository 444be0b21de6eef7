//! Events that every dialect sends to its clients.
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use super::events::{Offset, ServerEvent};
use super::packets::packet;
use super::refusal::ErrorBody;
use crate::model::{Profile, UserId};
use crate::socketio::encode_event;

/// Events that every dialect sends to its clients.
pub(super) const COMMON: [ServerEvent; 3] = [
    ServerEvent::either(
        "error",
        SchemaGenerator::subschema_for::<ErrorBody>,
        "A request without an ack was refused, or something happened that no request is refused by; before a DISCONNECT, why.",
    ),
    ServerEvent::unplaced(
        "guest",
        SchemaGenerator::subschema_for::<Guest<'_>>,
        "A guest was let in (`ANONYMOUS_USERS`): its id, its name, and the token for its next CONNECT.",
    ),
    ServerEvent {
        name: "recovery:seed",
        summary: "The first offset, for a socket that gets no event connected.",
        payload: None,
        offset: Offset::Always,
    },
];

#[derive(Serialize, JsonSchema)]
struct Guest<'a> {
    id: &'a UserId,
    username: &'a str,
    token: &'a str,
}

/// Returns the packet that tells a guest who it is, and by which token it comes back.
pub fn guest_packet(profile: &Profile, token: &str) -> String {
    packet("guest", &Guest { id: &profile.id, username: &profile.username, token })
}

/// Returns the packet that brings a client its first offset; the offset is appended as to any event.
pub fn initial_offset_packet() -> String {
    encode_event("/", "recovery:seed", "")
}
