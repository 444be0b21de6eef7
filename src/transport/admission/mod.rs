//! Admission: settings, limits, and decisions on requests that open a session.
mod addresses;
mod node;
mod options;
mod request;

pub(super) use self::addresses::HttpPlace;
pub(super) use self::node::Node;
pub use self::options::Options;
pub(super) use self::request::{Asking, OpenError};
