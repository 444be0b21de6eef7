//! Inputs of a session: from its client, from the broker, and from timers.
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::answering::RefusedRequest;
use super::call_context::{CallContext, Now};
use super::namespaces::CONSOLE;
use super::pending::PendingRequest;
use super::ports::Broker;
use super::rules::Rules;
use super::showing::{show, show_volatile};
use super::state::{Session, Stage};
use crate::chat::{Broadcast, CatchUpDrained, ChatError, Confirmed, Disconnect, Notice, Upgraded};
use crate::engineio::{CloseReason, TransportKind};
use crate::logging::RefusalKind;
use crate::socketio::{self, Incoming};

impl Session {
    /// Handles a text message.
    pub fn on_text(&mut self, text: &str, now: Now, cx: &mut CallContext<'_>) {
        match self.protocol.on_text(text) {
            Ok(Some(incoming)) => self.on_incoming(incoming, now, cx),
            Ok(None) if self.protocol.is_assembling() => {
                self.active().attachments_due = now.instant.checked_add(cx.rules.ping_timeout);
            }
            Ok(None) => {}
            Err(error) => self.violated(&error, cx),
        }
    }

    /// Handles a binary message.
    pub fn on_binary(&mut self, data: Bytes, now: Now, cx: &mut CallContext<'_>) {
        // No event of a dialect uses attachments, so their contents are discarded, unless events are handed on.
        let outcome = self.protocol.on_binary(data, cx.rules.forwarded_bytes);
        if let Some(active) = self.active.as_mut().filter(|_| !self.protocol.is_assembling()) {
            active.attachments_due = None;
        }
        match outcome {
            Ok(Some(incoming)) => self.on_incoming(incoming, now, cx),
            Ok(None) => self.tidy(now.instant),
            Err(error) => self.violated(&error, cx),
        }
    }

    /// Handles an event shared by many sessions.
    pub fn on_shared(&mut self, event: &Arc<Broadcast>, now: Instant, cx: &mut CallContext<'_>) {
        let view = self.view();
        let Stage::In { account, .. } = &self.stage else { return };
        let viewer = &account.profile.id;
        if event.event().is_volatile() {
            let is_behind = self.active.as_ref().is_some_and(|active| !active.missed.is_empty());
            if is_behind || !show_volatile(view, viewer, event, cx.output) {
                self.active().missed.add(event.event());
            }
            return;
        }
        if let Some(active) = &mut self.active
            && active.hold_queue.is_shut()
        {
            return self.wait_behind(event, cx);
        }
        let packets = show(view, viewer, event, None, cx.output);
        self.confirmation.note_event(event, viewer, packets, now, cx.rules.proof_interval);
    }

    /// Handles a notice of the broker.
    pub fn on_notice(&mut self, notice: Notice, now: Now, cx: &mut CallContext<'_>) {
        match notice {
            Notice::Admitted(admission) => {
                let is_new = admission.resume_data.is_none();
                self.admitted(*admission, now, cx);
                if is_new && self.is_in() {
                    self.ask_at_connect(self.dialect_state.speaks(), now, cx);
                }
            }
            Notice::Refused(refused) => self.refused(refused, cx),
            Notice::Reply { ticket, reply } => self.replied(ticket, reply, now, cx),
            Notice::Hold(event) if self.is_in() => self.active().hold_queue.hold(event),
            Notice::Hold(_) => {}
            Notice::Settle { message, stored } => {
                if let Some(active) = &mut self.active {
                    active.hold_queue.settle(message, stored);
                    self.feed(now.instant, cx);
                }
            }
            Notice::CatchUp(page) => self.show_page(&page, now.instant, cx),
            Notice::CatchUpDone => {
                if let Some(active) = &mut self.active {
                    active.hold_queue.end_catch_up();
                    self.feed(now.instant, cx);
                }
            }
            Notice::CatchUpGoesOn { event_seq } => {
                if let Some(active) = &mut self.active {
                    active.hold_queue.go_on(event_seq);
                }
            }
            Notice::Kick { code } => self.kick(code, cx),
            Notice::Close(reason) => cx.output.close(reason),
            Notice::Console(notice) => self.on_console(notice, cx),
            Notice::ConnectJudged { ticket, verdict } => self.connect_judged(ticket, verdict, now, cx),
            Notice::Forwarded(forwarded) => self.forwarded(&forwarded, cx),
            Notice::KeysRead => self.on_keys_read(now, cx),
        }
        self.tidy(now.instant);
    }

    /// Verifies the waiting tokens again, after issuers were asked for their keys.
    pub(super) fn on_keys_read(&mut self, now: Now, cx: &mut CallContext<'_>) {
        if let Some(queued) = self.active.as_mut().and_then(|active| active.awaits_keys.take()) {
            self.run(*queued, now, cx);
        }
        if let Stage::Verifying { .. } = self.stage
            && let Stage::Verifying { auth } = std::mem::replace(&mut self.stage, Stage::Out)
        {
            self.on_connect(self.namespace(cx.rules), auth.as_deref(), now, cx);
        }
    }

    /// Handles the move to a WebSocket.
    pub fn on_upgraded(&mut self, broker: &mut dyn Broker) {
        self.peer.transport = TransportKind::Websocket;
        if let Stage::Connecting { .. } | Stage::In { .. } = self.stage {
            broker.upgraded(Upgraded { connection: self.key });
        }
    }

    /// Handles the passing of the deadline.
    pub fn on_deadline(&mut self, now: Now, cx: &mut CallContext<'_>) {
        if self.ends_at.is_some_and(|ends_at| ends_at <= now.instant) {
            self.ends_at = None;
            match self.stage {
                Stage::In { .. } => self.kick("TOKEN_EXPIRED", cx),
                Stage::Out | Stage::Verifying { .. } | Stage::Asking { .. } | Stage::Connecting { .. } => {
                    let cause = "no namespace was joined in time (CONNECT_TIMEOUT)";
                    cx.rules.note(self.refusal(RefusalKind::Connect, "CONNECT_TIMEOUT", cause));
                    cx.output.close(CloseReason::ConnectTimeout);
                }
            }
        }
        if self.active.as_ref().and_then(|active| active.attachments_due).is_some_and(|due| due <= now.instant) {
            self.active().attachments_due = None;
            return self.violated(&socketio::ProtocolError::AttachmentsLate, cx);
        }
        while let Some(queued) = self.active.as_mut().and_then(|active| active.request_queue.next(&cx.rules.limits, now.instant))
        {
            self.run(queued, now, cx);
        }
        self.tidy(now.instant);
    }

    /// Handles the outbox becoming empty.
    pub fn on_drained(&mut self, now: Instant, cx: &mut CallContext<'_>) {
        self.console_drained(cx);
        let view = self.view();
        let (Some(active), Stage::In { account, .. }) = (&mut self.active, &self.stage) else { return };
        if active.hold_queue.page_left() {
            cx.broker.catch_up_drained(CatchUpDrained { connection: self.key });
        }
        for event in active.missed.take() {
            show_volatile(view, &account.profile.id, &Broadcast::new(event), cx.output);
        }
        self.feed(now, cx);
        self.tidy(now);
    }

    /// Handles the answer to the last ping.
    pub fn on_pong(&mut self, broker: &mut dyn Broker) {
        if let Some(watermark) = self.confirmation.on_pong()
            && self.is_in()
        {
            broker.confirmed(Confirmed { connection: self.key, watermark });
        }
    }

    /// Handles a packet that asks for nothing.
    pub fn on_control(&mut self, now: Now, cx: &mut CallContext<'_>) {
        self.has_paid(now, cx);
    }

    /// Handles the start of a server stop: waiting requests run at once, and no more are taken.
    pub fn on_stopping(&mut self, now: Now, cx: &mut CallContext<'_>) {
        self.is_stopping = true;
        while let Some(queued) = self.active.as_mut().and_then(|active| active.request_queue.pop()) {
            self.run(queued, now, cx);
        }
        self.tidy(now.instant);
    }

    /// Handles the end of a server stop, before the connection is closed: unanswered requests may be stored or not.
    pub fn on_stopped(&mut self, now: Now, cx: &mut CallContext<'_>) {
        while let Some(pending) = self.active.as_mut().and_then(|active| active.pending.pop()) {
            let PendingRequest { ticket: _, dialect, dialects, asked, ack_id } = pending;
            let request_error = ChatError::NotStored.into();
            self.refuse_request(RefusedRequest { dialect, dialects, asked, ack_id }, &request_error, now, cx);
        }
    }

    /// Handles the end of the connection.
    pub fn on_close(&mut self, reason: CloseReason, now: Instant, rules: &Rules, broker: &mut dyn Broker) {
        if let Stage::Connecting { .. } | Stage::In { .. } = self.stage {
            let left = self.leave_behind(now, rules);
            let (connection, confirmed) = (self.key, self.confirmation.confirmed());
            let may_return = self.recovers;
            broker.disconnect(Disconnect { connection, on_purpose: false, may_return, reason, confirmed, left });
        }
        self.leave();
        self.leave_console(reason, broker);
    }

    fn on_incoming(&mut self, incoming: Incoming, now: Now, cx: &mut CallContext<'_>) {
        let is_free = match &incoming {
            // The first CONNECT is free: every connection needs one.
            Incoming::Connect { .. } => !std::mem::replace(&mut self.has_asked_in, true),
            Incoming::Ack { .. } => false,
            // A DISCONNECT that has an effect was preceded by a CONNECT.
            Incoming::Disconnect { .. } | Incoming::Event(_) => true,
        };
        if !is_free && !self.has_paid(now, cx) {
            return;
        }
        match incoming {
            Incoming::Connect { namespace, auth } => self.on_connect(&namespace, auth.as_deref(), now, cx),
            Incoming::Event(event) if event.namespace.as_ref() == CONSOLE => self.ask_console(event.name, event.args, now, cx),
            Incoming::Event(event) => self.on_event(event, now, cx),
            // We send no event that asks for an ack.
            Incoming::Ack { .. } => {}
            Incoming::Disconnect { namespace } if namespace.as_ref() == CONSOLE => {
                self.leave_console(CloseReason::Disconnected, cx.broker);
            }
            Incoming::Disconnect { .. } => {
                if self.is_in() {
                    let left = self.leave_behind(now.instant, cx.rules);
                    cx.broker.disconnect(Disconnect {
                        connection: self.key,
                        on_purpose: true,
                        may_return: false,
                        reason: CloseReason::Disconnected,
                        confirmed: self.confirmation.confirmed(),
                        left,
                    });
                    self.leave();
                }
            }
        }
        self.tidy(now.instant);
    }

    /// Counts a packet other than an event as a receipt; returns whether the limit allows it. A client above it is
    /// closed as flooding.
    fn has_paid(&mut self, now: Now, cx: &mut CallContext<'_>) -> bool {
        if self.active().request_queue.pay_control(&cx.rules.limits, now.instant) {
            return true;
        }
        if self.is_in() {
            self.kick("RATE_LIMITED", cx);
        } else {
            cx.rules.note(self.refusal(RefusalKind::Connect, "RATE_LIMITED", "flooding with packets that ask for nothing"));
        }
        cx.output.close(CloseReason::ForcedClose);
        false
    }
}
