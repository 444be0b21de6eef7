//! The interface that providers differ in.
use std::fmt;
use std::time::Duration;

use super::json::Json;
use super::refusal::is_too_long;
use crate::chat::Turn;

/// There will be no answer, or no more of it. For the log, so it holds nothing of what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// For this reason.
    #[error("{0}")]
    Off(&'static str),
    /// A shorter chat would be answered.
    #[error("the chat is too long for the model")]
    TooLong,
}

impl Broken {
    /// Makes one from an error of the provider.
    pub(super) fn by_error(error: &str) -> Self {
        if is_too_long(error) { Self::TooLong } else { Self::Off("an error came instead of an answer") }
    }
}

/// End of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It is complete.
    Whole,
    /// It was cut for its length.
    Cut,
}

/// A part of an answer, or all of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Part {
    /// The text, as returned by [`Json::text`].
    pub text: Vec<u8>,
    /// Set if the provider marks the end; text that follows still belongs to the answer.
    pub end: Option<End>,
}

/// One API of models over HTTP. Pure: texts in, texts out.
pub(super) trait Protocol: fmt::Debug + Send + Sync {
    /// Returns the address to send the request to.
    fn address(&self, stream: bool) -> String;

    /// Returns the header that carries the key, and the prefix of the key in it.
    fn key_header(&self) -> (&'static str, &'static str);

    /// Returns the body of a request.
    fn request(&self, turns: &[Turn], stream: bool) -> String;

    /// Parses an answer, or one event of a streamed one.
    ///
    /// # Errors
    /// [`Broken`] if it says that there will be no answer.
    fn read(&self, json: Json<'_>) -> Result<Part, Broken>;

    /// Returns the provider's name for a refusal.
    fn refusal(&self, json: Json<'_>) -> Option<String>;

    /// Returns the pause before a retry, if the refusal's body names one.
    fn retry_after(&self, _json: Json<'_>) -> Option<Duration> {
        None
    }
}

/// Returns the text of an answer, which may be a list of parts. Parts with the model's thoughts are left out.
pub(super) fn text_of(content: Json<'_>) -> Vec<u8> {
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

/// Appends the provider's usual path to a base address without a path.
pub(super) fn with_path(base: &str, usual: &str) -> String {
    if path_of(base).is_empty() { format!("{base}{usual}") } else { base.to_owned() }
}

/// Returns the part of an address from the first slash after the host.
pub(super) fn path_of(address: &str) -> &str {
    let place = address.split_once("://").map_or(address, |(_, place)| place);
    place.find('/').and_then(|at| place.get(at..)).unwrap_or_default()
}
