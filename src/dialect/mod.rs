//! The front ends' vocabularies: between Socket.IO events and what the broker understands.
//!
//! One file holds one front end, both directions. A new one is its file and a line in `select`'s table; one that stands
//! outside of this crate is its file and a call of [`register`].
mod agent;
mod assistant;
mod asyncapi;
mod content;
mod conversation;
mod error;
mod fields;
#[cfg(any(test, feature = "internals"))]
#[expect(clippy::unwrap_used, reason = "values for tests and benches, which fail with them")]
pub mod fixtures;
mod listing;
mod messenger;
mod rooms;
mod seed;
mod select;
mod takes;
mod types;
mod vocabulary;

pub use self::agent::agent_exchanges;
pub use self::asyncapi::asyncapi;
pub use self::content::{KnownType, known_type};
pub use self::conversation::{ConversationView, NOTIFICATION_EVENT, NotificationView};
use self::error::COMMON;
pub use self::error::{
    ConnectError, ConnectRefusal, Fault, Wording, connect_error, fault_ack, kick_packet, kick_sentence, unknown_event_packet,
};
pub use self::fields::{Field, Payload};
pub use self::listing::{CommonChatMessage, DeletedMessageView, DirectMessageView, RoomMessageView};
pub use self::rooms::room_called;
pub use self::seed::seed_packet;
pub use self::select::{Dialect, DialectSet, RegisterError, UnknownDialect, Voice, register};
pub use self::types::types;
pub use self::vocabulary::{About, Asked, Class, Decoded, Entry, Offset, Packets, Told, Vocabulary, packet};
