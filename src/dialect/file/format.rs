//! The tables of a dialect's file, as TOML has them.
use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

/// A file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub version: Spanned<i64>,
    pub name: Spanned<String>,
    pub define: Option<Spanned<String>>,
    #[serde(default)]
    pub connect: ConnectTable,
    #[serde(default)]
    pub client: Vec<ClientTable>,
    #[serde(default)]
    pub server: Vec<ServerTable>,
    #[serde(default)]
    pub refusal: RefusalTable,
}

/// What happens at a CONNECT.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectTable {
    /// Sentences by code.
    #[serde(default)]
    pub sentences: BTreeMap<Spanned<String>, String>,
    /// Requests that the server makes for the client.
    #[serde(default)]
    pub requests: Vec<Request>,
}

/// A request that the server makes for the client.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    pub command: Spanned<String>,
    pub fields: Option<Spanned<String>>,
    pub answer: Option<AnswerTable>,
}

/// An event that clients send.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientTable {
    pub event: Spanned<String>,
    pub command: Spanned<String>,
    pub fields: Option<Spanned<String>>,
    #[serde(default)]
    pub names: BTreeMap<Spanned<String>, String>,
    pub echo: Option<Spanned<String>>,
    pub rate: Option<Rate>,
    pub copy: Option<Copy>,
    pub ack: Option<Spanned<String>>,
    pub answer: Option<AnswerTable>,
    #[serde(default)]
    pub description: String,
}

/// The event that answers a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerTable {
    pub event: Spanned<String>,
    pub args: Option<Spanned<String>>,
    #[serde(default)]
    pub description: String,
}

/// Cost class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Rate {
    Work,
    Receipt,
    Typing,
}

/// Copy of a message for the socket that sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Copy {
    None,
    Live,
    Confirmation,
}

/// An event that the server sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerTable {
    pub on: Spanned<OneOrMore>,
    pub event: Spanned<String>,
    pub when: Option<Spanned<String>>,
    pub args: Option<Spanned<String>>,
    #[serde(default)]
    pub to: Option<Spanned<Audience>>,
    #[serde(default)]
    pub description: String,
}

/// A text or a list of texts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    pub(super) fn texts(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::More(texts) => texts,
        }
    }
}

/// Those whom an event is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Audience {
    /// All whom it concerns.
    #[default]
    All,
    /// All but the user who did it.
    Others,
    /// All but the user who did it, unless the client pinned the dialect.
    OthersOrPinned,
    /// Clients that pinned the dialect.
    Pinned,
}

/// The words of refusals.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefusalTable {
    pub event: Option<Spanned<String>>,
    pub args: Option<Spanned<String>>,
    pub ack: Option<Spanned<String>>,
    #[serde(default)]
    pub description: String,
}
