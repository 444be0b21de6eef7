//! The end of a client's stay in the chat.
use std::time::Instant;

use super::call_context::CallContext;
use super::confirmation::Confirmation;
use super::namespaces::{CONSOLE, NAMESPACE};
use super::rules::Rules;
use super::state::{Session, Stage};
use crate::chat::{Disconnect, LeftBehind};
use crate::dialect::{kick_packet, kick_sentence};
use crate::engineio::{CloseReason, Encoded};
use crate::logging::RefusalKind;
use crate::socketio;

impl Session {
    /// Kicks the client for good.
    pub(super) fn kick(&mut self, code: &'static str, cx: &mut CallContext<'_>) {
        if !self.is_in() {
            return;
        }
        let error_id = cx.rules.note(self.refusal(RefusalKind::Disconnect, code, kick_sentence(code)));
        cx.output.send(&Encoded::text(&kick_packet(code, error_id)));
        cx.output.send(&Encoded::text(&socketio::encode_disconnect(NAMESPACE)));
        self.protocol.leave(self.namespace(cx.rules));
        let (connection, confirmed) = (self.key, self.confirmation.confirmed());
        let (reason, left) = (CloseReason::Disconnected, LeftBehind::Dropped);
        cx.broker.disconnect(Disconnect { connection, on_purpose: true, may_return: false, reason, confirmed, left });
        self.leave();
        if !self.protocol.has_joined(CONSOLE) {
            cx.output.close(CloseReason::Disconnected);
        }
    }

    /// Closes the connection of a client that violates the protocol.
    pub(super) fn violated(&mut self, error: &socketio::ProtocolError, cx: &mut CallContext<'_>) {
        let (kind, cause) = (if self.is_in() { RefusalKind::Disconnect } else { RefusalKind::Connect }, error.to_string());
        cx.rules.note(self.refusal(kind, "PROTOCOL_VIOLATION", &cause));
        cx.output.close(CloseReason::ForcedClose);
    }

    /// Takes the waiting requests, which will be carried out without this connection.
    pub(super) fn leave_behind(&mut self, now: Instant, rules: &Rules) -> LeftBehind {
        let active = self.active.as_mut();
        LeftBehind::Requests(active.map(|active| active.request_queue.leave_behind(&rules.limits, now)).unwrap_or_default())
    }

    /// Forgets everything that belongs to the client's stay.
    pub(super) fn leave(&mut self) {
        self.stage = Stage::Out;
        // Reconnecting on the same connection must not reset the rate limits.
        self.active = self.active.take().and_then(|active| active.left());
        self.ends_at = None;
        self.confirmation = Confirmation::default();
    }
}
