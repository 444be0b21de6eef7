//! The front ends' event vocabularies: they translate between Socket.IO events and the broker's commands.
//!
//! Each front end has one file for both directions. A new one needs a file and a line in `table`; one outside this
//! crate needs a call of [`register`].
mod agent;
mod argument_schemas;
mod assistant;
mod asyncapi;
mod common;
mod connect_error;
mod content;
mod conversation;
mod events;
mod fault;
mod fields;
#[cfg(any(test, feature = "internals"))]
#[expect(clippy::unwrap_used, reason = "values for tests and benches, which fail with them")]
pub mod fixtures;
mod listing;
mod messenger;
mod packets;
mod refusal;
mod rooms;
mod table;
mod types;
mod vocabulary;
mod voice;

pub use self::agent::agent_exchanges;
pub use self::asyncapi::asyncapi;
pub use self::common::seed_packet;
pub use self::connect_error::{ConnectError, ConnectRefusal, connect_error};
pub use self::content::{KnownType, known_type};
pub use self::conversation::{ConversationView, NOTIFICATION_EVENT, NotificationView};
pub use self::events::{About, Class, Entry, Offset, Told};
pub use self::fault::{Fault, Wording};
pub use self::fields::{Field, Payload};
pub use self::listing::{CommonChatMessage, DeletedMessageView, DirectMessageView, RoomMessageView};
pub use self::packets::{Packets, packet};
pub use self::refusal::{fault_ack, kick_packet, kick_sentence, unknown_event_packet};
pub use self::rooms::room_called;
pub use self::table::{Dialect, DialectSet, RegisterError, UnknownDialect, register};
pub use self::types::types;
pub use self::vocabulary::{Asked, Decoded, Vocabulary};
pub use self::voice::Voice;
