//! The border between Engine.IO and what is spoken over it.
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;

use super::delivery::ConnectionKey;
use super::encoded::Encoded;
use super::error::CloseReason;
use super::handshake::TransportKind;

/// The HTTP request that opened a connection.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// Query string, as sent.
    pub query: String,
    /// `Authorization` header.
    pub authorization: Option<String>,
    /// The cookie `token`, unless its origin may not use it.
    pub cookie_token: Option<String>,
    /// The client's end.
    pub peer: Peer,
}

/// A client's end of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Peer {
    /// Its address, as far as trusted proxies tell.
    pub address: Option<IpAddr>,
    /// It speaks TLS.
    pub secure: bool,
    /// The transport that reaches it now.
    pub transport: TransportKind,
}

/// The orders of a service to its connection.
pub trait Output {
    /// Queues packets. They leave in this order; what is queued while the task runs leaves in one write.
    fn send(&mut self, packets: &Encoded);
    /// Queues packets that may be dropped when the outbox is half full.
    ///
    /// Returns whether they were queued.
    fn send_volatile(&mut self, packets: &Encoded) -> bool;
    /// Ends the connection after what is queued has left. No more is read.
    fn close(&mut self, reason: CloseReason);
    /// Bytes that wait to leave.
    fn queued_bytes(&self) -> usize;
}

/// The protocol that is spoken over Engine.IO connections: Socket.IO here, an echo in the conformance server.
///
/// All calls of one connection come from one thread, one at a time.
pub trait Service: Sized + 'static {
    /// The values that all services of a worker share.
    type Context: Clone + 'static;
    /// An event that many connections share.
    type Shared: Send + Sync + 'static;
    /// A word from inside for one connection.
    type Notice: Send + 'static;

    /// A connection opened; its open packet is already queued.
    fn open(context: &Self::Context, key: ConnectionKey, opening: &Opening, now: Instant, out: &mut dyn Output) -> Self;
    /// A text message came (without the Engine.IO type digit).
    fn on_text(&mut self, text: &str, now: Instant, out: &mut dyn Output);
    /// A binary message came.
    fn on_binary(&mut self, data: Bytes, now: Instant, out: &mut dyn Output);
    /// Bytes that a message may have as long as nobody knows who the client is; `None`: somebody does.
    fn stranger_bytes(&self) -> Option<usize> {
        None
    }
    /// The client has moved from polling to a WebSocket.
    fn on_upgraded(&mut self) {}
    /// A shared event came from inside.
    fn on_shared(&mut self, event: &std::sync::Arc<Self::Shared>, now: Instant, out: &mut dyn Output);
    /// A word came from inside.
    fn on_notice(&mut self, notice: Self::Notice, now: Instant, out: &mut dyn Output);
    /// When [`Service::on_deadline`] wants to be called. Asked after every other call.
    fn deadline(&self) -> Option<Instant>;
    /// The deadline has passed.
    fn on_deadline(&mut self, now: Instant, out: &mut dyn Output);
    /// Tells whether [`Service::on_drained`] would do anything now.
    fn wants_drained(&self) -> bool {
        true
    }
    /// The outbox has run empty after having held something.
    fn on_drained(&mut self, now: Instant, out: &mut dyn Output);
    /// By when it wants a ping: its answer proves that all before it was received. Asked after every other call.
    fn ping_wanted(&self) -> Option<Instant> {
        None
    }
    /// A ping was queued behind all that was sent by now.
    fn on_ping(&mut self) {}
    /// The client has answered the last ping: all that was sent before that has reached it.
    fn on_pong(&mut self) {}
    /// The client sent something that asks for nothing: a noop, a pong to no ping, a ping of its own.
    fn on_control(&mut self, _now: Instant, _out: &mut dyn Output) {}
    /// The server stops: nothing more is taken, and what waits is carried out or refused.
    fn on_stopping(&mut self, _now: Instant, _out: &mut dyn Output) {}
    /// The server has stopped and closes the connection next: last words.
    fn on_stopped(&mut self, _now: Instant, _out: &mut dyn Output) {}
    /// The connection is gone. Called exactly once, last.
    fn on_close(&mut self, reason: CloseReason, now: Instant);
}
