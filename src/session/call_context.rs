//! Context of a session during a call: time, rules, connection and broker.
use std::time::Instant;

use super::ports::Broker;
use super::rules::Rules;
use crate::engineio::Output;
use crate::model::Timestamp;

/// A moment on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For durations.
    pub instant: Instant,
    /// For the times in tokens.
    pub wall: Timestamp,
}

/// Everything that a session uses during one call.
pub struct CallContext<'a> {
    /// The rules of all sessions.
    pub rules: &'a Rules,
    /// The connection.
    pub output: &'a mut dyn Output,
    /// The broker.
    pub broker: &'a mut dyn Broker,
}
