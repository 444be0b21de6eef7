//! Packets that encode an event.
use serde::Serialize;
use smallvec::SmallVec;

use crate::socketio::encode_event;

/// Serializes a value made of texts, numbers, lists and fields, which cannot fail.
pub(super) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The packets of one event: whole Engine.IO texts.
pub type Packets = SmallVec<[String; 1]>;

/// Makes an event of one packet.
pub(super) fn one(packet: String) -> Packets {
    Packets::from_buf([packet])
}

/// Makes an event of several packets; `None` if there are none.
pub(super) fn batch(packets: impl IntoIterator<Item = String>) -> Option<Packets> {
    let packets: Packets = packets.into_iter().collect();
    (!packets.is_empty()).then_some(packets)
}

/// Encodes an EVENT packet in the default namespace.
pub fn packet(name: &str, argument: &impl Serialize) -> String {
    json_packet(name, &to_json(argument))
}

/// Encodes an EVENT packet in the default namespace from JSON.
pub(super) fn json_packet(name: &str, argument: &str) -> String {
    encode_event("/", name, argument)
}
