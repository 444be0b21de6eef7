//! The heartbeat of one connection (source: engine.io-protocol v4, "Heartbeat").
use std::time::{Duration, Instant};

/// Largest delay with which a deadline is noticed and still counts as met on time. Beyond it, time runs from the
/// noticing: the server was held up, not the client.
const TOLERANCE: Duration = Duration::from_millis(50);

/// Minimum time from a pong to an early ping: caps a busy connection at four pings a second, however much there is to
/// confirm.
const EARLY_PING_GAP: Duration = Duration::from_millis(250);

/// Maximum number of times that one ping's time-out restarts because bytes came: an upload in progress delays the pong
/// behind it. A client that keeps sending and never answers is closed after that.
const REPRIEVES_MAX: u8 = 4;

/// The time between pings, and the time that an answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatTimes {
    /// Time from the handshake or the last pong to the next ping.
    pub interval: Duration,
    /// Time from a ping to its pong. For an early ping it runs from when the regular one would have been due.
    pub timeout: Duration,
}

/// Action that a passed deadline asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// None yet.
    Wait,
    /// Queue a ping now; its time-out is running.
    Ping,
    /// The pong did not come in time.
    TimedOut,
}

/// Heartbeat state of a connection. Pongs count; other traffic extends a ping's time-out, within limits.
#[derive(Debug, Clone, Copy)]
pub struct Heartbeat {
    due_at: Instant,
    is_ping_outstanding: bool,
    /// Bytes have come since the time-out began.
    has_heard: bool,
    /// Number of times the time-out has restarted.
    reprieves: u8,
}

impl Heartbeat {
    /// Starts the heartbeat at the handshake.
    pub fn new(now: Instant, times: &HeartbeatTimes) -> Self {
        Self { due_at: now + times.interval, is_ping_outstanding: false, has_heard: false, reprieves: 0 }
    }

    /// Records that bytes came, whether or not they complete a packet.
    pub fn on_bytes(&mut self) {
        self.has_heard = true;
    }

    /// Returns the time at which to call [`Heartbeat::on_deadline`]. `wanted` is the time by which an early ping is
    /// wanted; it has no effect while a ping is outstanding.
    pub fn deadline(&self, wanted: Option<Instant>, times: &HeartbeatTimes) -> Instant {
        match wanted.filter(|_| !self.is_ping_outstanding) {
            Some(wanted) => {
                let last_pong = self.due_at.checked_sub(times.interval);
                let earliest = last_pong.map_or(wanted, |last_pong| last_pong + EARLY_PING_GAP);
                self.due_at.min(wanted.max(earliest))
            }
            None => self.due_at,
        }
    }

    /// Returns whether to queue a ping now.
    pub fn is_ping_due(&self, now: Instant, wanted: Option<Instant>, times: &HeartbeatTimes) -> bool {
        !self.is_ping_outstanding && self.deadline(wanted, times) <= now
    }

    /// Acts on the passing of time.
    pub fn on_deadline(&mut self, now: Instant, wanted: Option<Instant>, times: &HeartbeatTimes) -> Beat {
        if now < self.deadline(wanted, times) {
            return Beat::Wait;
        }
        if self.is_ping_outstanding {
            if !self.has_heard || self.reprieves >= REPRIEVES_MAX {
                return Beat::TimedOut;
            }
            *self = Self { due_at: now + times.timeout, has_heard: false, reprieves: self.reprieves + 1, ..*self };
            return Beat::Wait;
        }
        // Timers fire a little late, and the delays must not add up. An early ping leaves the pong all the time that a
        // regular one would have left.
        let pinged_at = if now <= self.due_at + TOLERANCE { self.due_at } else { now };
        *self = Self { due_at: pinged_at + times.timeout, is_ping_outstanding: true, has_heard: false, reprieves: 0 };
        Beat::Ping
    }

    /// Records a pong; returns whether it answers a ping. The next interval runs from it, whatever prompted the ping.
    /// An unsolicited pong changes nothing, so a client cannot postpone its time-out with it.
    pub fn on_pong(&mut self, now: Instant, times: &HeartbeatTimes) -> bool {
        let is_answer = self.is_ping_outstanding;
        if is_answer {
            *self = Self::new(now, times);
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
        assert_eq!(heartbeat.on_deadline(start + Duration::from_millis(299), None, &TIMES), Beat::Wait);
        let ping_at = heartbeat.deadline(None, &TIMES);
        assert_eq!(ping_at, start + TIMES.interval);
        assert_eq!(heartbeat.on_deadline(ping_at + Duration::from_millis(1), None, &TIMES), Beat::Ping);
        assert_eq!(heartbeat.deadline(None, &TIMES), ping_at + TIMES.timeout, "a late timer adds nothing");
        assert_eq!(heartbeat.on_deadline(ping_at + TIMES.timeout, None, &TIMES), Beat::TimedOut);
    }

    #[test]
    fn a_server_that_was_held_up_gives_its_clients_their_time() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, &TIMES);
        let late = start + Duration::from_secs(60);
        assert_eq!(heartbeat.on_deadline(late, None, &TIMES), Beat::Ping);
        assert_eq!(heartbeat.deadline(None, &TIMES), late + TIMES.timeout);
    }

    #[test]
    fn a_pong_restarts_the_interval_from_its_arrival() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, &TIMES);
        heartbeat.on_deadline(start + TIMES.interval, None, &TIMES);
        let pong_at = start + TIMES.interval + Duration::from_millis(40);
        assert!(heartbeat.on_pong(pong_at, &TIMES));
        assert!(!heartbeat.on_pong(pong_at, &TIMES), "it was answered");
        assert_eq!(heartbeat.deadline(None, &TIMES), pong_at + TIMES.interval);
    }

    #[test]
    fn a_pong_that_answers_nothing_is_harmless() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, &TIMES);
        assert!(!heartbeat.on_pong(start + Duration::from_millis(250), &TIMES));
        assert_eq!(heartbeat.deadline(None, &TIMES), start + TIMES.interval);
    }

    #[test]
    fn a_ping_that_is_wanted_comes_early_and_restarts_the_interval() {
        let times = HeartbeatTimes { interval: Duration::from_secs(25), timeout: Duration::from_secs(20) };
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, &times);
        let wanted = start + Duration::from_secs(5);
        assert_eq!(heartbeat.deadline(Some(wanted), &times), wanted);
        assert!(!heartbeat.is_ping_due(start, Some(wanted), &times));
        assert_eq!(heartbeat.on_deadline(wanted, Some(wanted), &times), Beat::Ping);
        let later = wanted + Duration::from_secs(1);
        let regular = start + times.interval;
        assert_eq!(heartbeat.deadline(Some(later), &times), regular + times.timeout, "one at a time, and nobody is cut for it");
        assert!(!heartbeat.is_ping_due(later, Some(later), &times));
        assert!(heartbeat.on_pong(later, &times));
        assert_eq!(heartbeat.deadline(None, &times), later + times.interval);
        assert_eq!(heartbeat.deadline(Some(start), &times), later + EARLY_PING_GAP, "not one for each message");
        assert_eq!(heartbeat.deadline(Some(later + 2 * times.interval), &times), later + times.interval);
    }

    #[test]
    fn who_uploads_is_alive_for_a_while_and_not_for_ever() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(start, &TIMES);
        heartbeat.on_bytes();
        let mut now = start + TIMES.interval;
        assert_eq!(heartbeat.on_deadline(now, None, &TIMES), Beat::Ping);
        for _ in 0..REPRIEVES_MAX {
            heartbeat.on_bytes();
            now += TIMES.timeout;
            assert_eq!(heartbeat.on_deadline(now, None, &TIMES), Beat::Wait);
            assert_eq!(heartbeat.deadline(None, &TIMES), now + TIMES.timeout);
        }
        heartbeat.on_bytes();
        assert_eq!(heartbeat.on_deadline(now + TIMES.timeout, None, &TIMES), Beat::TimedOut);
        assert!(heartbeat.on_pong(now, &TIMES));
        assert_eq!(heartbeat.on_deadline(now + TIMES.interval, None, &TIMES), Beat::Ping);
        assert_eq!(heartbeat.on_deadline(now + TIMES.interval + TIMES.timeout, None, &TIMES), Beat::TimedOut, "it is silent");
    }
}
