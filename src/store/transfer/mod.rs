//! Export of a whole database as JSON lines, and import into a database of either kind.
//!
//! ```text
//! {"parlance":{"format":1,"id":"019c…","version":"0.1.0","source":"sqlite","exportedAt":"2026-01-01T12:00:00.000Z"}}
//! {"users":{"id":"ann","username":"ann",…}}
//! {"messages":{"id":"019b…","place":"…","seq":7,…}}
//! {"end":{"users":{"count":1,"sha256":"…"},"messages":{"count":1,"sha256":"…"},…}}
//! ```
//!
//! Each row is a line; tables follow one another, each sorted by its key in byte order, which both databases share. So
//! the checksum of a table, SHA-256 over its lines, is the same in both.
mod export;
mod failure;
mod import;
mod lines;
mod sums;
mod tables;

pub use self::export::{compare, export};
pub use self::failure::TransferError;
pub use self::import::{Import, import};
pub use self::lines::Step;
pub use self::sums::{Sum, Sums};
