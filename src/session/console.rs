//! The administrators' namespace, as one connection has it. Who speaks for it stands above: this only passes on.
//!
//! Whoever is there is no user, has no seat in rooms and does not count as online. A connection may hold both namespaces.
use actix::Message;
use log::debug;
use serde_json::value::RawValue;

use super::limits::{Bucket, Rate};
use super::state::{Now, Session, Surroundings};
use crate::chat::ConsoleNotice;
use crate::engineio::{CloseReason, ConnectionKey, Encoded, Peer};
use crate::socketio::{self, Args};

/// Its name.
pub const CONSOLE: &str = "/admin";
/// So many requests of one connection are passed on in a second, and so many at once; what is more is dropped.
const REQUESTS_PER_SECOND: u32 = 10;
const REQUESTS_AT_ONCE: u32 = 20;

/// Something that a connection's client does in the administrators' namespace.
///
/// What waits in the console's mailbox is bounded: one CONNECT or so many requests a second for each connection.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct AtConsole {
    /// The connection.
    pub connection: ConnectionKey,
    /// What it does.
    pub act: ConsoleAct,
}

/// What a client does there.
#[derive(Debug)]
pub enum ConsoleAct {
    /// It wants in. Answered by [`ConsoleNotice::Admitted`] or [`ConsoleNotice::Refused`].
    Connect {
        /// What it proves itself with.
        auth: Option<Box<RawValue>>,
        /// Where it comes from, and how.
        peer: Peer,
    },
    /// It is in, and sends an event.
    Request {
        /// The event's name.
        name: String,
        /// What came after the name.
        args: Args,
    },
    /// The last [`ConsoleNotice::Packets`] that was to be awaited has left.
    Drained,
    /// It is gone, or was put out.
    Gone(CloseReason),
}

/// A connection's part of it, from its CONNECT on.
#[derive(Debug, Default)]
pub struct ConsoleSide {
    requests: Bucket,
    /// Whether it is to be told that the outbox has run empty.
    is_awaited: bool,
}

impl Session {
    /// The client wants in.
    pub(super) fn enter_console(&mut self, auth: Option<&RawValue>, around: &mut Surroundings<'_>) {
        self.console = Some(Box::default());
        let act = ConsoleAct::Connect { auth: auth.map(ToOwned::to_owned), peer: self.peer };
        around.broker.at_console(AtConsole { connection: self.key, act });
    }

    /// It sends an event there.
    pub(super) fn ask_console(&mut self, name: String, args: Args, now: Now, around: &mut Surroundings<'_>) {
        let Some(side) = &mut self.console else { return };
        let rate = Rate::new(REQUESTS_PER_SECOND, REQUESTS_AT_ONCE);
        if rate.is_some_and(|rate| side.requests.take(rate, now.instant).is_err()) {
            return debug!("too many requests of an administrator");
        }
        around.broker.at_console(AtConsole { connection: self.key, act: ConsoleAct::Request { name, args } });
    }

    /// It is gone.
    pub(super) fn leave_console(&mut self, reason: CloseReason, broker: &mut dyn super::state::Broker) {
        if self.console.take().is_some() {
            broker.at_console(AtConsole { connection: self.key, act: ConsoleAct::Gone(reason) });
        }
    }

    /// The console has a word for the client.
    pub(super) fn on_console(&mut self, notice: ConsoleNotice, around: &mut Surroundings<'_>) {
        let Some(side) = &mut self.console else { return };
        match notice {
            ConsoleNotice::Admitted { socket } => {
                self.protocol.join(CONSOLE);
                if !self.is_in() {
                    self.ends_at = None;
                }
                around.wire.send(&Encoded::text(&socketio::encode_connect(CONSOLE, socket.as_str(), None)));
            }
            ConsoleNotice::Refused { message } => {
                self.console = None;
                self.protocol.forget_connecting(CONSOLE);
                around.wire.send(&Encoded::text(&socketio::encode_connect_error(CONSOLE, &message, None)));
            }
            // Said to a socket that has left meanwhile.
            ConsoleNotice::Packets { .. } | ConsoleNotice::Out { .. } if !self.protocol.has_joined(CONSOLE) => {}
            ConsoleNotice::Packets { packets, is_awaited: true } => {
                side.is_awaited = true;
                around.wire.send(&packets);
            }
            ConsoleNotice::Packets { packets, is_awaited: false } => {
                around.wire.send_volatile(&packets);
            }
            ConsoleNotice::Out { closes } => {
                around.wire.send(&Encoded::text(&socketio::encode_disconnect(CONSOLE)));
                self.protocol.leave(CONSOLE);
                self.leave_console(CloseReason::Disconnected, around.broker);
                if closes || self.protocol.joined().next().is_none() {
                    around.wire.close(CloseReason::Disconnected);
                }
            }
        }
    }

    /// The outbox has run empty.
    pub(super) fn console_drained(&mut self, around: &mut Surroundings<'_>) {
        if let Some(side) = &mut self.console
            && std::mem::take(&mut side.is_awaited)
        {
            around.broker.at_console(AtConsole { connection: self.key, act: ConsoleAct::Drained });
        }
    }

    /// Whether the console waits for the outbox to run empty.
    pub(super) fn is_awaited_by_console(&self) -> bool {
        self.console.as_ref().is_some_and(|side| side.is_awaited)
    }
}
