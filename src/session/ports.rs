//! Messages that a session sends outward: to the broker, and to the administrators' console.
use actix::Message;
use serde_json::value::RawValue;

use crate::chat::{CatchUpDrained, Connect, Disconnect, FellBehind, Limited, Proven, Request, Upgraded, WordsLearned};
use crate::engineio::{CloseReason, ConnectionKey, Peer};
use crate::socketio::Args;

/// The broker, as a session speaks to it.
pub trait Broker {
    /// A client with a verified token wants in.
    fn connect(&mut self, message: Connect);
    /// It asks for something.
    fn request(&mut self, message: Request);
    /// Requests of it were refused because there were too many.
    fn limited(&mut self, message: Limited);
    /// It learned what it can show.
    fn words_learned(&mut self, message: WordsLearned);
    /// It is reached by a WebSocket now.
    fn upgraded(&mut self, message: Upgraded);
    /// A page of its catch-up has left.
    fn catch_up_drained(&mut self, message: CatchUpDrained);
    /// Too much waited for it: its catch-up is to go on.
    fn fell_behind(&mut self, message: FellBehind);
    /// Something has surely arrived.
    fn proven(&mut self, message: Proven);
    /// It is gone.
    fn disconnect(&mut self, message: Disconnect);
    /// It does something in the administrators' namespace.
    fn at_console(&mut self, message: AtConsole);
}

/// Something that a connection's client does in the administrators' namespace.
///
/// The console's mailbox is bounded: one CONNECT or so many requests a second for each connection.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct AtConsole {
    /// The connection.
    pub connection: ConnectionKey,
    /// The step that its client takes.
    pub act: ConsoleAct,
}

/// A step of a client there.
#[derive(Debug)]
pub enum ConsoleAct {
    /// It wants in. Answered by [`Admitted`](crate::chat::ConsoleNotice::Admitted) or
    /// [`Refused`](crate::chat::ConsoleNotice::Refused).
    Connect {
        /// The proof of who it is.
        auth: Option<Box<RawValue>>,
        /// The client's end.
        peer: Peer,
    },
    /// It is in, and sends an event.
    Request {
        /// The event's name.
        name: String,
        /// The arguments behind the name.
        args: Args,
    },
    /// The last [`Packets`](crate::chat::ConsoleNotice::Packets) that was to be awaited has left.
    Drained,
    /// It is gone, or was put out.
    Gone(CloseReason),
}
