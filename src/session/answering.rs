//! Answers to requests.
use crate::chat::Reply;
use crate::dialect::{Asked, Dialect, DialectSet, DialectState, RequestError};
use crate::engineio::{Encoded, Output};
use crate::socketio::encode_ack;

use super::namespaces::NAMESPACE;
use super::rules::Rules;

/// Sends a success: first its ack, then the event that answers it.
pub(super) fn answer_success(dialect: Dialect, asked: &Asked, ack_id: Option<u64>, reply: &Reply, output: &mut dyn Output) {
    if let Some(ack_id) = ack_id {
        output.send(&Encoded::text(&encode_ack(NAMESPACE, ack_id, &dialect.encode_ack(asked, reply))));
    }
    if let Some(text) = dialect.encode_reply(asked, reply) {
        output.send(&Encoded::text(&text));
    }
}

/// A request to refuse.
#[derive(Debug)]
pub(super) struct RefusedRequest {
    /// The dialect that handled it, or would have.
    pub dialect: Dialect,
    /// The dialects in whose words it is refused.
    pub dialects: DialectSet,
    /// State for the answer.
    pub asked: Asked,
    /// Id of the ack that the client waits for.
    pub ack_id: Option<u64>,
}

/// Refuses a request: in its ack, or else in the words of each of its dialects, without duplicates.
pub(super) fn answer_refusal(
    refused: &RefusedRequest,
    request_error: &RequestError,
    dialect_state: DialectState,
    rules: &Rules,
    output: &mut dyn Output,
) {
    let RefusedRequest { dialect, dialects, asked, ack_id } = refused;
    if let Some(ack_id) = *ack_id {
        let ack = dialect.encode_refusal_ack(asked, request_error);
        return output.send(&Encoded::text(&encode_ack(NAMESPACE, ack_id, &ack)));
    }
    let mut sent = Vec::new();
    for dialect in dialects.iter() {
        let apology = if dialect_state.has_requested(dialect) {
            None
        } else {
            dialect.encode_apology(asked, request_error, &rules.ai_error_text)
        };
        for text in std::iter::once(dialect.encode_refusal(asked, request_error)).chain(apology) {
            if !sent.contains(&text) {
                output.send(&Encoded::text(&text));
                sent.push(text);
            }
        }
    }
}
