//! `conversation`: conversations, typing, presence with status, receipts, notifications, several devices.
use super::Fault;
use super::vocabulary::{Asked, Decoded, Entry, Vocabulary};
use crate::chat::{Event, Reply, Words};
use crate::engineio::Encoded;
use crate::socketio::Args;

/// The front end of `seeds/001`.
#[derive(Debug)]
pub struct Conversation;

impl Vocabulary for Conversation {
    fn name(&self) -> &'static str {
        "conversation"
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
