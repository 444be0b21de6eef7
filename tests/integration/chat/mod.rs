//! The broker's actor, driven directly: real store, a clock and ids that the tests give.
mod administering;
mod assistant;
mod bounds;
mod broker;
mod conversations;
mod delivered;
mod emitting;
mod naming;
mod notifications;
mod own_lists;
mod presence;
mod recovery;
mod recovery_of_changes;
mod recovery_of_missed;
mod sending;
mod syncing;
mod titles;
