//! JSON schemas: those of sent data come from its serde types, those of received data from descriptions beside the code
//! that reads it. They make up OpenAPI, AsyncAPI and the TypeScript types (`docs/interfaces.md`).
mod call;
mod composition;
mod definitions;
mod request;
mod typescript;

pub use self::call::Call;
pub use self::composition::{SchemaOf, either, success};
pub use self::definitions::Definitions;
pub use self::request::{Field, Shape, kinds};
pub use self::typescript::{interface, pascal_case, type_of};
