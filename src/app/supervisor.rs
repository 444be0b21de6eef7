//! Notices to whoever watches over the process (`sd_notify`; nothing, where there is no `NOTIFY_SOCKET`).
use log::warn;
use sd_notify::NotifyState;

/// Clients are served.
pub(super) fn ready() {
    tell(NotifyState::Ready);
}

/// The broker has answered.
pub(super) fn alive() {
    tell(NotifyState::Watchdog);
}

/// The end has begun.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!(cause:% = error; "the supervisor could not be told");
    }
}
