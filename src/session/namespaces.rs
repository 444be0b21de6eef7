//! The namespaces that a connection may join.
use std::borrow::Cow;

use super::rules::Rules;
use super::state::Session;
use crate::config::Namespaces;
use crate::engineio::{CloseReason, Encoded, Output, RECORD_SEPARATOR};

/// The namespace of the chat.
pub(super) const NAMESPACE: &str = "/";
/// The namespace of the administrators.
pub const CONSOLE: &str = "/admin";

/// Types of a packet that refuses a CONNECT.
const CONNECT_ERROR: &str = "44";

/// Number of a name of the chat's namespace: 0 is [`NAMESPACE`], the others stand in `NAMESPACES`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct NamespaceName(u8);

impl NamespaceName {
    /// Finds a name.
    pub(super) fn find(name: &str, others: &Namespaces) -> Option<Self> {
        if name == NAMESPACE {
            return Some(Self::default());
        }
        let place = others.names().iter().position(|other| **other == *name)?;
        u8::try_from(place + 1).ok().map(Self)
    }
}

impl Session {
    /// Returns the name by which its client calls the chat's namespace.
    pub(super) fn namespace<'a>(&self, rules: &'a Rules) -> &'a str {
        let other = usize::from(self.namespace.0).checked_sub(1).and_then(|place| rules.namespaces.names().get(place));
        other.map_or(NAMESPACE, |name| name)
    }

    /// Returns whether its client has another name for the chat's namespace, so that packets have to bear it.
    #[inline]
    pub(super) fn is_elsewhere(&self) -> bool {
        self.namespace.0 != 0
    }
}

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
