//! Failures of the database, for simulations.

/// Failure of the database during an attempt to store something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be reached: nothing is stored.
    Away,
    /// It stores all, and the connection ends before that is known.
    ReportLost,
}
