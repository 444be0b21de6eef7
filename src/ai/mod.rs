//! The AI model: sends the broker's prompts to a provider, and reports its answers.
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

pub(crate) use self::model::Model;
