//! `agent`: a chatbot back end: request and reply events in an envelope.
use super::Fault;
use super::vocabulary::{Asked, Decoded, Entry, Vocabulary};
use crate::chat::{Event, Reply, Words};
use crate::engineio::Encoded;
use crate::socketio::Args;

/// The front end of `seeds/003`.
#[derive(Debug)]
pub struct Agent;

impl Vocabulary for Agent {
    fn name(&self) -> &'static str {
        "agent"
    }

    fn events(&self) -> &'static [Entry] {
        &[]
    }

    fn decode(&self, _asked: &mut Asked, _args: &Args) -> Result<Decoded, Fault> {
        Err(Fault::UnknownEvent)
    }

    fn encode(&self, _event: &Event) -> Option<Encoded> {
        None
    }

    fn words(&self, _is_pinned: bool) -> Words {
        Words::default()
    }

    fn encode_ack(&self, _asked: &Asked, _reply: &Reply) -> String {
        String::new()
    }
}
