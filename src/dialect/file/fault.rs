//! Faults in the texts of filters.

/// A fault in the text of a filter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Number of bytes before the place.
    pub at: usize,
    /// Description.
    pub text: String,
}
