//! Webhooks: tell the operator's own servers what has happened.
//!
//! Events are rows that the store's writer adds in the transaction of the change. Each webhook has a `Deliverer` that
//! reads its rows, sends several at a time – those of one lane (a conversation, a room, a user) one after the other – and
//! deletes what was accepted. So every event arrives at least once, with the same id each time, in the order of its lane.
mod back_off;
mod checks;
mod deliverer;
mod handle;
mod lanes;
mod pace;
mod status;

pub use self::handle::{Configured, Webhooks};
pub use self::status::WebhookFigures;
