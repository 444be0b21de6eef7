//! State shared by all worker threads: their actors, and their sessions.
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use actix::Addr;

use super::actor::WorkerActor;
use super::registry::Registry;
use crate::engineio::{Service, Ticket};
use crate::transport::admission::{Node, Options};
use crate::transport::connection::WorkerStats;

/// The threads of a server, and the sessions on them.
pub(in crate::transport) struct Shared<S: Service> {
    pub(in crate::transport) node: Arc<Node>,
    pub(in crate::transport) registry: Arc<Registry<S>>,
    /// Hubs, each with the number of its worker.
    pub(in crate::transport) actors: Mutex<Vec<(u16, Addr<WorkerActor<S>>)>>,
    pub(in crate::transport) stats: Mutex<Vec<Arc<WorkerStats>>>,
    next_worker: AtomicU16,
    next_ticket: AtomicU64,
}

impl<S: Service> Shared<S> {
    /// Returns a server without threads.
    pub(in crate::transport) fn new(options: Options) -> Self {
        Self {
            node: Arc::new(Node::new(options)),
            registry: Arc::default(),
            actors: Mutex::default(),
            stats: Mutex::default(),
            next_worker: AtomicU16::new(0),
            next_ticket: AtomicU64::new(0),
        }
    }

    /// Returns the number of the next thread.
    pub(super) fn next_worker(&self) -> u16 {
        self.next_worker.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns a unique number for a request.
    pub(in crate::transport) fn ticket(&self) -> Ticket {
        self.next_ticket.fetch_add(1, Ordering::Relaxed)
    }
}
