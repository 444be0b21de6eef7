//! Messages sent by a session: to the broker, and to the administrators' console.
use std::net::IpAddr;
use std::sync::Arc;

use actix::Message;
use serde_json::value::RawValue;

use crate::chat::{CapabilitiesChanged, CatchUpDrained, Confirmed, Connect, Disconnect, FellBehind, Limited, Request, Upgraded};
use crate::engineio::{CloseReason, ConnectionKey, Headers, Peer};
use crate::model::{Account, SocketId, UserId};
use crate::socketio::Args;

/// The broker, as a session sees it.
pub trait Broker {
    /// Asks to admit a client with a verified token.
    fn connect(&mut self, message: Connect);
    /// Passes on a request.
    fn request(&mut self, message: Request);
    /// Reports requests that were refused because there were too many.
    fn limited(&mut self, message: Limited);
    /// Reports that the client can show other events than before.
    fn capabilities_changed(&mut self, message: CapabilitiesChanged);
    /// Reports the move to a WebSocket.
    fn upgraded(&mut self, message: Upgraded);
    /// Reports that a page of the catch-up was sent.
    fn catch_up_drained(&mut self, message: CatchUpDrained);
    /// Reports that events were left out: the catch-up has to continue.
    fn fell_behind(&mut self, message: FellBehind);
    /// Reports what has certainly arrived.
    fn confirmed(&mut self, message: Confirmed);
    /// Reports the end of the session.
    fn disconnect(&mut self, message: Disconnect);
    /// Asks for a key that a token names and that is not known.
    fn keys_wanted(&mut self, message: KeysWanted);
    /// Asks the operator's hook about a CONNECT.
    fn ask_connect(&mut self, message: AskConnect);
    /// Hands an event that no dialect knows on to the operator's server.
    fn forward(&mut self, message: ForwardEvent);
    /// Passes on a message to the administrators' namespace.
    fn at_console(&mut self, message: AtConsole);
}

/// Asks for keys that tokens name and that are not known. Answered by [`KeysRead`](crate::chat::Notice::KeysRead) once
/// their issuers were asked.
///
/// At most two per connection are open: one of a CONNECT, and one of a renewed token.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "()")]
pub struct KeysWanted {
    /// The connection that waits.
    pub connection: ConnectionKey,
}

/// Asks the operator's hook whether a client may come in. Answered by
/// [`ConnectJudged`](crate::chat::Notice::ConnectJudged) with the same ticket. A connection has at most one open.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct AskConnect {
    /// The connection.
    pub connection: ConnectionKey,
    /// The connection's own number for this question.
    pub ticket: u32,
    /// The user whom a valid token proves.
    pub user: Option<UserId>,
    /// The client's `auth`.
    pub auth: Option<Box<RawValue>>,
    /// Headers of the connection that `HOOK_HEADERS` names.
    pub headers: Headers,
    /// The client's address.
    pub address: Option<IpAddr>,
}

/// Hands an event that no dialect knows on to the operator's server. Answered by
/// [`Forwarded`](crate::chat::Notice::Forwarded). Each socket sends as many as its rate allows; what waits is bounded.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct ForwardEvent {
    /// The connection.
    pub connection: ConnectionKey,
    /// The socket.
    pub socket: SocketId,
    /// Its user.
    pub account: Arc<Account>,
    /// Name of the event.
    pub event: Box<str>,
    /// Its arguments, with attachments.
    pub args: Args,
    /// Id of the ack that its client waits for.
    pub ack_id: Option<u64>,
}

/// An action of a connection's client in the administrators' namespace.
///
/// The console's mailbox is bounded: one CONNECT, or the allowed requests per second, for each connection.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct AtConsole {
    /// The connection.
    pub connection: ConnectionKey,
    /// The action.
    pub act: ConsoleAct,
}

/// An action of a client.
#[derive(Debug)]
pub enum ConsoleAct {
    /// A CONNECT. Answered by [`Admitted`](crate::chat::ConsoleNotice::Admitted) or
    /// [`Refused`](crate::chat::ConsoleNotice::Refused).
    Connect {
        /// Its credentials.
        auth: Option<Box<RawValue>>,
        /// The client's end.
        peer: Peer,
    },
    /// An event from an admitted client.
    Request {
        /// The event's name.
        name: String,
        /// The arguments after the name.
        args: Args,
    },
    /// The last awaited [`Packets`](crate::chat::ConsoleNotice::Packets) were sent.
    Drained,
    /// The client left, or was kicked.
    Gone(CloseReason),
}
