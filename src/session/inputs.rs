//! Inputs of a session: from its client, from the broker, and from timers.
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::answering::Refused;
use super::namespaces::CONSOLE;
use super::pending::Pending;
use super::ports::Broker;
use super::rules::Rules;
use super::showing::{show, show_volatile};
use super::state::{Session, Stage};
use super::surroundings::{Now, Surroundings};
use crate::chat::{Broadcast, CatchUpDrained, ChatError, Disconnect, Notice, Proven, Upgraded};
use crate::engineio::{CloseReason, TransportKind};
use crate::logging::RefusalKind;
use crate::socketio::{self, Incoming};

impl Session {
    /// Handles a text message.
    pub fn on_text(&mut self, text: &str, now: Now, around: &mut Surroundings<'_>) {
        match self.protocol.on_text(text) {
            Ok(Some(incoming)) => self.on_incoming(incoming, now, around),
            Ok(None) if self.protocol.is_assembling() => {
                self.active().attachments_due = now.instant.checked_add(around.rules.ping_timeout);
            }
            Ok(None) => {}
            Err(error) => self.violated(&error, around),
        }
    }

    /// Handles a binary message.
    pub fn on_binary(&mut self, data: Bytes, now: Now, around: &mut Surroundings<'_>) {
        // No event uses attachments, so their contents are discarded.
        let outcome = self.protocol.on_binary(data, 0);
        if let Some(active) = self.active.as_mut().filter(|_| !self.protocol.is_assembling()) {
            active.attachments_due = None;
        }
        match outcome {
            Ok(Some(incoming)) => self.on_incoming(incoming, now, around),
            Ok(None) => self.tidy(now.instant),
            Err(error) => self.violated(&error, around),
        }
    }

    /// Handles an event shared by many sessions.
    pub fn on_shared(&mut self, event: &Arc<Broadcast>, now: Instant, around: &mut Surroundings<'_>) {
        let Stage::In { account, .. } = &self.stage else { return };
        let viewer = &account.profile.id;
        if event.event().is_volatile() {
            let is_behind = self.active.as_ref().is_some_and(|active| !active.missed.is_empty());
            if is_behind || !show_volatile(self.voice, viewer, event, around.wire) {
                self.active().missed.add(event.event());
            }
            return;
        }
        if let Some(active) = &mut self.active
            && active.gate.is_shut()
        {
            return self.wait_behind(event, around);
        }
        let packets = show(self.voice, viewer, event, None, around.wire);
        self.proof.tell_event(event, viewer, packets, now, around.rules.proof_interval);
    }

    /// Handles a notice of the broker.
    pub fn on_notice(&mut self, notice: Notice, now: Now, around: &mut Surroundings<'_>) {
        match notice {
            Notice::Admitted(admission) => self.admitted(*admission, now, around),
            Notice::Refused(refused) => self.refused(refused, around),
            Notice::Reply { ticket, reply } => self.replied(ticket, reply, now, around),
            Notice::Hold(event) if self.is_in() => self.active().gate.hold(event),
            Notice::Hold(_) => {}
            Notice::Settle { message, stored } => {
                if let Some(active) = &mut self.active {
                    active.gate.settle(message, stored);
                    self.feed(now.instant, around);
                }
            }
            Notice::CatchUp(page) => self.show_page(&page, now.instant, around),
            Notice::CatchUpDone => {
                if let Some(active) = &mut self.active {
                    active.gate.end_catch_up();
                    self.feed(now.instant, around);
                }
            }
            Notice::CatchUpGoesOn { serial } => {
                if let Some(active) = &mut self.active {
                    active.gate.go_on(serial);
                }
            }
            Notice::Kick { code } => self.put_out(code, around),
            Notice::Close(reason) => around.wire.close(reason),
            Notice::Console(notice) => self.on_console(notice, around),
        }
        self.tidy(now.instant);
    }

    /// Handles the move to a WebSocket.
    pub fn on_upgraded(&mut self, broker: &mut dyn Broker) {
        self.peer.transport = TransportKind::Websocket;
        if let Stage::Connecting { .. } | Stage::In { .. } = self.stage {
            broker.upgraded(Upgraded { connection: self.key });
        }
    }

    /// Handles the passing of the deadline.
    pub fn on_deadline(&mut self, now: Now, around: &mut Surroundings<'_>) {
        if self.ends_at.is_some_and(|ends_at| ends_at <= now.instant) {
            self.ends_at = None;
            match self.stage {
                Stage::In { .. } => self.put_out("TOKEN_EXPIRED", around),
                Stage::Out | Stage::Connecting { .. } => {
                    let cause = "no namespace was joined in time (CONNECT_TIMEOUT)";
                    around.rules.note(self.refusal(RefusalKind::Connect, "CONNECT_TIMEOUT", cause));
                    around.wire.close(CloseReason::ConnectTimeout);
                }
            }
        }
        if self.active.as_ref().and_then(|active| active.attachments_due).is_some_and(|due| due <= now.instant) {
            self.active().attachments_due = None;
            return self.violated(&socketio::ProtocolError::AttachmentsLate, around);
        }
        while let Some(turn) = self.active.as_mut().and_then(|active| active.turns.next(&around.rules.limits, now.instant)) {
            self.run(turn, now, around);
        }
        self.tidy(now.instant);
    }

    /// Handles the outbox becoming empty.
    pub fn on_drained(&mut self, now: Instant, around: &mut Surroundings<'_>) {
        self.console_drained(around);
        let (Some(active), Stage::In { account, .. }) = (&mut self.active, &self.stage) else { return };
        if active.gate.page_left() {
            around.broker.catch_up_drained(CatchUpDrained { connection: self.key });
        }
        for event in active.missed.take() {
            show_volatile(self.voice, &account.profile.id, &Broadcast::new(event), around.wire);
        }
        self.feed(now, around);
        self.tidy(now);
    }

    /// Handles the answer to the last ping.
    pub fn on_pong(&mut self, broker: &mut dyn Broker) {
        if let Some(mark) = self.proof.on_pong()
            && self.is_in()
        {
            broker.proven(Proven { connection: self.key, mark });
        }
    }

    /// Handles a packet that asks for nothing.
    pub fn on_control(&mut self, now: Now, around: &mut Surroundings<'_>) {
        self.has_paid(now, around);
    }

    /// Handles the start of a server stop: waiting requests run at once, and no more are taken.
    pub fn on_stopping(&mut self, now: Now, around: &mut Surroundings<'_>) {
        self.is_stopping = true;
        while let Some(turn) = self.active.as_mut().and_then(|active| active.turns.pop()) {
            self.run(turn, now, around);
        }
        self.tidy(now.instant);
    }

    /// Handles the end of a server stop, before the connection is closed: unanswered requests may be stored or not.
    pub fn on_stopped(&mut self, now: Now, around: &mut Surroundings<'_>) {
        while let Some(pending) = self.active.as_mut().and_then(|active| active.pending.pop()) {
            let Pending { ticket: _, dialect, dialects, asked, ack_id } = pending;
            let fault = ChatError::NotStored.into();
            self.refuse_request(Refused { dialect, dialects, asked, ack_id }, &fault, now, around);
        }
    }

    /// Handles the end of the connection.
    pub fn on_close(&mut self, reason: CloseReason, now: Instant, rules: &Rules, broker: &mut dyn Broker) {
        if let Stage::Connecting { .. } | Stage::In { .. } = self.stage {
            let left = self.leave_behind(now, rules);
            let (connection, proven) = (self.key, self.proof.proven());
            broker.disconnect(Disconnect { connection, on_purpose: false, reason, proven, left });
        }
        self.leave();
        self.leave_console(reason, broker);
    }

    fn on_incoming(&mut self, incoming: Incoming, now: Now, around: &mut Surroundings<'_>) {
        let is_free = match &incoming {
            // The first CONNECT is free: every connection needs one.
            Incoming::Connect { .. } => !std::mem::replace(&mut self.has_asked_in, true),
            Incoming::Ack { .. } => false,
            // A DISCONNECT that has an effect was preceded by a CONNECT.
            Incoming::Disconnect { .. } | Incoming::Event(_) => true,
        };
        if !is_free && !self.has_paid(now, around) {
            return;
        }
        match incoming {
            Incoming::Connect { namespace, auth } => self.on_connect(&namespace, auth.as_deref(), now, around),
            Incoming::Event(event) if event.namespace.as_ref() == CONSOLE => {
                self.ask_console(event.name, event.args, now, around)
            }
            Incoming::Event(event) => self.on_event(event, now, around),
            // We send no event that asks for an ack.
            Incoming::Ack { .. } => {}
            Incoming::Disconnect { namespace } if namespace.as_ref() == CONSOLE => {
                self.leave_console(CloseReason::Disconnected, around.broker);
            }
            Incoming::Disconnect { .. } => {
                if self.is_in() {
                    let left = self.leave_behind(now.instant, around.rules);
                    around.broker.disconnect(Disconnect {
                        connection: self.key,
                        on_purpose: true,
                        reason: CloseReason::Disconnected,
                        proven: self.proof.proven(),
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
    fn has_paid(&mut self, now: Now, around: &mut Surroundings<'_>) -> bool {
        if self.active().turns.pay_control(&around.rules.limits, now.instant) {
            return true;
        }
        if self.is_in() {
            self.put_out("RATE_LIMITED", around);
        } else {
            around.rules.note(self.refusal(RefusalKind::Connect, "RATE_LIMITED", "flooding with packets that ask for nothing"));
        }
        around.wire.close(CloseReason::ForcedClose);
        false
    }
}
