//! The AI model: puts what the broker asks to a provider, and reports back what it says.
//!
//! ```text
//! ChatServer ─ Prompt ─→ Model ═ HTTP ═→ provider
//! ChatServer ←─ ModelSaid ─┘
//! ```
mod client;
mod gemini;
mod model;
mod openai;
mod protocol;

pub use self::model::{Model, Unusable};
