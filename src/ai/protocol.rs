//! The differences between providers.
use std::fmt;
use std::time::Duration;

use super::json::Json;
use super::refusal::is_too_long;
use crate::chat::Turn;

/// There will be no answer, or no more of it; for the log, so nothing of what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Why.
    #[error("{0}")]
    Off(&'static str),
    /// Less would be answered.
    #[error("the chat is too long for the model")]
    TooLong,
}

impl Broken {
    /// Because of this error of the provider.
    pub fn by_error(error: &str) -> Self {
        if is_too_long(error) { Self::TooLong } else { Self::Off("an error came instead of an answer") }
    }
}

/// End of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All was said.
    Whole,
    /// It became too long.
    Cut,
}

/// A part of an answer, or a whole one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// Text that was said, as [`Json::text`] gives it.
    pub text: Vec<u8>,
    /// The provider says that it is the end; what follows belongs to the answer all the same.
    pub end: Option<End>,
}

/// One way to ask a model over HTTP. Pure: texts in, texts out.
pub trait Protocol: fmt::Debug + Send + Sync {
    /// Where to ask.
    fn address(&self, stream: bool) -> String;

    /// The header that carries the key, and what stands before the key in it.
    fn key_header(&self) -> (&'static str, &'static str);

    /// The body that asks.
    fn request(&self, turns: &[Turn], stream: bool) -> String;

    /// Reads an answer, or one event of a streamed one.
    ///
    /// # Errors
    /// [`Broken`] if it says that there will be no answer.
    fn read(&self, json: Json<'_>) -> Result<Part, Broken>;

    /// The provider's own name for a refusal.
    fn refusal(&self, json: Json<'_>) -> Option<String>;

    /// When to ask again, where the refusal itself says it.
    fn retry_after(&self, _json: Json<'_>) -> Option<Duration> {
        None
    }
}

/// The text of an answer, which may come as a list of parts; what the model said to itself is none of it.
pub fn text_of(content: Json<'_>) -> Vec<u8> {
    if let Some(text) = content.text() {
        return text;
    }
    let said = |part: Json<'_>| {
        let is_thought = part.get("thought").is_some_and(|thought| thought.raw() == "true");
        let is_text = part.get("type").and_then(Json::word).is_none_or(|kind| kind.contains("text"));
        if is_thought || !is_text { None } else { part.text().or_else(|| part.get("text")?.text()) }
    };
    content.items().into_iter().filter_map(said).flatten().collect()
}

/// A base address with the provider's usual path, where it has none of its own.
pub fn with_path(base: &str, usual: &str) -> String {
    if path_of(base).is_empty() { format!("{base}{usual}") } else { base.to_owned() }
}

/// From the first slash after the host on.
pub fn path_of(address: &str) -> &str {
    let place = address.split_once("://").map_or(address, |(_, place)| place);
    place.find('/').and_then(|at| place.get(at..)).unwrap_or_default()
}
