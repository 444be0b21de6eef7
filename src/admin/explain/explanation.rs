//! Explanations, and the facts that support them.
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::Timestamp;

/// A verdict and the facts behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Explanation {
    /// The verdict, in one sentence.
    pub verdict: String,
    /// The facts, most relevant first.
    pub facts: Vec<Fact>,
}

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Fact {
    /// A stable code for scripts.
    pub code: &'static str,
    /// A sentence.
    pub text: String,
    /// Time of the event, or start of the state.
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
