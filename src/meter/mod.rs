//! Figures that are counted without a lock: gauges, distributions, and how busy actors are.
mod actor;
mod distribution;
mod gauge;
mod mailbox;

pub use self::actor::{ActorStats, Meter, Metered, Slowest};
pub use self::distribution::{Distribution, Histogram};
pub use self::gauge::Gauge;
pub use self::mailbox::Counted;
