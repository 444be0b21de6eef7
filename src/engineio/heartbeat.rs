//! The heartbeat of one connection (source: engine.io-protocol v4, "Heartbeat").
use std::time::{Duration, Instant};

/// A deadline that was noticed later than this counts from when it was noticed: then the server was held up, not the client.
const TOLERANCE: Duration = Duration::from_millis(50);

/// How often a client is pinged and how long it may take to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatTimes {
    /// From the handshake or the last pong to the next ping.
    pub interval: Duration,
    /// From a ping to its pong.
    pub timeout: Duration,
}

/// What a passed deadline asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Nothing yet.
    Wait,
    /// A ping is to be queued now; its time-out runs.
    Ping,
    /// The pong did not come in time.
    TimedOut,
}

/// Where a connection is in its heartbeat. Only pongs count; other traffic postpones nothing.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat {
    due_at: Instant,
    is_ping_outstanding: bool,
}

impl Heartbeat {
    /// Starts with the handshake.
    pub fn new(now: Instant, times: &HeartbeatTimes) -> Self {
        Self { due_at: now + times.interval, is_ping_outstanding: false }
    }

    /// When [`Heartbeat::on_deadline`] wants to be called.
    pub fn deadline(&self) -> Instant {
        self.due_at
    }

    /// Time has passed.
    pub fn on_deadline(&mut self, now: Instant, times: &HeartbeatTimes) -> Beat {
        if now < self.due_at {
            return Beat::Wait;
        }
        if self.is_ping_outstanding {
            return Beat::TimedOut;
        }
        // timers fire a little late; that must not add up
        let pinged_at = if now.duration_since(self.due_at) <= TOLERANCE { self.due_at } else { now };
        *self = Self { due_at: pinged_at + times.timeout, is_ping_outstanding: true };
        Beat::Ping
    }

    /// A pong came; whether it answers a ping. One that answers none changes nothing, so a client cannot put its time-out
    /// off.
    pub fn on_pong(&mut self, now: Instant, times: &HeartbeatTimes) -> bool {
        let is_answer = self.is_ping_outstanding;
        if is_answer {
            *self = Self { due_at: now + times.interval, is_ping_outstanding: false };
        }
        is_answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: HeartbeatTimes = HeartbeatTimes { interval: Duration::from_millis(300), timeout: Duration::from_millis(200) };

    #[test]
    fn a_silent_client_is_gone_after_interval_and_timeout() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, &TIMES);
        assert_eq!(heartbeat.on_deadline(start + Duration::from_millis(299), &TIMES), Beat::Wait);
        let ping_at = heartbeat.deadline();
        assert_eq!(ping_at, start + TIMES.interval);
        assert_eq!(heartbeat.on_deadline(ping_at + Duration::from_millis(1), &TIMES), Beat::Ping);
        assert_eq!(heartbeat.deadline(), ping_at + TIMES.timeout, "a late timer adds nothing");
        assert_eq!(heartbeat.on_deadline(ping_at + TIMES.timeout, &TIMES), Beat::TimedOut);
    }

    #[test]
    fn a_server_that_was_held_up_gives_its_clients_their_time() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, &TIMES);
        let late = start + Duration::from_secs(60);
        assert_eq!(heartbeat.on_deadline(late, &TIMES), Beat::Ping);
        assert_eq!(heartbeat.deadline(), late + TIMES.timeout);
    }

    #[test]
    fn a_pong_restarts_the_interval_from_its_arrival() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, &TIMES);
        heartbeat.on_deadline(start + TIMES.interval, &TIMES);
        let pong_at = start + TIMES.interval + Duration::from_millis(40);
        assert!(heartbeat.on_pong(pong_at, &TIMES));
        assert!(!heartbeat.on_pong(pong_at, &TIMES), "it was answered");
        assert_eq!(heartbeat.deadline(), pong_at + TIMES.interval);
    }

    #[test]
    fn a_pong_that_answers_nothing_is_harmless() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, &TIMES);
        assert!(!heartbeat.on_pong(start + Duration::from_millis(250), &TIMES));
        assert_eq!(heartbeat.deadline(), start + TIMES.interval);
    }
}
