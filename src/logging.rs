//! The log: lines on stderr with time, level and the module that speaks.
use env_logger::{Builder, TimestampPrecision};

/// Starts the log with the filter of `RUST_LOG`. A second call changes nothing.
pub fn start(filter: &str) {
    let mut builder = Builder::new();
    builder.parse_filters(filter).format_timestamp(Some(TimestampPrecision::Millis));
    // Fails only where a log was started before, as by another test.
    let _ = builder.try_init();
}
