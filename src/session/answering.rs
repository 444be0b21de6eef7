//! How requests are answered.
use crate::chat::Reply;
use crate::dialect::{Asked, Dialect, DialectSet, Fault};
use crate::engineio::{Encoded, Output};
use crate::socketio::encode_ack;

use super::state::NAMESPACE;

/// Tells that a request succeeded: first its ack, then the event that answers it.
pub fn answer_success(dialect: Dialect, asked: &Asked, ack_id: Option<u64>, reply: &Reply, wire: &mut dyn Output) {
    if let Some(ack_id) = ack_id {
        wire.send(&Encoded::text(&encode_ack(NAMESPACE, ack_id, &dialect.encode_ack(asked, reply))));
    }
    if let Some(text) = dialect.encode_reply(asked, reply) {
        wire.send(&Encoded::text(&text));
    }
}

/// Refuses a request: in its ack, or else in the words of each dialect that it belongs to; equal packets once.
pub fn answer_refusal(
    dialect: Dialect,
    dialects: DialectSet,
    asked: &Asked,
    ack_id: Option<u64>,
    fault: &Fault,
    wire: &mut dyn Output,
) {
    if let Some(ack_id) = ack_id {
        let ack = dialect.encode_refusal_ack(asked, fault);
        return wire.send(&Encoded::text(&encode_ack(NAMESPACE, ack_id, &ack)));
    }
    let mut sent = Vec::new();
    for dialect in dialects.iter() {
        let text = dialect.encode_refusal(asked, fault);
        if !sent.contains(&text) {
            wire.send(&Encoded::text(&text));
            sent.push(text);
        }
    }
}
