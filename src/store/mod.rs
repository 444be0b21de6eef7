//! The database: one writer that commits in groups, and readers.
mod stub;
mod write;
pub use self::stub::*;

pub use self::stub::*;
pub use self::write::{DeliveredUpTo, NewMessage, NewUser, StoreError, TestFault, Write, Written, direct_key};
