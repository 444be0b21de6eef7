//! Figures of each second, from totals of connections.
use serde_json::{Value, json};

use crate::model::Timestamp;
use crate::web::Traffic;

/// The seconds that have not been sent yet.
#[derive(Debug, Default)]
pub(super) struct Seconds {
    last: Traffic,
    /// Entries of `aggregatedEvents`.
    untold: Vec<Value>,
}

/// Maximum number of entries. A second adds a dozen at most and is sent soon, so the limit is reached only if sending
/// is stuck.
const UNTOLD_MAX: usize = 1_000;

impl Seconds {
    /// Starts counting.
    pub(super) fn begin(&mut self, totals: Traffic) {
        *self = Self { last: totals, untold: Vec::new() };
    }

    /// Ends a second.
    pub(super) fn add(&mut self, totals: Traffic, now: Timestamp) {
        let second = now.as_millis() / 1_000 * 1_000;
        let mut more = Vec::new();
        let mut note = |kind: &str, reason: Option<&str>, before: u64, after: u64| {
            let count = after.saturating_sub(before);
            match reason {
                _ if count == 0 => {}
                Some(reason) => {
                    more.push(json!({"timestamp": second, "type": kind, "subType": reason, "count": count}));
                }
                None => more.push(json!({"timestamp": second, "type": kind, "count": count})),
            }
        };
        let last = &self.last;
        note("rawConnection", None, last.opened, totals.opened);
        for (reason, count) in &totals.closed {
            let before = last.closed.get(reason).copied().unwrap_or_default();
            note("rawDisconnection", Some(*reason), before, *count);
        }
        note("packetsIn", None, last.messages_in, totals.messages_in);
        note("packetsOut", None, last.packets_out, totals.packets_out);
        note("bytesIn", None, last.bytes_in, totals.bytes_in);
        note("bytesOut", None, last.bytes_out, totals.bytes_out);
        if self.untold.len() < UNTOLD_MAX {
            self.untold.append(&mut more);
        }
        self.last = totals;
    }

    /// Returns the entries since the last call.
    pub(super) fn take(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_is_reported_once_by_what_it_added() {
        let mut seconds = Seconds::default();
        let before = Traffic { opened: 5, closed: [("ping timeout", 1)].into(), bytes_in: 100, ..Traffic::default() };
        seconds.begin(before.clone());
        let closed = [("ping timeout", 1), ("transport close", 2)].into();
        seconds.add(Traffic { opened: 8, closed, bytes_in: 107, ..before }, Timestamp::from_millis(1_767_225_600_999));
        let expected = [
            json!({"timestamp": 1_767_225_600_000i64, "type": "rawConnection", "count": 3}),
            json!({"timestamp": 1_767_225_600_000i64, "type": "rawDisconnection", "subType": "transport close", "count": 2}),
            json!({"timestamp": 1_767_225_600_000i64, "type": "bytesIn", "count": 7}),
        ];
        assert_eq!(seconds.take(), expected);
        assert_eq!(seconds.take(), [] as [Value; 0]);
    }
}
