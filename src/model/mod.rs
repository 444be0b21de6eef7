//! Plain values that every layer shares: ids, users, conversations, messages, times.
mod base36;
mod conversation;
mod digest;
mod file;
mod id;
pub mod limits;
mod listing;
mod message;
mod name;
mod notification;
mod offset;
mod part;
mod timestamp;
mod user;

pub use self::conversation::{Conversation, ConversationKind, LastMessage};
pub use self::digest::digest;
pub use self::file::{File, MessageClass, show_files_below, upload_path};
pub use self::id::{ConversationId, InvalidId, ListingId, MessageId, NotificationId, PrivateId, RoomId, SocketId, UserId};
pub use self::listing::Listing;
pub use self::message::{Message, MessageStatus, Place, ReadMark, Role};
pub use self::name::{DELETED_NAME, is_plain, name_key};
pub use self::notification::Notification;
pub use self::offset::{ChangesNotified, Epoch, Offset, OffsetKind};
pub use self::part::{FIXED_ENCODINGS, Part, name_encoding};
pub use self::timestamp::Timestamp;
pub use self::user::{Account, ChosenStatus, Description, MODEL_USER, Profile, UserRole, marked_name, name_of_id, numbered_name};
