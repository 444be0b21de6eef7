//! Waiting for an unreachable database.
use std::thread;
use std::time::{Duration, Instant};

use log::warn;

use super::failure::OpenError;

const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Retries for `retry_for` while the database is unavailable. Blocks.
pub(super) fn patiently<T>(
    retry_for: Duration,
    longest_pause: Duration,
    mut attempt: impl FnMut() -> Result<T, OpenError>,
) -> Result<T, OpenError> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let cause = match attempt() {
            Ok(opened) => return Ok(opened),
            Err(OpenError::Unavailable(cause)) => cause,
            Err(unusable) => return Err(unusable),
        };
        if begun.elapsed() + pause > retry_for {
            return Err(OpenError::Unavailable(cause));
        }
        if pause == FIRST_PAUSE {
            warn!(cause; "waiting for the database");
        }
        thread::sleep(pause);
        pause = (pause * 2).min(longest_pause);
    }
}
