//! Figures counted without locks: gauges, distributions, and the load of actors.
mod actor;
mod distribution;
mod gauge;
mod mailbox;

pub use self::actor::{ActorStats, Meter, Metered, Slowest};
pub use self::distribution::{Distribution, Histogram};
pub use self::gauge::Gauge;
pub use self::mailbox::Counted;
