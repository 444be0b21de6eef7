//! What providers differ in.
use std::fmt;
use std::time::Duration;

use crate::chat::Turn;

/// What was read is not what was agreed, or says that there is no answer; for the log, so nothing of what was said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub &'static str);

/// A part of an answer, or a whole one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// What was said.
    pub text: String,
    /// Whether nothing more follows.
    pub is_last: bool,
}

/// One way to ask a model over HTTP. Pure: texts in, texts out.
pub trait Protocol: fmt::Debug + Send + Sync {
    /// Where to ask.
    fn address(&self, stream: bool) -> String;

    /// The header that carries the key, and what stands before the key in it.
    fn key_header(&self) -> (&'static str, &'static str);

    /// The body that asks.
    fn request(&self, turns: &[Turn], stream: bool) -> String;

    /// Reads an answer, or the data of one event of a streamed one.
    ///
    /// # Errors
    /// [`Unreadable`] if it is no such thing, or says that there will be no answer.
    fn read(&self, json: &str) -> Result<Part, Unreadable>;

    /// The provider's own name for a refusal.
    fn refusal(&self, json: &str) -> Option<String>;

    /// When to ask again, where the refusal itself says it.
    fn retry_after(&self, _json: &str) -> Option<Duration> {
        None
    }
}

/// A base address with the provider's usual path, where it has none of its own.
pub fn with_path(base: &str, usual: &str) -> String {
    let place = base.split_once("://").map_or(base, |(_, place)| place);
    if place.contains('/') { base.to_owned() } else { format!("{base}{usual}") }
}
