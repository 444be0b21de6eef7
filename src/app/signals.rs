//! Signals of the operating system.
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Action that a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// On SIGTERM or SIGINT.
    ToStop,
    /// On SIGHUP.
    ToReload,
}

/// SIGTERM, SIGINT and SIGHUP.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::ToStop,
            _ = self.interrupt.recv() => Asked::ToStop,
            _ = self.hang_up.recv() => Asked::ToReload,
        }
    }

    pub(super) async fn stop_asked(&mut self) {
        while self.next().await != Asked::ToStop {}
    }
}
