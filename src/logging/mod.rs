//! The log: lines on stderr with time, level, module and message, followed by fields.
//!
//! `info!(sid:% = socket, user:% = user; "connected")` prints `… connected sid=… user=…` as text, and an object with
//! the fields `sid` and `user` as JSON. Fields have the names that clients see, but in `snake_case`; fields without a
//! value are left out.
mod fields;
mod lines;
mod refusals;
mod switch;

pub use self::lines::{fail, start};
pub use self::refusals::{ErrorId, NoteRefusal, RefusalKind, RefusalNote, Refusals, SUMMED_UP_EVERY};
pub use self::switch::{Change, Switched, restore, switch, switched};
