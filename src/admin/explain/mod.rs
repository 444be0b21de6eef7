//! Answers in sentences: why somebody gets messages or does not, and what became of a message.
mod explanation;
mod message;
mod routes;
mod user;

pub use self::explanation::Explanation;
pub use self::routes::{message, user};
