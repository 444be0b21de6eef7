//! The administrators' namespace on one connection: passes messages between the client and the console.
//!
//! A client there is not a user: it is in no rooms and does not count as online. A connection may join both namespaces.
use log::debug;
use serde_json::value::RawValue;

use super::call_context::{CallContext, Now};
use super::namespaces::CONSOLE;
use super::ports::{AtConsole, Broker, ConsoleAct};
use super::state::Session;
use crate::chat::ConsoleNotice;
use crate::engineio::{CloseReason, Encoded};
use crate::socketio::{self, Args};

impl Session {
    /// Handles a CONNECT.
    pub(super) fn enter_console(&mut self, auth: Option<&RawValue>, cx: &mut CallContext<'_>) {
        self.console = Some(Box::default());
        let act = ConsoleAct::Connect { auth: auth.map(ToOwned::to_owned), peer: self.peer };
        cx.broker.at_console(AtConsole { connection: self.key, act });
    }

    /// Passes on an event.
    pub(super) fn ask_console(&mut self, name: String, args: Args, now: Now, cx: &mut CallContext<'_>) {
        let Some(side) = &mut self.console else { return };
        if !side.may_ask(now.instant) {
            return debug!("too many requests from the Admin UI");
        }
        cx.broker.at_console(AtConsole { connection: self.key, act: ConsoleAct::Request { name, args } });
    }

    /// Reports that the client has left.
    pub(super) fn leave_console(&mut self, reason: CloseReason, broker: &mut dyn Broker) {
        if self.console.take().is_some() {
            broker.at_console(AtConsole { connection: self.key, act: ConsoleAct::Gone(reason) });
        }
    }

    /// Handles a notice of the console.
    pub(super) fn on_console(&mut self, notice: ConsoleNotice, cx: &mut CallContext<'_>) {
        let Some(side) = &mut self.console else { return };
        match notice {
            ConsoleNotice::Admitted { socket } => {
                self.protocol.join(CONSOLE);
                if !self.is_in() {
                    self.ends_at = None;
                }
                cx.output.send(&Encoded::text(&socketio::encode_connect(CONSOLE, socket.as_str(), None)));
            }
            ConsoleNotice::Refused { message } => {
                self.console = None;
                self.protocol.forget_connecting(CONSOLE);
                cx.output.send(&Encoded::text(&socketio::encode_connect_error(CONSOLE, &message, None)));
            }
            // It was sent before the socket left.
            ConsoleNotice::Packets { .. } | ConsoleNotice::Out { .. } if !self.protocol.has_joined(CONSOLE) => {}
            ConsoleNotice::Packets { packets, is_awaited: true } => {
                side.is_awaited = true;
                cx.output.send(&packets);
            }
            ConsoleNotice::Packets { packets, is_awaited: false } => {
                cx.output.send_volatile(&packets);
            }
            ConsoleNotice::Out { closes } => {
                cx.output.send(&Encoded::text(&socketio::encode_disconnect(CONSOLE)));
                self.protocol.leave(CONSOLE);
                self.leave_console(CloseReason::Disconnected, cx.broker);
                if closes || self.protocol.joined().next().is_none() {
                    cx.output.close(CloseReason::Disconnected);
                }
            }
        }
    }

    /// Handles the outbox becoming empty.
    pub(super) fn console_drained(&mut self, cx: &mut CallContext<'_>) {
        if let Some(side) = &mut self.console
            && std::mem::take(&mut side.is_awaited)
        {
            cx.broker.at_console(AtConsole { connection: self.key, act: ConsoleAct::Drained });
        }
    }
}
