//! What connections have done in all, and by that in each second.
use serde_json::{Value, json};

use crate::engineio::CloseReason;
use crate::model::Timestamp;

/// Counted since the start, over all connections.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Connections that are on polling now.
    pub polling: u64,
    /// Connections that are on a WebSocket now.
    pub websocket: u64,
    /// Connections that were opened.
    pub opened: u64,
    /// Connections that were closed, by reason.
    pub closed: Vec<(CloseReason, u64)>,
    /// Messages from clients.
    pub messages_in: u64,
    /// Packets to clients.
    pub packets_out: u64,
    /// Bytes from clients.
    pub bytes_in: u64,
    /// Bytes to clients.
    pub bytes_out: u64,
}

/// The seconds since somebody was told.
#[derive(Debug, Default)]
pub struct Seconds {
    last: Totals,
    /// Entries of `aggregatedEvents`.
    untold: Vec<Value>,
}

/// A second has a dozen entries at most, and is told soon: so many are there only if telling is stuck.
const UNTOLD_MAX: usize = 1_000;

impl Seconds {
    /// Begins to count.
    pub fn begin(&mut self, totals: Totals) {
        *self = Self { last: totals, untold: Vec::new() };
    }

    /// A second is over.
    pub fn add(&mut self, totals: Totals, now: Timestamp) {
        let second = now.as_millis() / 1_000 * 1_000;
        let mut more = Vec::new();
        let mut note = |kind: &str, reason: Option<CloseReason>, before: u64, after: u64| {
            let count = after.saturating_sub(before);
            match reason {
                _ if count == 0 => {}
                Some(reason) => {
                    more.push(json!({"timestamp": second, "type": kind, "subType": reason.as_str(), "count": count}));
                }
                None => more.push(json!({"timestamp": second, "type": kind, "count": count})),
            }
        };
        let last = &self.last;
        note("rawConnection", None, last.opened, totals.opened);
        for (reason, count) in &totals.closed {
            let before = last.closed.iter().find(|(other, _)| other == reason).map_or(0, |(_, count)| *count);
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

    /// What was counted since this was asked last.
    pub fn take(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_is_told_once_by_what_it_added() {
        let mut seconds = Seconds::default();
        let before = Totals { opened: 5, closed: vec![(CloseReason::PingTimeout, 1)], bytes_in: 100, ..Totals::default() };
        seconds.begin(before.clone());
        let closed = vec![(CloseReason::PingTimeout, 1), (CloseReason::TransportClose, 2)];
        seconds.add(Totals { opened: 8, closed, bytes_in: 107, ..before }, Timestamp::from_millis(1_767_225_600_999));
        let expected = [
            json!({"timestamp": 1_767_225_600_000i64, "type": "rawConnection", "count": 3}),
            json!({"timestamp": 1_767_225_600_000i64, "type": "rawDisconnection", "subType": "transport close", "count": 2}),
            json!({"timestamp": 1_767_225_600_000i64, "type": "bytesIn", "count": 7}),
        ];
        assert_eq!(seconds.take(), expected);
        assert_eq!(seconds.take(), [] as [Value; 0]);
    }
}
