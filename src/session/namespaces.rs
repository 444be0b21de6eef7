//! The namespaces that a connection may join.

/// The namespace of the chat.
pub(super) const NAMESPACE: &str = "/";
/// The namespace of the administrators.
pub const CONSOLE: &str = "/admin";
