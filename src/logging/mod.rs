//! The log: lines on stderr with time, level and the module that speaks, and what they name as fields.
//!
//! `info!(sid:% = socket, user:% = user; "connected")` reads `… connected sid=… user=…` as text, and has the fields `sid` and
//! `user` as JSON. Fields are named as clients' are, but in `snake_case`; those without a value are left out.
mod fields;
mod lines;
mod refusals;
mod switch;

pub use self::lines::{fail, start};
pub use self::refusals::{ErrorId, NoteRefusal, RefusalKind, RefusalNote, Refusals, SUMMED_UP_EVERY};
pub use self::switch::{Change, Switched, restore, switch, switched};
