//! The namespaces that a connection may join.
use crate::config::Namespaces;

/// The namespace of the chat.
pub(super) const NAMESPACE: &str = "/";
/// The namespace of the administrators.
pub const CONSOLE: &str = "/admin";

/// Number of a name of the chat's namespace: 0 is [`NAMESPACE`], the others stand in `NAMESPACES`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct NamespaceName(u8);

impl NamespaceName {
    /// Returns whether it is another than [`NAMESPACE`].
    #[inline]
    pub(super) fn is_other(self) -> bool {
        self.0 != 0
    }

    /// Returns the name itself.
    pub(super) fn of(self, others: &Namespaces) -> &str {
        let other = usize::from(self.0).checked_sub(1).and_then(|place| others.names().get(place));
        other.map_or(NAMESPACE, |name| name)
    }

    /// Finds a name.
    pub(super) fn find(name: &str, others: &Namespaces) -> Option<Self> {
        if name == NAMESPACE {
            return Some(Self::default());
        }
        let place = others.names().iter().position(|other| **other == *name)?;
        u8::try_from(place + 1).ok().map(Self)
    }
}
