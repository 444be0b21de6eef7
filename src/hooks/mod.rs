//! The operator's hook: asks the operator's own server before a request takes effect.
//!
//! ```text
//! ChatServer ─ AskHook ─→ Hook ═ HTTP ═→ HOOK_URL
//! ChatServer ←─ HookSaid ─┘
//! ```
//!
//! Sessions ask about CONNECTs, and `POST /api/upload` about files, in the same way.
mod answer;
mod figures;
mod gate;
mod hook;
mod question;

pub(crate) use self::figures::HookMeter;
pub(crate) use self::hook::Hook;
pub(crate) use self::question::QUESTIONS;
