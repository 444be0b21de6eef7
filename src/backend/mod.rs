//! The operator's own server: signed requests to it, each with a bounded answer.
//!
//! A request has the headers of Standard Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature`;
//! source: standardwebhooks.com, version 1.0.0), so any library of that specification verifies it.
mod endpoint;
mod signer;

pub(crate) use self::endpoint::{Endpoint, EndpointError};
