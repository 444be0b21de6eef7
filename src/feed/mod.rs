//! What happens, for those who watch: sockets that come and go, rooms, events with their arguments.
//!
//! While nobody watches, a word costs its teller one look at a number. Nobody ever waits for a watcher: one that is slow loses
//! the oldest of what happened, and is told how much that was.
mod happening;
mod watching;

pub use self::happening::{Args, Happening, Packet, SocketView, What};
pub use self::watching::{Feed, Seen, Watcher};
