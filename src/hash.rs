//! Maps and sets of what is decided on, looked up for every message: with a faster hasher than the standard library's.
//!
//! Its seed is another one in each process, so that nobody can choose keys that collide; a simulation, whose runs must be the
//! same each time, gets one without.

/// Builder of the hasher.
#[cfg(not(feature = "internals"))]
type Hasher = hashbrown::DefaultHashBuilder;
/// Builder of the hasher, without a seed.
#[cfg(feature = "internals")]
type Hasher = foldhash::fast::FixedState;

/// A map.
pub(crate) type HashMap<K, V> = hashbrown::HashMap<K, V, Hasher>;
/// A set.
pub(crate) type HashSet<T> = hashbrown::HashSet<T, Hasher>;
