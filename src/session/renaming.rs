//! Packets of the chat's namespace under another name.
use std::borrow::Cow;

use crate::engineio::{CloseReason, Encoded, Output, RECORD_SEPARATOR};

/// Types of a packet that refuses a CONNECT.
const CONNECT_ERROR: &str = "44";

/// An output that puts a namespace's name into the packets of the chat's.
pub(super) struct Renaming<'a> {
    out: &'a mut dyn Output,
    name: &'a str,
}

impl<'a> Renaming<'a> {
    /// Puts `name` into everything sent to `out`.
    pub(super) fn new(out: &'a mut dyn Output, name: &'a str) -> Self {
        Self { out, name }
    }

    fn renamed(&self, packets: &Encoded) -> Encoded {
        let payload = String::from_utf8_lossy(packets.payload());
        let renamed: Vec<_> = payload.split(char::from(RECORD_SEPARATOR)).map(|packet| self.with_name(packet)).collect();
        match renamed.as_slice() {
            [packet] => Encoded::text(packet),
            packets => Encoded::batch(packets.iter().map(|packet| &**packet)),
        }
    }

    /// Puts the name behind the types of Engine.IO and Socket.IO. The refusal of a CONNECT has the name that was asked for.
    fn with_name<'p>(&self, packet: &'p str) -> Cow<'p, str> {
        match packet.split_at_checked(2) {
            Some((types, rest)) if types != CONNECT_ERROR && !rest.starts_with('/') => {
                Cow::Owned([types, self.name, ",", rest].concat())
            }
            _ => Cow::Borrowed(packet),
        }
    }
}

impl Output for Renaming<'_> {
    fn send(&mut self, packets: &Encoded) {
        let renamed = self.renamed(packets);
        self.out.send(&renamed);
    }

    fn send_volatile(&mut self, packets: &Encoded) -> bool {
        let renamed = self.renamed(packets);
        self.out.send_volatile(&renamed)
    }

    fn close(&mut self, reason: CloseReason) {
        self.out.close(reason);
    }

    fn queued_bytes(&self) -> usize {
        self.out.queued_bytes()
    }
}
