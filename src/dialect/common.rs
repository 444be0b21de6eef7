//! Events that clients of every dialect are told.
use schemars::SchemaGenerator;

use super::events::{Offset, Told};
use super::refusal::ErrorBody;
use crate::socketio::encode_event;

/// Events that clients of every dialect are told.
pub(super) const COMMON: [Told; 2] = [
    Told::either(
        "error",
        SchemaGenerator::subschema_for::<ErrorBody>,
        "A request without an ack was refused, or something happened that no request is refused by; before a DISCONNECT, why.",
    ),
    Told {
        name: "recovery:seed",
        summary: "An offset from the start, for a socket that will not be told connected.",
        payload: None,
        offset: Offset::Always,
    },
];

/// The packet whose only argument is the offset, which is added as to all events.
pub fn seed_packet() -> String {
    encode_event("/", "recovery:seed", "")
}
