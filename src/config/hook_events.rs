//! The setting that selects what the operator's hook is asked about.
use std::fmt;
use std::str::FromStr;

use super::kind::{items, join};
use super::word::HookEvent;

/// Kinds of requests that a hook is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HookEvents(u8);

impl HookEvents {
    /// None.
    pub const NONE: Self = Self(0);
    /// Messages that are sent.
    pub const SEND: Self = Self::NONE.with(HookEvent::Send);

    /// Returns whether the hook is asked about these.
    #[inline]
    pub const fn has(self, event: HookEvent) -> bool {
        self.0 & (1 << event as u8) != 0
    }

    const fn with(self, event: HookEvent) -> Self {
        Self(self.0 | (1 << event as u8))
    }
}

impl FromStr for HookEvents {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        items(text).try_fold(Self::NONE, |events, item| Ok(events.with(item.parse()?)))
    }
}

impl fmt::Display for HookEvents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<_> = HookEvent::ALL.into_iter().filter(|event| self.has(*event)).collect();
        formatter.write_str(&join(&named))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_in_any_order() {
        let events: HookEvents = "send, connect,send".parse().unwrap();
        assert_eq!((events.to_string().as_str(), events.has(HookEvent::Edit)), ("connect,send", false));
        assert!(HookEvents::SEND.has(HookEvent::Send) && !HookEvents::NONE.has(HookEvent::Send));
        assert!("sent".parse::<HookEvents>().unwrap_err().contains("known are connect, send, edit, delete, join, upload"));
    }
}
