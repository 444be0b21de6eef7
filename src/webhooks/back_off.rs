//! Pauses after failures.
use std::time::Duration;

/// Longest pause after the first failure.
const FIRST: Duration = Duration::from_millis(100);
/// Longest pause at all.
const LONGEST: Duration = Duration::from_secs(60);

/// Returns the pause after so many failures in a row: doubled by each, up to a minute. `chance`, of 0 to 1, takes up to
/// a half of it away, so that not all come back at the same time.
pub(super) fn pause_after(failures: u32, chance: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(LONGEST).mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_differ() {
        for (failures, chance, millis) in [
            (0, 0.0, 100),
            (1, 0.0, 100),
            (1, 1.0, 50),
            (2, 0.0, 200),
            (4, 0.5, 600),
            (10, 0.0, 51_200),
            (11, 0.0, 60_000),
            (u32::MAX, 0.0, 60_000),
            (u32::MAX, 1.0, 30_000),
        ] {
            assert_eq!(pause_after(failures, chance), Duration::from_millis(millis), "{failures} {chance}");
        }
    }
}
