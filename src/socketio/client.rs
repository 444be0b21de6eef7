//! The Socket.IO state of one Engine.IO connection.
use bytes::Bytes;
use serde_json::value::RawValue;

use super::args::Args;
use super::attachments::{Assembly, placeholders_fit};
use super::error::ProtocolError;
use super::packet::{Kind, Packet};

/// One message from a client.
#[derive(Debug)]
pub enum Incoming {
    /// Asks to join a namespace, `/` being the default: answer by [`Client::join`] or [`Client::forget_connecting`].
    Connect {
        /// The namespace; it may not exist.
        namespace: Box<str>,
        /// A JSON object.
        auth: Option<Box<RawValue>>,
    },
    /// An event.
    Event(IncomingEvent),
    /// The answer to an event that asked for one.
    Ack {
        /// A joined namespace.
        namespace: Box<str>,
        /// The id of that event; it may be unknown.
        id: u64,
        /// The answer.
        args: Args,
    },
    /// The client left a namespace.
    Disconnect {
        /// The namespace, which is no longer joined.
        namespace: Box<str>,
    },
}

/// An event from a client, attachments included.
#[derive(Debug)]
pub struct IncomingEvent {
    /// A joined namespace.
    pub namespace: Box<str>,
    /// Its name; if it was a number, that number's text.
    pub name: String,
    /// Everything after the name.
    pub args: Args,
    /// Id of the ack that it asks for.
    pub ack_id: Option<u64>,
}

/// The namespaces of one connection, and the packet waiting for its attachments.
///
/// The default namespace is stored inline: a client that uses no other needs no heap.
#[derive(Debug, Default)]
pub struct Client {
    default: Membership,
    has_ever_joined: bool,
    more: Option<Box<More>>,
}

/// Parts that most clients never need.
#[derive(Debug, Default)]
struct More {
    others: Vec<(Box<str>, Membership)>,
    assembling: Option<(IncomingPacket, Assembly)>,
}

/// State of a namespace on a connection.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Membership {
    #[default]
    None,
    /// The CONNECT has not been answered.
    Connecting,
    Joined,
    /// The server left it; the client may not know yet.
    Left,
}

/// A binary packet whose attachments have not come.
#[derive(Debug)]
struct IncomingPacket {
    namespace: Box<str>,
    /// `None` for an ack.
    name: Option<String>,
    ack_id: Option<u64>,
    args: Args,
}

impl Client {
    /// Returns a client that has joined nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Handles a text message (without the Engine.IO type digit); `None` if it waits for attachments or is ignored.
    ///
    /// # Errors
    /// [`ProtocolError`]: close the connection without an answer.
    pub fn on_text(&mut self, text: &str) -> Result<Option<Incoming>, ProtocolError> {
        if self.is_assembling() {
            return Err(ProtocolError::UnexpectedText);
        }
        let packet = Packet::decode(text)?;
        match packet.kind {
            Kind::Connect => self.on_connect(&packet).map(Some),
            Kind::Disconnect => self.on_disconnect(&packet),
            Kind::Event => {
                let (name, args) = packet.event()?;
                self.on_packet(&packet, Some(name), args)
            }
            Kind::Ack => {
                let args = packet.args()?;
                self.on_packet(&packet, None, args)
            }
            Kind::ConnectError => Err(ProtocolError::UnexpectedConnectError),
        }
    }

    /// Returns whether attachments are outstanding.
    pub fn is_assembling(&self) -> bool {
        self.more.as_ref().is_some_and(|more| more.assembling.is_some())
    }

    /// Handles a binary message; `None` if more attachments are outstanding or the packet is ignored. `max_bytes` is
    /// the limit for all attachments of a packet together; 0 means that their contents are discarded.
    ///
    /// # Errors
    /// [`ProtocolError::UnexpectedBinary`] if none was outstanding; [`ProtocolError::AttachmentsTooLarge`]. Close the
    /// connection.
    pub fn on_binary(&mut self, data: Bytes, max_bytes: usize) -> Result<Option<Incoming>, ProtocolError> {
        let more = self.more.as_mut().ok_or(ProtocolError::UnexpectedBinary)?;
        let (mut packet, mut assembly) = more.assembling.take().ok_or(ProtocolError::UnexpectedBinary)?;
        let Some(attachments) = assembly.add(data, max_bytes)? else {
            more.assembling = Some((packet, assembly));
            return Ok(None);
        };
        self.tidy();
        packet.args.set_attachments(attachments);
        Ok(self.deliver(packet))
    }

    /// Accepts a CONNECT.
    pub fn join(&mut self, namespace: &str) {
        self.set(namespace, Membership::Joined);
        self.has_ever_joined = true;
    }

    /// Leaves a namespace from the server's side. Packets for it that are still in flight will be ignored.
    pub fn leave(&mut self, namespace: &str) {
        if self.membership(namespace) != Membership::None {
            self.set(namespace, Membership::Left);
        }
    }

    /// Forgets a refused CONNECT: the client may try again.
    pub fn forget_connecting(&mut self, namespace: &str) {
        if self.membership(namespace) == Membership::Connecting {
            self.set(namespace, Membership::None);
        }
    }

    /// Returns whether a namespace is joined.
    pub fn has_joined(&self, namespace: &str) -> bool {
        self.membership(namespace) == Membership::Joined
    }

    /// Returns whether any namespace was ever joined.
    pub fn has_ever_joined(&self) -> bool {
        self.has_ever_joined
    }

    /// Returns the joined namespaces.
    pub fn joined(&self) -> impl Iterator<Item = &str> {
        let others = self.others().iter().map(|(namespace, membership)| (namespace.as_ref(), *membership));
        std::iter::once(("/", self.default))
            .chain(others)
            .filter(|(_, membership)| *membership == Membership::Joined)
            .map(|(namespace, _)| namespace)
    }

    fn on_connect(&mut self, packet: &Packet<'_>) -> Result<Incoming, ProtocolError> {
        let auth = packet.auth()?;
        if matches!(self.membership(packet.namespace), Membership::Connecting | Membership::Joined) {
            return Err(ProtocolError::AlreadyConnected);
        }
        self.set(packet.namespace, Membership::Connecting);
        Ok(Incoming::Connect { namespace: packet.namespace.into(), auth })
    }

    fn on_disconnect(&mut self, packet: &Packet<'_>) -> Result<Option<Incoming>, ProtocolError> {
        packet.nothing()?;
        let is_joined = self.is_joined_still(packet.namespace)?;
        self.set(packet.namespace, Membership::None);
        Ok(is_joined.then(|| Incoming::Disconnect { namespace: packet.namespace.into() }))
    }

    fn on_packet(&mut self, packet: &Packet<'_>, name: Option<String>, args: Args) -> Result<Option<Incoming>, ProtocolError> {
        self.is_joined_still(packet.namespace)?;
        let &Packet { attachments, namespace, ack_id, .. } = packet;
        let packet = IncomingPacket { namespace: namespace.into(), name, ack_id, args };
        if attachments == 0 {
            return Ok(self.deliver(packet));
        }
        if !placeholders_fit(packet.args.as_str(), attachments) {
            return Err(ProtocolError::IllegalPlaceholder);
        }
        self.more.get_or_insert_default().assembling = Some((packet, Assembly::new(attachments)));
        Ok(None)
    }

    /// Returns a complete packet, unless the server left its namespace.
    fn deliver(&self, packet: IncomingPacket) -> Option<Incoming> {
        let IncomingPacket { namespace, name, ack_id, args } = packet;
        if !self.has_joined(&namespace) {
            return None;
        }
        match name {
            Some(name) => Some(Incoming::Event(IncomingEvent { namespace, name, args, ack_id })),
            // An ack without an id answers nothing.
            None => ack_id.map(|id| Incoming::Ack { namespace, id, args }),
        }
    }

    /// Returns whether a namespace is joined; `false` if the server left it, in which case late packets are legitimate.
    /// A packet for any other namespace is a violation.
    fn is_joined_still(&self, namespace: &str) -> Result<bool, ProtocolError> {
        match self.membership(namespace) {
            Membership::Joined => Ok(true),
            Membership::Left => Ok(false),
            Membership::None | Membership::Connecting => Err(ProtocolError::NotConnected),
        }
    }

    fn membership(&self, namespace: &str) -> Membership {
        if namespace == "/" {
            return self.default;
        }
        let other = self.others().iter().find(|(name, _)| name.as_ref() == namespace);
        other.map_or(Membership::None, |(_, membership)| *membership)
    }

    fn set(&mut self, namespace: &str, membership: Membership) {
        if namespace == "/" {
            self.default = membership;
            return;
        }
        let others = &mut self.more.get_or_insert_default().others;
        let position = others.iter().position(|(name, _)| name.as_ref() == namespace);
        match (position, membership) {
            (Some(position), Membership::None) => {
                others.swap_remove(position);
            }
            (None, Membership::None) => {}
            (Some(position), membership) => {
                if let Some(other) = others.get_mut(position) {
                    other.1 = membership;
                }
            }
            (None, membership) => others.push((namespace.into(), membership)),
        }
        self.tidy();
    }

    fn others(&self) -> &[(Box<str>, Membership)] {
        self.more.as_ref().map_or(&[], |more| &more.others)
    }

    /// Drops what is not needed any more.
    fn tidy(&mut self) {
        self.more.take_if(|more| more.others.is_empty() && more.assembling.is_none());
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
