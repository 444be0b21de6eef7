//! How each change is stored, within the transaction of its batch.
//!
//! New messages wait until all of a batch can go in at once, and what concerns stored messages (receipts, edits,
//! progress) until after that. Only changes that look at what a conversation holds by then stand in between.
mod audit;
mod batch;
mod conversations;
mod deletion;
pub(super) mod file_names;
mod insert_postgres;
mod insert_sqlite;
mod listings;
mod messages;
pub(super) mod notifications;
mod outcome;
pub(super) mod presence;
mod progress;
mod receipts;
mod retention;
pub(super) mod users;
mod withdrawal;

pub(super) use self::batch::{apply, is_one_statement};
pub(super) use self::outcome::Outcome;
