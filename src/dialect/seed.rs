//! Ours: what a connection without a word for its own coming gets, so that its client has an offset from the start.
use crate::socketio::encode_event;

/// The packet whose only argument is the offset, which is added as to all events.
pub fn seed_packet() -> String {
    encode_event("/", "recovery:seed", "")
}
