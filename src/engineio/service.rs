//! The interface between Engine.IO and the protocol spoken over it.
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::delivery::ConnectionKey;
use super::encoded::Encoded;
use super::error::CloseReason;
use super::handshake::TransportKind;

/// Headers of the request that opened a connection, as far as somebody is to see them; names are in lower case.
///
/// Without any, no memory is used but the empty reference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Option<Arc<Vec<Header>>>);

/// Name and value.
type Header = (Box<str>, Box<str>);

impl Headers {
    /// No header.
    pub const NONE: Self = Self(None);

    /// Lists names and values.
    pub fn iter(&self) -> impl Iterator<Item = &Header> {
        self.0.iter().flat_map(|headers| headers.iter())
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(headers: I) -> Self {
        let headers: Vec<_> = headers.into_iter().collect();
        Self((!headers.is_empty()).then(|| Arc::new(headers)))
    }
}

/// The HTTP request that opened a connection.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// Query string as sent.
    pub query: String,
    /// `Authorization` header.
    pub authorization: Option<String>,
    /// The cookie `token`, unless the request's origin may not use it.
    pub cookie_token: Option<String>,
    /// Headers that `HOOK_HEADERS` names.
    pub headers: Headers,
    /// The client's end.
    pub peer: Peer,
}

/// The client's end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Peer {
    /// Address, as reported by trusted proxies if there are any.
    pub address: Option<IpAddr>,
    /// The client's connection uses TLS.
    pub secure: bool,
    /// The transport now in use.
    pub transport: TransportKind,
}

/// Actions that a service asks of its connection.
pub trait Output {
    /// Queues packets. They are sent in this order; packets queued during one poll of the task go out in one write.
    fn send(&mut self, packets: &Encoded);
    /// Queues packets that may be dropped once the outbox is half full.
    ///
    /// Returns whether they were queued.
    fn send_volatile(&mut self, packets: &Encoded) -> bool;
    /// Closes the connection once the queue has been sent. Nothing more is read.
    fn close(&mut self, reason: CloseReason);
    /// Returns the number of bytes waiting to be sent.
    fn queued_bytes(&self) -> usize;
}

/// The protocol spoken over Engine.IO connections: Socket.IO here, an echo in the conformance server.
///
/// All calls for one connection come from one thread, one at a time.
pub trait Service: Sized + 'static {
    /// Values shared by all services of a worker.
    type Context: Clone + 'static;
    /// An event shared by many connections.
    type Shared: Send + Sync + 'static;
    /// A message from the server for one connection.
    type Notice: Send + 'static;

    /// Handles the opening of a connection; the open packet is already queued.
    fn open(context: &Self::Context, key: ConnectionKey, opening: &Opening, now: Instant, out: &mut dyn Output) -> Self;
    /// Handles a text message, without the Engine.IO type digit.
    fn on_text(&mut self, text: &str, now: Instant, out: &mut dyn Output);
    /// Handles a binary message.
    fn on_binary(&mut self, data: Bytes, now: Instant, out: &mut dyn Output);
    /// Returns the maximum number of bytes of a message until the client is authenticated; `None` afterwards.
    fn stranger_bytes(&self) -> Option<usize> {
        None
    }
    /// Handles the client's move from polling to a WebSocket.
    fn on_upgraded(&mut self) {}
    /// Handles a shared event from the server.
    fn on_shared(&mut self, event: &std::sync::Arc<Self::Shared>, now: Instant, out: &mut dyn Output);
    /// Handles a notice from the server.
    fn on_notice(&mut self, notice: Self::Notice, now: Instant, out: &mut dyn Output);
    /// Returns the time at which to call [`Service::on_deadline`]. Queried after every other call.
    fn deadline(&self) -> Option<Instant>;
    /// Handles the passing of the deadline.
    fn on_deadline(&mut self, now: Instant, out: &mut dyn Output);
    /// Returns whether [`Service::on_drained`] would do anything now.
    fn wants_drained(&self) -> bool {
        true
    }
    /// Handles the outbox becoming empty.
    fn on_drained(&mut self, now: Instant, out: &mut dyn Output);
    /// Returns the time by which a ping is wanted: its answer confirms everything sent before it. Queried after every
    /// other call.
    fn ping_wanted(&self) -> Option<Instant> {
        None
    }
    /// Records that a ping was queued behind everything sent so far.
    fn on_ping(&mut self) {}
    /// Records that the client answered the last ping: everything sent before that ping has arrived.
    fn on_pong(&mut self) {}
    /// Handles a packet that asks for nothing: a noop, an unsolicited pong, a ping.
    fn on_control(&mut self, _now: Instant, _out: &mut dyn Output) {}
    /// Handles the start of a server stop: take nothing more; carry out or refuse what waits.
    fn on_stopping(&mut self, _now: Instant, _out: &mut dyn Output) {}
    /// Sends any last packets: the server has stopped and closes the connection next.
    fn on_stopped(&mut self, _now: Instant, _out: &mut dyn Output) {}
    /// Handles the end of the connection. Called exactly once, last.
    fn on_close(&mut self, reason: CloseReason, now: Instant);
}
