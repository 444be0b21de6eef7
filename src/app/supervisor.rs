//! Notifications to the process supervisor (`sd_notify`; none if `NOTIFY_SOCKET` is unset).
use log::warn;
use sd_notify::NotifyState;

/// Reports that clients are served.
pub(super) fn ready() {
    tell(NotifyState::Ready);
}

/// Reports that the broker answered.
pub(super) fn alive() {
    tell(NotifyState::Watchdog);
}

/// Reports that the stop has begun.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(cause:% = error; "could not notify the supervisor");
    }
}
