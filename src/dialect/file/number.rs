//! Numbers of filters: integers as long as they fit, else floating point.
use std::cmp::Ordering;

/// A number.
#[derive(Debug, Clone, Copy)]
pub(super) enum Number {
    /// An integer.
    Integer(i64),
    /// Any other number, or one that is too large.
    Float(f64),
}

impl Number {
    /// Reads a number of JSON or of a filter.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(integer) if text != "-0" => Some(Self::Integer(integer)),
            _ => text.parse().ok().map(Self::Float),
        }
    }

    pub(super) fn as_float(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Float(float) => float,
        }
    }

    /// Returns it as an index of a list.
    pub(super) fn as_index(self) -> Option<i64> {
        match self {
            Self::Integer(integer) => Some(integer),
            Self::Float(float) if float.is_finite() => Some(float.floor() as i64),
            Self::Float(_) => None,
        }
    }

    /// Calculates with integers where that is exact, else with floating point.
    pub(super) fn calculate(
        self,
        other: Self,
        exact: impl FnOnce(i64, i64) -> Option<i64>,
        inexact: impl FnOnce(f64, f64) -> f64,
    ) -> Self {
        if let (Self::Integer(left), Self::Integer(right)) = (self, other)
            && let Some(result) = exact(left, right)
        {
            return Self::Integer(result);
        }
        Self::Float(inexact(self.as_float(), other.as_float()))
    }

    /// Returns the largest integer that is not greater.
    pub(super) fn floor(self) -> Self {
        match self {
            Self::Float(float) if float.abs() < 9e18 => Self::Integer(float.floor() as i64),
            number => number,
        }
    }

    pub(super) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => left.cmp(&right),
            (left, right) => left.as_float().total_cmp(&right.as_float()),
        }
    }
}
