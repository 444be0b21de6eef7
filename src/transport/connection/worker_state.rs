//! Settings, figures and buffers shared by the connections of one worker thread.
use std::cell::{RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use rand::RngExt as _;

use super::outbox::{LastQueued, Limits, Queued};
use super::stats::{TIMED, WorkerStats};
use crate::engineio::{Encoded, Service, Sid, open_packet};
use crate::transport::admission::{Node, Options};

/// Maximum number of bytes of one read. One buffer serves all connections of a thread.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Index in which requests find the sessions of all threads.
pub(in crate::transport) trait Directory {
    /// Records that a session is on a WebSocket, from the start or after an upgrade.
    fn insert_websocket(&self, sid: Sid);
    /// Removes a session.
    fn remove(&self, sid: &Sid);
}

/// State shared by one thread's connections.
pub(in crate::transport) struct WorkerState<S: Service> {
    pub(in crate::transport) node: Arc<Node>,
    pub(in crate::transport) stats: Arc<WorkerStats>,
    pub(in crate::transport) last: LastQueued,
    pub(super) context: S::Context,
    pub(super) common: CommonPackets,
    pub(super) directory: Arc<dyn Directory>,
    scratch: RefCell<Box<[u8]>>,
}

/// Packets that never change.
pub(super) struct CommonPackets {
    pub(super) ping: Rc<Queued>,
}

impl<S: Service> WorkerState<S> {
    pub(in crate::transport) fn new(
        node: Arc<Node>,
        context: S::Context,
        stats: Arc<WorkerStats>,
        directory: Arc<dyn Directory>,
    ) -> Self {
        Self {
            node,
            stats,
            last: LastQueued::default(),
            context,
            common: CommonPackets { ping: Rc::new(Queued::Packets(Encoded::text("2"))) },
            directory,
            scratch: RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice()),
        }
    }

    pub(in crate::transport) fn options(&self) -> &Options {
        &self.node.options
    }

    pub(super) fn limits(&self) -> Limits {
        Limits { packets: self.options().outbox_packets, bytes: self.options().outbox_bytes }
    }

    pub(super) fn scratch(&self) -> RefMut<'_, Box<[u8]>> {
        self.scratch.borrow_mut()
    }

    pub(in crate::transport) fn new_sid(&self) -> Sid {
        Sid::from_random(rand::rng().random())
    }

    /// Returns the open packet of a session that ends with the next packet.
    pub(in crate::transport) fn open_packet_of_none(&self) -> String {
        let options = self.options();
        open_packet(&self.new_sid(), false, options.ping_interval, options.ping_timeout, options.max_packet_bytes)
    }

    /// Counts a step of a connection's own task.
    pub(in crate::transport) fn note_step(&self, begun: Instant) {
        let meter = &self.stats.connections;
        if meter.note_untimed().is_multiple_of(TIMED) {
            meter.note_time("turn", begun, TIMED);
        }
    }
}
