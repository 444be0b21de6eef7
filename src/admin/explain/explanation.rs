//! Answers, and what they follow from.
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::Timestamp;

/// An answer: the gist, then what it follows from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Explanation {
    /// The gist, in one sentence.
    pub verdict: String,
    /// Known facts, the most telling first.
    pub facts: Vec<Fact>,
}

/// Something that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fact {
    /// A stable name for scripts.
    pub code: &'static str,
    /// A sentence.
    pub text: String,
    /// When it happened, or since when it is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl Fact {
    pub(super) fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), at: None }
    }

    pub(super) fn at(code: &'static str, at: Timestamp, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), at: Some(at) }
    }
}
