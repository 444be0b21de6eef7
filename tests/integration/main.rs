//! Integration tests: what needs more than one file of `src` at once.
#![cfg(test)]
mod layering;
