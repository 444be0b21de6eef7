//! Queries: functions of a connection that only read, grouped by subject.
//!
//! [`Store::read`](super::Store::read) runs them on a reader's connection; a change that has to look first runs them on
//! the writer's, within its transaction.
pub(super) mod audit;
pub(super) mod changed_accounts;
pub(super) mod conversations;
pub(super) mod files;
pub(super) mod listings;
pub(super) mod logins;
pub(super) mod messages;
pub(super) mod missed;
pub(super) mod notifications;
pub(super) mod search;
pub(super) mod sync;
pub(super) mod tokens;
pub(super) mod users;
pub(super) mod webhooks;
