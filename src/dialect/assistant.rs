//! `assistant`: one person talks with an AI model.
use super::Fault;
use super::vocabulary::{Asked, Decoded, Entry, Packets, Vocabulary};
use crate::chat::{Event, Reply, Words};
use crate::socketio::Args;

/// The front end of `seeds/000`.
#[derive(Debug)]
pub struct Assistant;

impl Vocabulary for Assistant {
    fn name(&self) -> &'static str {
        "assistant"
    }

    fn events(&self) -> &'static [Entry] {
        &[]
    }

    fn decode(&self, _asked: &mut Asked, _args: &Args) -> Result<Decoded, Fault> {
        Err(Fault::UnknownEvent)
    }

    fn encode(&self, _event: &Event) -> Option<Packets> {
        None
    }

    fn words(&self, _is_pinned: bool) -> Words {
        Words::default()
    }

    fn encode_ack(&self, _asked: &Asked, _reply: &Reply) -> String {
        String::new()
    }
}
