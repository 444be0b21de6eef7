//! A worker thread: the actors that serve its connections, and the access to other threads.
//!
//! A `Table` holds the connections. The `WorkerActor` delivers events to them and keeps their deadlines; each has a
//! `Connection` that owns its socket. The `Registry` finds the connection of a session on any thread. A `Thread`
//! combines these for requests.
mod actor;
mod connection;
mod registry;
mod shared;
mod slots;
mod table;
mod thread;

pub(super) use self::actor::{CloseAll, TakeNoMore, ViewConnections};
pub(super) use self::connection::{BeginPost, Connection, Get, Post, PostGoesOn, PostRefused, RequestFailed, TakeSocket};
pub(super) use self::registry::Found;
pub(super) use self::shared::Shared;
pub(super) use self::thread::Thread;
