//! The current log filter, which administrators can switch while the server runs.
//!
//! A line that no target wants is dropped by `log`'s own level, one relaxed load, so switchability costs nothing.
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use log::{Metadata, Record};

use crate::config::LogFilter;
use crate::model::Timestamp;

/// Read for each line that may be written; never locked.
static FILTER: LazyLock<ArcSwap<LogFilter>> = LazyLock::new(ArcSwap::default);

/// Locked only while switching.
static STATE: LazyLock<Mutex<State>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct State {
    configured: LogFilter,
    changes: u64,
    until: Option<Timestamp>,
}

/// Handle of one switch: it can be undone, unless another switch followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change(u64);

/// The filter in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switched {
    /// The current filter.
    pub filter: String,
    /// The configured filter, which comes back when the switch ends.
    pub configured: String,
    /// Time at which it ends by itself.
    pub until: Option<Timestamp>,
}

/// Returns the filter in force.
pub fn switched() -> Switched {
    let state = state();
    Switched { filter: FILTER.load().to_string(), configured: state.configured.to_string(), until: state.until }
}

/// Puts another filter in force; `until` is when the caller will call [`restore`].
pub fn switch(filter: LogFilter, until: Option<Timestamp>) -> Change {
    let mut state = state();
    state.changes += 1;
    state.until = until;
    put_in_force(filter);
    Change(state.changes)
}

/// Undoes a switch; returns whether it was still in force.
pub fn restore(change: Change) -> bool {
    let mut state = state();
    let is_last = Change(state.changes) == change;
    if is_last {
        state.until = None;
        put_in_force(state.configured.clone());
    }
    is_last
}

/// Sets the filter of the start.
pub(super) fn configure(filter: LogFilter) {
    let mut state = state();
    state.configured = filter.clone();
    put_in_force(filter);
}

pub(super) fn enables(metadata: &Metadata<'_>) -> bool {
    FILTER.load().enables(metadata)
}

pub(super) fn passes(record: &Record<'_>) -> bool {
    FILTER.load().passes(record)
}

fn put_in_force(filter: LogFilter) {
    let level = filter.max_level();
    FILTER.store(filter.into());
    log::set_max_level(level);
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use log::{Level, LevelFilter};

    use super::*;

    #[test]
    fn a_switch_holds_until_it_is_taken_back_and_an_older_one_does_not_take_back_a_newer_one() {
        let filter = |text: &str| text.parse::<LogFilter>().unwrap();
        let debugs_chat = || enables(&Metadata::builder().target("parlance::chat").level(Level::Debug).build());
        configure(filter("warn"));
        assert!(!debugs_chat());
        let first = switch(filter("warn,parlance::chat=debug"), Some(Timestamp::from_millis(1)));
        assert!(debugs_chat());
        assert_eq!(log::max_level(), LevelFilter::Debug);
        let expected = Switched {
            filter: "warn,parlance::chat=debug".to_owned(),
            configured: "warn".to_owned(),
            until: Some(Timestamp::from_millis(1)),
        };
        assert_eq!(switched(), expected);
        let second = switch(filter("parlance::chat=trace"), None);
        assert!(!restore(first) && debugs_chat());
        assert!(restore(second) && !debugs_chat());
        assert_eq!((log::max_level(), switched().until), (LevelFilter::Warn, None));
        configure(LogFilter::default());
    }
}
