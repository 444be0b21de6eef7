//! The operator's hook: asks the operator's own server before a request takes effect.
//!
//! ```text
//! ChatServer ─ AskHook ─→ Hook ═ HTTP ═→ HOOK_URL
//! ChatServer ←─ HookSaid ─┘
//! ```
//!
//! Sessions ask about CONNECTs, and `POST /api/upload` about files, in the same way. Events that no dialect knows are
//! handed on by a [`Forwarder`] to `FORWARD_URL`, which answers them.
mod answer;
mod figures;
mod forwarded;
mod forwarder;
mod gate;
mod hook;
mod lanes;
mod question;

pub(crate) use self::figures::{ForwardMeter, HookMeter};
pub(crate) use self::forwarded::FORWARDED;
pub(crate) use self::forwarder::{EmitAll, Forwarder, ForwarderReady};
pub(crate) use self::hook::Hook;
pub(crate) use self::question::QUESTIONS;
