//! Explanations in sentences: why a user does or does not get messages, and what happened to a message.
mod explanation;
mod message;
mod routes;
mod untold;
mod user;

pub(crate) use self::explanation::Explanation;
pub(crate) use self::routes::{message, user};
