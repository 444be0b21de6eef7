//! Routes and pages of administrators.
mod accounts;
mod actions;
mod audit;
mod console;
mod events;
mod explain;
mod families;
mod figures;
mod log_filter;
mod metrics;
mod operations;
mod page;
mod routes;
mod sessions;
mod showing;
mod stream;
mod tokens;
mod webhooks;

pub use self::console::{Console, ConsoleOptions, ConsoleReady};
pub use self::operations::OPERATIONS;
pub use self::routes::{AdminState, routes};
