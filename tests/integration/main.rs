//! All tests from outside, in one binary.
#![cfg(test)]
#![expect(unreachable_pub, reason = "a binary of tests exports nothing")]
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
