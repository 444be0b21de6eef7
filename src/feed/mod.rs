//! A stream of socket events for watchers: connects and disconnects, rooms, events with their arguments.
//!
//! While nobody watches, emitting an event costs one atomic load. Senders never wait for a watcher: a slow one loses
//! the oldest events and receives the number lost.
mod event;
mod watching;

pub use self::event::{Args, FeedEvent, FeedEventKind, Packet, SocketView};
pub use self::watching::{Feed, Seen, Watcher};
