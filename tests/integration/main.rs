//! All tests from outside, in one binary.
#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes only functions marked `#[test]` for tests, not what they call"
)]
mod api;
mod app;
mod chat;
mod cli;
mod documents;
mod interfaces;
mod layering;
mod protocol;
mod store;
mod support;
