//! Descriptions of what a route takes and answers, for `/api/openapi.json` (source: OpenAPI 3.1).
//!
//! Every route that is made with [`super::endpoint`] has a line in the list `operations` of its module (`src/api/operations.rs`,
//! `src/admin/operations.rs`), and a test fails where one is missing. `docs/interfaces.md` says how to write it.
use crate::schema::{Field, SchemaOf, Shape};

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Anybody.
    Anyone,
    /// Anybody, or users only, as a setting says.
    AnyoneOrUsers,
    /// Who shows a token.
    User,
    /// An administrator, or a server with a key.
    Admin,
    /// Who shows this setting's text as bearer token, where it is set.
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

/// A success.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// `{success: true}` and these fields, as JSON, with this status.
    Success(u16, &'static [(&'static str, SchemaOf)]),
    /// JSON of a shape of its own, with this status.
    Json(u16, SchemaOf),
    /// Something else, with this status and of this type.
    Other(u16, &'static str),
    /// Nothing but this status.
    Empty(u16),
}

/// A refusal: the status and the code.
pub type Refused = (u16, &'static str);

/// One method of one route.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// As in HTTP.
    pub method: &'static str,
    /// As `endpoint` has it.
    pub path: &'static str,
    /// Purpose, in a sentence.
    pub summary: &'static str,
    /// Who may ask.
    pub who: Who,
    /// Parameters in the path that are not any text.
    pub path_fields: &'static [Field],
    /// Parameters in the query.
    pub query: &'static [Field],
    /// The body.
    pub sent: Sent,
    /// Answers.
    pub answers: &'static [Answer],
    /// How it refuses, beside what is refused everywhere, to who may not ask, and for what was sent.
    pub refusals: &'static [Refused],
}

impl Operation {
    /// One that reads.
    pub const fn get(path: &'static str, who: Who, summary: &'static str) -> Self {
        let (sent, refusals) = (Sent::Nothing, &[]);
        Self { method: "GET", path, summary, who, path_fields: &[], query: &[], sent, answers: DONE, refusals }
    }

    /// One that changes something.
    pub const fn post(path: &'static str, who: Who, summary: &'static str) -> Self {
        Self { method: "POST", ..Self::get(path, who, summary) }
    }

    /// As [`Operation::post`].
    pub const fn put(path: &'static str, who: Who, summary: &'static str) -> Self {
        Self { method: "PUT", ..Self::get(path, who, summary) }
    }

    /// As [`Operation::post`].
    pub const fn patch(path: &'static str, who: Who, summary: &'static str) -> Self {
        Self { method: "PATCH", ..Self::get(path, who, summary) }
    }

    /// As [`Operation::post`].
    pub const fn delete(path: &'static str, who: Who, summary: &'static str) -> Self {
        Self { method: "DELETE", ..Self::get(path, who, summary) }
    }

    /// With these parameters in the path; those that are not named are any text.
    #[must_use]
    pub const fn path(self, path_fields: &'static [Field]) -> Self {
        Self { path_fields, ..self }
    }

    /// With these parameters in the query.
    #[must_use]
    pub const fn query(self, query: &'static [Field]) -> Self {
        Self { query, ..self }
    }

    /// With this body.
    #[must_use]
    pub const fn body(self, shape: Shape) -> Self {
        Self { sent: Sent::Json(shape), ..self }
    }

    /// With a file as body.
    #[must_use]
    pub const fn file(self) -> Self {
        Self { sent: Sent::File, ..self }
    }

    /// With these answers, in place of `{success: true}`.
    #[must_use]
    pub const fn answers(self, answers: &'static [Answer]) -> Self {
        Self { answers, ..self }
    }

    /// With these refusals.
    #[must_use]
    pub const fn refuses(self, refusals: &'static [Refused]) -> Self {
        Self { refusals, ..self }
    }
}

/// That it is done, and no more.
const DONE: &[Answer] = &[Answer::Success(200, &[])];
