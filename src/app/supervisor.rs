//! Notifications to the process supervisor (`sd_notify`; none if `NOTIFY_SOCKET` is unset).
use log::warn;
use sd_notify::NotifyState;

/// Reports that clients are served.
pub(super) fn ready() {
    notify(NotifyState::Ready);
}

/// Reports that the broker answered.
pub(super) fn alive() {
    notify(NotifyState::Watchdog);
}

/// Reports that the stop has begun.
pub(super) fn stopping() {
    notify(NotifyState::Stopping);
}

fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(cause:% = error; "could not notify the supervisor");
    }
}
