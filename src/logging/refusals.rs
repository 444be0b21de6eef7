//! One log line for each refusal that a client sees, under an id that is also in the client's error.
//!
//! A flood of refusals must not flood the log: in each period only a few lines of a kind and code are written, even
//! fewer of one client, and the rest are summed up. An id is given only if a line with it was written, so any id that a
//! client reports can be found.
use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use log::{Level, log, log_enabled};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

/// Target of the lines: `RUST_LOG=info,parlance::refusals=debug`.
const TARGET: &str = "parlance::refusals";
/// Period over which lines are counted.
pub const SUMMED_UP_EVERY: Duration = Duration::from_secs(10);
/// Maximum number of lines of one kind and code in a period.
const LINES: usize = 20;
/// Maximum number of those that concern one client, unless the fault is ours.
const LINES_OF_ONE: usize = 5;
/// Longest client-supplied text in a line, in characters.
const MAX_TEXT_LENGTH: usize = 200;

/// Id of a refusal in the log, such as `r-7f3k2m9q`: short enough to be read out.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorId([u8; 8]);

impl ErrorId {
    /// Makes an id from 40 random bits; further bits are ignored.
    pub fn from_bits(bits: u64) -> Self {
        // Omits i, l, o and u, which are easily misread.
        const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let digit = |place: u32| DIGITS.get((bits >> (5 * place)) as usize & 31).copied().unwrap_or(b'0');
        Self([7, 6, 5, 4, 3, 2, 1, 0].map(digit))
    }
}

impl fmt::Display for ErrorId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "r-{}", str::from_utf8(&self.0).unwrap_or_default())
    }
}

impl fmt::Debug for ErrorId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for ErrorId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for ErrorId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ErrorId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^r-[0-9a-hjkmnp-tv-z]{8}$" })
    }
}

/// Kind of request that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalKind {
    /// A connection, before it had a session.
    Handshake,
    /// A CONNECT.
    Connect,
    /// An event from a client.
    Event,
    /// A client that was kicked for good.
    Disconnect,
    /// An HTTP request.
    Http,
}

impl RefusalKind {
    /// Returns the name used in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Connect => "connect",
            Self::Event => "event",
            Self::Disconnect => "disconnect",
            Self::Http => "http",
        }
    }
}

/// Records a refusal; returns its id in the log, if it got a line.
pub type NoteRefusal = Arc<dyn Fn(&RefusalNote<'_>) -> Option<ErrorId> + Send + Sync>;

/// A refusal, with everything known about it.
#[derive(Debug, Clone, Copy)]
pub struct RefusalNote<'a> {
    /// Kind of the request.
    pub kind: RefusalKind,
    /// Stable code of the reason.
    pub code: &'static str,
    /// Reason in words.
    pub cause: &'a str,
    /// The socket.
    pub sid: Option<&'a str>,
    /// The user, if authenticated.
    pub user: Option<&'a str>,
    /// Name of the event, or method and path.
    pub event: Option<&'a str>,
    /// Address of the client.
    pub address: Option<IpAddr>,
}

impl RefusalNote<'_> {
    /// Returns the level: `error` if the fault is ours, `info` if operators should know, `debug` for everyday refusals.
    fn level(&self) -> Level {
        match (self.kind, self.code) {
            (_, "INTERNAL") => Level::Error,
            (RefusalKind::Event, "RATE_LIMITED" | "UNKNOWN_EVENT") => Level::Debug,
            (RefusalKind::Http, "NOT_FOUND" | "METHOD_NOT_ALLOWED" | "NO_TOKEN" | "TOKEN_EXPIRED" | "DRAINING") => Level::Debug,
            (RefusalKind::Handshake, "SESSION_UNKNOWN" | "DRAINING") => Level::Debug,
            (RefusalKind::Connect, "CONNECT_TIMEOUT") => Level::Debug,
            _ => Level::Info,
        }
    }

    fn source(&self, hasher: &RandomState) -> u64 {
        match (self.user.or(self.sid), self.address) {
            (Some(name), _) => hasher.hash_one(name),
            (None, address) => hasher.hash_one(address),
        }
    }
}

/// All refusals of a server, shared by all threads. Its lock is never taken on a message's way.
pub struct Refusals {
    ids: Box<dyn Fn() -> ErrorId + Send + Sync>,
    hasher: RandomState,
    windows: Mutex<HashMap<(RefusalKind, &'static str), Window>>,
}

/// Refusals of one kind and code.
struct Window {
    begun_at: Instant,
    total: u64,
    level: Level,
    /// Clients that lines were written of, as hashes.
    written: Vec<u64>,
    left_out: u64,
}

/// Refusals without a line of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LeftOut {
    kind: RefusalKind,
    code: &'static str,
    level: Level,
    count: u64,
    time: Duration,
}

impl LeftOut {
    fn log(self) {
        let Self { kind, code, level, count, time } = self;
        log!(target: TARGET, level, kind = kind.as_str(), code, count, seconds = time.as_secs(); "refused as well");
    }
}

impl Window {
    fn new(level: Level, now: Instant) -> Self {
        Self { begun_at: now, total: 0, level, written: Vec::new(), left_out: 0 }
    }

    /// Returns whether this refusal gets a line, and counts it.
    fn admits(&mut self, source: u64) -> bool {
        let of_it = self.written.iter().filter(|other| **other == source).count();
        let most_of_it = if self.level == Level::Error { LINES } else { LINES_OF_ONE };
        let admits = self.written.len() < LINES && of_it < most_of_it;
        if admits {
            self.written.push(source);
        } else {
            self.left_out += 1;
        }
        admits
    }

    /// Starts a new period once the old one is over; returns the number of refusals left out, and the length of the old
    /// period.
    fn roll(&mut self, now: Instant) -> Option<(u64, Duration)> {
        let time = now.saturating_duration_since(self.begun_at);
        if time < SUMMED_UP_EVERY {
            return None;
        }
        self.begun_at = now;
        self.written.clear();
        let left_out = std::mem::take(&mut self.left_out);
        (left_out > 0).then_some((left_out, time))
    }
}

impl Refusals {
    /// Starts with no refusals; `ids` makes ids.
    pub fn new(ids: impl Fn() -> ErrorId + Send + Sync + 'static) -> Self {
        Self { ids: Box::new(ids), hasher: RandomState::new(), windows: Mutex::default() }
    }

    /// Records a refusal; writes a line if one is due, and returns its id.
    pub fn note(&self, refused: &RefusalNote<'_>) -> Option<ErrorId> {
        let level = refused.level();
        // A fault of ours gets an id even if nothing is logged at all.
        let is_wanted = level == Level::Error || log_enabled!(target: TARGET, level);
        self.note_at(refused, is_wanted, Instant::now())
    }

    fn note_at(&self, refused: &RefusalNote<'_>, is_wanted: bool, now: Instant) -> Option<ErrorId> {
        let (is_admitted, left_out) = self.count(refused, is_wanted, now);
        if let Some(left_out) = left_out {
            left_out.log();
        }
        is_admitted.then(|| {
            let id = (self.ids)();
            write(refused, id);
            id
        })
    }

    /// Wraps [`Refusals::note`] for code that needs nothing else from here.
    pub fn noting(self: Arc<Self>) -> NoteRefusal {
        Arc::new(move |refused| self.note(refused))
    }

    /// Writes the sums of periods that are over.
    pub fn sum_up(&self, now: Instant) {
        for left_out in self.left_out(now) {
            left_out.log();
        }
    }

    /// Returns the totals since the start, by kind and code.
    pub fn totals(&self) -> Vec<(RefusalKind, &'static str, u64)> {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut totals: Vec<_> = windows.iter().map(|((kind, code), window)| (*kind, *code, window.total)).collect();
        // Counters of our own faults exist from the start: Prometheus sees no rise in a counter that first appears as
        // 1.
        let ours = [RefusalKind::Event, RefusalKind::Http].map(|kind| (kind, "INTERNAL"));
        let missing = ours.into_iter().filter(|reason| !windows.contains_key(reason));
        totals.extend(missing.map(|(kind, code)| (kind, code, 0)));
        totals.sort_unstable();
        totals
    }

    fn count(&self, refused: &RefusalNote<'_>, is_wanted: bool, now: Instant) -> (bool, Option<LeftOut>) {
        let RefusalNote { kind, code, .. } = *refused;
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry((kind, code)).or_insert_with(|| Window::new(refused.level(), now));
        window.total += 1;
        let left_out = window.roll(now).map(|(count, time)| LeftOut { kind, code, level: window.level, count, time });
        (is_wanted && window.admits(refused.source(&self.hasher)), left_out)
    }

    fn left_out(&self, now: Instant) -> Vec<LeftOut> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let turned = windows.iter_mut().filter_map(|((kind, code), window)| {
            let (count, time) = window.roll(now)?;
            Some(LeftOut { kind: *kind, code, level: window.level, count, time })
        });
        turned.collect()
    }
}

impl Default for Refusals {
    fn default() -> Self {
        Self::new(|| ErrorId::from_bits(rand::random()))
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Refusals").field(&self.totals()).finish()
    }
}

fn write(refused: &RefusalNote<'_>, id: ErrorId) {
    let RefusalNote { kind, code, cause, sid, user, event, address } = *refused;
    let (cause, event) = (shortened(cause), event.map(shortened));
    let address = address.map(|address| address.to_string());
    log!(
        target: TARGET, refused.level(),
        error_id:% = id, kind = kind.as_str(), code, event, sid, user, address = address.as_deref(), cause;
        "refused"
    );
}

/// Cuts a text that may come from a client.
fn shortened(text: &str) -> &str {
    text.char_indices().nth(MAX_TEXT_LENGTH).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn refusals() -> Refusals {
        let next = AtomicU64::new(1);
        Refusals::new(move || ErrorId::from_bits(next.fetch_add(1, Ordering::Relaxed)))
    }

    fn note(code: &'static str, user: &'static str) -> RefusalNote<'static> {
        let (sid, event, address) = (None, None, None);
        RefusalNote { kind: RefusalKind::Event, code, cause: "", sid, user: Some(user), event, address }
    }

    #[test]
    fn ids_are_short_and_read_out_easily() {
        assert_eq!(ErrorId::from_bits(0).to_string(), "r-00000000");
        assert_eq!(ErrorId::from_bits(u64::MAX).to_string(), "r-zzzzzzzz");
        assert_eq!(ErrorId::from_bits(1 << 35 | 18).to_string(), "r-1000000j");
        assert_eq!(serde_json::to_string(&ErrorId::from_bits(1)).unwrap(), "\"r-00000001\"");
    }

    #[test]
    fn a_flood_gets_a_few_lines_of_each_client_and_the_others_are_summed_up() {
        let (refusals, start) = (refusals(), Instant::now());
        let lines = |code, user, count: usize, now| {
            (0..count).filter(|_| refusals.note_at(&note(code, user), true, now).is_some()).count()
        };
        assert_eq!(lines("FORBIDDEN", "ann", 1_000, start), LINES_OF_ONE);
        assert_eq!(lines("FORBIDDEN", "bob", 3, start), 3, "others are heard beside a flood");
        assert_eq!(lines("CONFLICT", "ann", 1, start), 1, "and so are other codes");
        assert_eq!(lines("INTERNAL", "ann", 1_000, start), LINES, "what is our fault is logged whoever hears of it");
        let names = ["c", "d", "e", "f"];
        assert_eq!(names.map(|name| lines("FORBIDDEN", name, 10, start)), [5, 5, 2, 0], "{LINES} in all");
        assert_eq!(refusals.left_out(start + SUMMED_UP_EVERY / 2), []);
        let later = start + SUMMED_UP_EVERY;
        let (kind, level) = (RefusalKind::Event, Level::Info);
        let forbidden = LeftOut { kind, code: "FORBIDDEN", level, count: 1_043 - 20, time: SUMMED_UP_EVERY };
        let internal = LeftOut { code: "INTERNAL", level: Level::Error, count: 980, ..forbidden };
        let mut left_out = refusals.left_out(later);
        left_out.sort_unstable_by_key(|left_out| left_out.code);
        assert_eq!(left_out, [forbidden, internal]);
        assert_eq!(refusals.left_out(later + SUMMED_UP_EVERY), [], "reported once");
        assert_eq!(lines("FORBIDDEN", "ann", 7, later + SUMMED_UP_EVERY), LINES_OF_ONE, "a new time, new lines");
        let http = (RefusalKind::Http, "INTERNAL", 0);
        assert_eq!(refusals.totals(), [(kind, "CONFLICT", 1), (kind, "FORBIDDEN", 1_050), (kind, "INTERNAL", 1_000), http]);
    }

    #[test]
    fn what_nobody_wants_to_read_is_counted_and_takes_no_other_lines_place() {
        let (refusals, now) = (refusals(), Instant::now());
        for _ in 0..100 {
            assert_eq!(refusals.note_at(&note("RATE_LIMITED", "ann"), false, now), None);
        }
        assert!(refusals.note_at(&note("RATE_LIMITED", "ann"), true, now).is_some());
        assert_eq!(refusals.left_out(now + SUMMED_UP_EVERY), []);
        assert!(refusals.totals().contains(&(RefusalKind::Event, "RATE_LIMITED", 101)));
    }

    #[test]
    fn what_is_our_fault_has_an_id_even_where_nothing_is_logged() {
        let refusals = refusals();
        assert_eq!(refusals.note(&note("INTERNAL", "ann")), Some(ErrorId::from_bits(1)));
        assert_eq!(refusals.note(&note("FORBIDDEN", "ann")), None, "no log, no line, no id");
    }
}
