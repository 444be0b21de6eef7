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
mod dialect_state;
mod events;
mod fields;
mod file;
#[cfg(any(test, feature = "internals"))]
#[expect(clippy::unwrap_used, reason = "values for tests and benches, which fail with them")]
pub mod fixtures;
mod listing;
mod messenger;
mod messenger_shapes;
mod packets;
mod refusal;
mod request_error;
mod rooms;
mod table;
mod types;
mod vocabulary;

pub use self::agent::agent_exchanges;
pub use self::asyncapi::asyncapi;
pub use self::common::{guest_packet, initial_offset_packet};
pub use self::connect_error::{ConnectError, ConnectRefusal, connect_error};
pub use self::content::{KnownType, known_type};
pub use self::conversation::{ConversationView, NOTIFICATION_EVENT, NotificationView};
pub use self::dialect_state::DialectState;
pub use self::events::{Class, ClientEvent, EventDoc, Offset, ServerEvent};
pub use self::fields::{Field, Payload};
pub use self::file::{FileDialect, Problem, START};
pub use self::listing::{CommonChatMessage, DeletedMessageView, DirectMessageView, RoomMessageView};
pub use self::packets::{Packets, packet};
pub use self::refusal::{error_ack, kick_packet, kick_sentence, unknown_event_packet};
pub use self::request_error::{RequestError, Wording};
pub use self::rooms::parse_room;
pub use self::table::{Dialect, DialectSet, RegisterError, UnknownDialect, register, replace};
pub use self::types::types;
pub use self::vocabulary::{Asked, Decoded, Vocabulary};
