//! A stream of events for watchers: connects and disconnects, rooms, events of sockets with their arguments, and
//! incidents with the operator's own server.
//!
//! While nobody watches, emitting an event costs one atomic load. Senders never wait for a watcher: a slow one loses
//! the oldest events and receives the number lost.
mod event;
mod incident;
mod watching;

pub use self::event::{Args, FeedEvent, FeedEventKind, Packet, SocketView};
pub use self::incident::Incident;
pub use self::watching::{Feed, Seen, Watcher};
