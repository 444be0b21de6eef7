//! Schemas of JSON: the shapes of what is sent, from its serde types, and of what is read, from descriptions that stand
//! beside the code that reads it. OpenAPI, AsyncAPI and the TypeScript types are made of these (`docs/interfaces.md`).
mod composition;
mod definitions;
mod request;
mod typescript;

pub use self::composition::{SchemaOf, either, success};
pub use self::definitions::Definitions;
pub use self::request::{Field, Shape, kinds};
pub use self::typescript::{interface, pascal_case, type_of};
