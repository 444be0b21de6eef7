//! One connection with a client: its service, its transport, and the queues between them.
//!
//! Its state is a `ConnectionState`. `state` holds it and writes; `closing` ends it; `service` and `packets` connect it with its
//! service; `polling_requests`, `upgrade` and `websocket` are its transports; `upkeep` drives them. Each calls those
//! before it.
mod closing;
mod deadlines;
mod farewell;
mod outbox;
mod packets;
mod polling;
mod polling_requests;
mod service;
mod state;
mod stats;
mod upgrade;
mod upkeep;
mod websocket;
mod websocket_io;
mod worker_state;

pub(super) use self::deadlines::Deadlines;
pub(super) use self::farewell::{accept_and_close, dismiss};
pub(super) use self::outbox::{Outbox, Queued};
pub(super) use self::polling::{Answer, Answering, Polling};
pub(super) use self::state::{ConnectionState, NewConnection, Transport};
pub use self::stats::WorkerStats;
pub(super) use self::websocket_io::WebSocketIo;
pub(super) use self::worker_state::{Directory, WorkerState};
