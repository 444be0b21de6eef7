//! The database: one writer that commits in groups, and readers.
mod write;

pub use self::write::{DeliveredUpTo, NewMessage, NewUser, StoreError, TestFault, Write, Written, direct_key};
