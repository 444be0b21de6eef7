//! Refusals in the words of the operator's hook.

/// Code of a hook's refusal in the log, and of one that brings no code of its own.
pub const HOOK_REFUSED: &str = "HOOK_REFUSED";

/// Refusal in a hook's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookRefusal {
    /// Code for programs.
    pub code: Box<str>,
    /// Sentence for people.
    pub message: Box<str>,
}
