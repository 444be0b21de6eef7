//! The AI model: puts what the broker asks to a provider, and reports back what it says.
//!
//! ```text
//! ChatServer ─ Prompt ─→ Model ═ HTTP ═→ provider
//! ChatServer ←─ ModelSaid ─┘
//! ```
mod client;
mod gemini;
mod json;
mod model;
mod openai;
mod protocol;
mod reading;
mod refusal;
mod spoken;
mod turns;

pub use self::model::Model;
