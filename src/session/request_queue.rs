//! Requests delayed by the rate limits of one socket, in the order of arrival.
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::limits::{Bucket, Flood, Limits, Rate};
use crate::chat::{Command, LateRequest, OwnCopy};
use crate::dialect::{Asked, Class, Decoded, Dialect, DialectSet, RequestError};
use crate::model::ConversationId;

/// A decoded or refused request that has not been carried out or answered yet.
#[derive(Debug)]
pub(super) struct QueuedRequest {
    /// The dialect that handles it.
    pub dialect: Dialect,
    /// The dialects in whose words it is refused.
    pub dialects: DialectSet,
    /// State for the answer.
    pub asked: Asked,
    /// Id of the ack that the client waits for.
    pub ack_id: Option<u64>,
    /// Cost class.
    pub class: Class,
    /// Result of decoding it.
    pub request: Result<Decoded, RequestError>,
}

impl QueuedRequest {
    /// Returns the copy of the message that the client is shown: each dialect of the request is confirmed as its front
    /// end expects.
    pub(super) fn own_copy(dialects: DialectSet, command: &Command, own_copy: OwnCopy) -> OwnCopy {
        let is_confirmed_by_event = command.draft().is_some() && !dialects.confirming_by_event().is_empty();
        if is_confirmed_by_event { OwnCopy::Held } else { own_copy }
    }

    /// Returns the conversation if this is typing without an ack: only the latest counts.
    fn typing_in(&self) -> Option<ConversationId> {
        match (&self.request, self.ack_id) {
            (Ok(Decoded::Command { command: Command::Typing { conversation, active: _ }, .. }), None) => Some(*conversation),
            _ => None,
        }
    }
}

/// Outcome for a request that arrived.
#[derive(Debug)]
pub(super) enum Offered {
    /// It may run now.
    Run(QueuedRequest),
    /// It is delayed.
    Waits,
    /// Too many are delayed already.
    Refused {
        /// The request.
        queued: QueuedRequest,
        /// Time after which the client may retry.
        retry_after: Duration,
    },
}

/// State of the limits, and the delayed requests.
#[derive(Debug, Default)]
pub(super) struct RequestQueue {
    waiting: VecDeque<QueuedRequest>,
    waiting_events: usize,
    events: Bucket,
    receipts: Bucket,
    flood: Flood,
    /// Number of refusals not yet reported to the broker, and time of the last report.
    refused: u32,
    refusal_noted_at: Option<Instant>,
}

/// Minimum time between two reports of refusals.
const NOTE_REFUSALS_EVERY: Duration = Duration::from_secs(1);

impl RequestQueue {
    /// Counts an event that asks for work; returns whether the client is flooding the server.
    pub(super) fn is_flood(&mut self, limits: &Limits, now: Instant) -> bool {
        limits.events_per_second > 0 && self.flood.count(limits.events_per_second, now)
    }

    /// Counts a packet other than an event as a receipt; returns whether the limit allowed it.
    pub(super) fn pay_control(&mut self, limits: &Limits, now: Instant) -> bool {
        self.take(Class::Receipt, limits, now).is_ok()
    }

    /// Returns the limits without the delayed requests.
    pub(super) fn left(self) -> Self {
        Self { waiting: VecDeque::new(), waiting_events: 0, ..self }
    }

    /// Counts a refusal; returns the number of refusals if a report is due.
    pub(super) fn note_refused(&mut self, now: Instant) -> Option<u32> {
        self.refused = self.refused.saturating_add(1);
        if self.refusal_noted_at.is_some_and(|at| now.saturating_duration_since(at) < NOTE_REFUSALS_EVERY) {
            return None;
        }
        self.refusal_noted_at = Some(now);
        Some(std::mem::take(&mut self.refused))
    }

    /// Takes a request. None overtakes a delayed one.
    pub(super) fn offer(&mut self, queued: QueuedRequest, limits: &Limits, now: Instant) -> Offered {
        let retry_at = match self.waiting.front() {
            Some(first) => match self.peek(first.class, limits, now) {
                Ok(()) => now,
                Err(retry_at) => retry_at,
            },
            None => match self.take(queued.class, limits, now) {
                Ok(()) => return Offered::Run(queued),
                Err(retry_at) => retry_at,
            },
        };
        if let Some(conversation) = queued.typing_in() {
            self.waiting.retain(|other| other.typing_in() != Some(conversation));
        }
        let has_room = match queued.class {
            Class::Work => self.waiting_events < limits.waiting_events,
            Class::Receipt | Class::Typing => self.waiting.len() - self.waiting_events < limits.waiting_receipts,
        };
        if !has_room {
            return Offered::Refused { queued, retry_after: retry_at.saturating_duration_since(now) };
        }
        self.waiting_events += usize::from(queued.class == Class::Work);
        self.waiting.push_back(queued);
        Offered::Waits
    }

    /// Counts an event of no dialect: it is never delayed, but takes the share of one that would be.
    ///
    /// # Errors
    /// The time after which the client may retry.
    pub(super) fn pay_unknown(&mut self, limits: &Limits, now: Instant) -> Result<(), Duration> {
        let Some(rate) = rate_of(Class::Work, limits) else { return Ok(()) };
        self.events.take_in_advance(rate, limits.waiting_events, now).map_err(|at| at.saturating_duration_since(now))
    }

    /// Returns the next request that may run.
    pub(super) fn next(&mut self, limits: &Limits, now: Instant) -> Option<QueuedRequest> {
        let class = self.waiting.front()?.class;
        self.take(class, limits, now).ok()?;
        self.waiting_events -= usize::from(class == Class::Work);
        self.waiting.pop_front()
    }

    /// Returns the next request, whether or not it may run.
    pub(super) fn pop(&mut self) -> Option<QueuedRequest> {
        let queued = self.waiting.pop_front()?;
        self.waiting_events -= usize::from(queued.class == Class::Work);
        Some(queued)
    }

    /// Takes out all delayed requests that have an effect without their connection, each with the time at which it may
    /// run.
    pub(super) fn leave_behind(&mut self, limits: &Limits, now: Instant) -> Vec<LateRequest> {
        let (mut left, mut at) = (Vec::new(), now);
        while let Some(QueuedRequest { dialects, class, request, .. }) = self.pop() {
            if let Err(retry_at) = self.take(class, limits, at) {
                at = retry_at;
                // A token is available by then.
                let _ = self.take(class, limits, at);
            }
            if let Ok(Decoded::Command { command, own_copy }) = request
                && command.outlives_its_connection()
            {
                let own_copy = QueuedRequest::own_copy(dialects, &command, own_copy);
                left.push(LateRequest { after: at.saturating_duration_since(now), command, own_copy });
            }
        }
        left
    }

    /// Returns the time at which [`RequestQueue::next`] has something, or state can be dropped.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<Instant> {
        match self.waiting.front() {
            Some(first) => rate_of(first.class, limits).and_then(|rate| self.bucket(first.class).next_at(rate)),
            None => self.events.full_at().max(self.receipts.full_at()),
        }
    }

    /// Returns whether there is nothing to remember.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.events.full_at().is_none() && self.receipts.full_at().is_none()
    }

    /// Drops state that time has made irrelevant.
    pub(super) fn forget_past(&mut self, now: Instant) {
        if !self.waiting.is_empty() {
            // Delayed requests are allowed by this bucket, so its state still matters.
            return;
        }
        self.events.forget_past(now);
        self.receipts.forget_past(now);
    }

    fn take(&mut self, class: Class, limits: &Limits, now: Instant) -> Result<(), Instant> {
        let Some(rate) = rate_of(class, limits) else { return Ok(()) };
        match class {
            Class::Work => self.events.take(rate, now),
            Class::Receipt | Class::Typing => self.receipts.take(rate, now),
        }
    }

    fn peek(&self, class: Class, limits: &Limits, now: Instant) -> Result<(), Instant> {
        let Some(rate) = rate_of(class, limits) else { return Ok(()) };
        self.bucket(class).take(rate, now)
    }

    fn bucket(&self, class: Class) -> Bucket {
        match class {
            Class::Work => self.events,
            Class::Receipt | Class::Typing => self.receipts,
        }
    }
}

fn rate_of(class: Class, limits: &Limits) -> Option<Rate> {
    match class {
        Class::Work => Rate::new(limits.events_per_second, limits.event_burst),
        Class::Receipt | Class::Typing => Rate::new(limits.receipts_per_second, limits.receipt_burst),
    }
}
