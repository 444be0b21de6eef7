//! Explanations in sentences: why a user does or does not get messages, and what happened to a message.
mod explanation;
mod message;
mod routes;
mod user;

pub use self::explanation::Explanation;
pub use self::routes::{message, user};
