//! Stores changes, within the transaction of their batch.
//!
//! New messages are delayed until all of a batch can be inserted at once; changes of stored messages (receipts, edits,
//! progress) until after that. In between, only those changes are applied that depend on a conversation's current
//! content.
mod audit;
mod batch;
mod conversations;
pub(super) mod dead_letters;
mod deletion;
pub(super) mod file_names;
mod insert_postgres;
mod insert_sqlite;
mod listings;
mod logins;
mod messages;
pub(super) mod notifications;
mod outcome;
pub(super) mod presence;
mod progress;
mod receipts;
mod retention;
mod unread;
pub(super) mod users;
mod webhook_rows;
pub(super) mod webhooks;
mod withdrawal;

pub(super) use self::batch::{apply, is_one_statement};
pub(super) use self::outcome::Outcome;
