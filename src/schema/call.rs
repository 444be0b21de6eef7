//! Descriptions of the requests that this server sends to the operator's own.
use super::composition::SchemaOf;

/// A signed request to the operator's own server: `{type, id, timestamp, data}`.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Name of its setting in lower case, without `_url`: `hook`, `forward`, …
    pub setting: &'static str,
    /// Its `type`.
    pub name: &'static str,
    /// Purpose, in one sentence.
    pub summary: &'static str,
    /// Schema of its `data`.
    pub data: SchemaOf,
    /// Schema of the answer; `None`: any answer of 200 to 299.
    pub answer: Option<SchemaOf>,
}
