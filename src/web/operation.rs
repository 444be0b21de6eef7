//! Descriptions of routes for `/api/openapi.json` (source: OpenAPI 3.1).
//!
//! Every route made with [`super::endpoint`] needs a line in the list `operations` of its module
//! (`src/api/operations.rs`, `src/admin/operations.rs`); a test fails if one is missing. `docs/interfaces.md` says how
//! to write it.
use crate::schema::{Field, SchemaOf, Shape};

/// Callers that a route admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Anybody.
    Anyone,
    /// Anybody or only users, depending on a setting.
    AnyoneOrUsers,
    /// Users with a token.
    User,
    /// A user with a token, or a server with a key, which acts for users.
    UserOrServer,
    /// An administrator, or a server with a key.
    Admin,
    /// Anybody with the value of this setting as bearer token; anybody at all if it is unset.
    Bearer,
}

/// Body of a request.
#[derive(Debug, Clone, Copy)]
pub enum Sent {
    /// Nothing.
    Nothing,
    /// JSON.
    Json(Shape),
    /// `multipart/form-data` with a part `file`.
    File,
}

/// A successful answer.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// `{success: true}` and these fields, as JSON, with this status.
    Success(u16, &'static [(&'static str, SchemaOf)]),
    /// JSON of another shape, with this status.
    Json(u16, SchemaOf),
    /// Content of this type, with this status.
    Other(u16, &'static str),
    /// No content, with this status.
    Empty(u16),
}

/// A refusal: status and code.
pub type DocumentedError = (u16, &'static str);

/// Refusal of the operator's hook, which may bring a code of its own.
pub const HOOK_REFUSED: DocumentedError = (403, "HOOK_REFUSED");
/// Refusal for want of the hook's answer.
pub const HOOK_FAILED: DocumentedError = (503, "HOOK_FAILED");

/// One method of one route.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// HTTP method.
    pub method: &'static str,
    /// Path, as given to `endpoint`.
    pub path: &'static str,
    /// Purpose, in one sentence.
    pub summary: &'static str,
    /// Callers admitted.
    pub who: Who,
    /// Parameters in the path that are not arbitrary text.
    pub path_fields: &'static [Field],
    /// Parameters in the query.
    pub query: &'static [Field],
    /// The body.
    pub sent: Sent,
    /// Answers.
    pub answers: &'static [Answer],
    /// Refusals of this route, in addition to those that follow from `who` and `sent`, or are possible everywhere.
    pub refusals: &'static [DocumentedError],
}

impl Operation {
    /// Describes a GET.
    pub const fn get(path: &'static str, who: Who, summary: &'static str) -> Self {
        let (sent, refusals) = (Sent::Nothing, &[]);
        Self { method: "GET", path, summary, who, path_fields: &[], query: &[], sent, answers: DONE, refusals }
    }

    /// Describes a POST.
    pub const fn post(path: &'static str, who: Who, summary: &'static str) -> Self {
        Self { method: "POST", ..Self::get(path, who, summary) }
    }

    /// Describes a PUT.
    pub const fn put(path: &'static str, who: Who, summary: &'static str) -> Self {
        Self { method: "PUT", ..Self::get(path, who, summary) }
    }

    /// Describes a PATCH.
    pub const fn patch(path: &'static str, who: Who, summary: &'static str) -> Self {
        Self { method: "PATCH", ..Self::get(path, who, summary) }
    }

    /// Describes a DELETE.
    pub const fn delete(path: &'static str, who: Who, summary: &'static str) -> Self {
        Self { method: "DELETE", ..Self::get(path, who, summary) }
    }

    /// Sets the parameters in the path; those not listed are arbitrary text.
    #[must_use]
    pub const fn path(self, path_fields: &'static [Field]) -> Self {
        Self { path_fields, ..self }
    }

    /// Sets the parameters in the query.
    #[must_use]
    pub const fn query(self, query: &'static [Field]) -> Self {
        Self { query, ..self }
    }

    /// Sets a JSON body.
    #[must_use]
    pub const fn body(self, shape: Shape) -> Self {
        Self { sent: Sent::Json(shape), ..self }
    }

    /// Sets a file as body.
    #[must_use]
    pub const fn file(self) -> Self {
        Self { sent: Sent::File, ..self }
    }

    /// Sets the answers, which replace `{success: true}`.
    #[must_use]
    pub const fn answers(self, answers: &'static [Answer]) -> Self {
        Self { answers, ..self }
    }

    /// Sets the refusals.
    #[must_use]
    pub const fn refuses(self, refusals: &'static [DocumentedError]) -> Self {
        Self { refusals, ..self }
    }
}

/// `{success: true}` and nothing else.
const DONE: &[Answer] = &[Answer::Success(200, &[])];
