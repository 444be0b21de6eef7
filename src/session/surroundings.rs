//! Surroundings of a session at each call: the time, the rules, its connection and the broker.
use std::time::Instant;

use super::ports::Broker;
use super::rules::Rules;
use crate::engineio::Output;
use crate::model::Timestamp;

/// A moment, by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For lengths of time.
    pub instant: Instant,
    /// For what tokens say.
    pub wall: Timestamp,
}

/// All that a session works with during one call.
pub struct Surroundings<'a> {
    /// The rules that hold for all sessions.
    pub rules: &'a Rules,
    /// The connection.
    pub wire: &'a mut dyn Output,
    /// The broker.
    pub broker: &'a mut dyn Broker,
}
