//! Events that every dialect sends to its clients.
use schemars::SchemaGenerator;

use super::events::{Offset, ServerEvent};
use super::refusal::ErrorBody;
use crate::socketio::encode_event;

/// Events that every dialect sends to its clients.
pub(super) const COMMON: [ServerEvent; 2] = [
    ServerEvent::either(
        "error",
        SchemaGenerator::subschema_for::<ErrorBody>,
        "A request without an ack was refused, or something happened that no request is refused by; before a DISCONNECT, why.",
    ),
    ServerEvent {
        name: "recovery:seed",
        summary: "The first offset, for a socket that gets no event connected.",
        payload: None,
        offset: Offset::Always,
    },
];

/// Returns the packet that brings a client its first offset; the offset is appended as to any event.
pub fn initial_offset_packet() -> String {
    encode_event("/", "recovery:seed", "")
}
