//! Parlance: one real-time chat server for five Socket.IO front ends.
//!
//! A message's way, and with it the order of the layers, lowest first:
//!
//! ```text
//! bytes → transport → engineio → socketio → dialect → Command → ChatServer ⇢ store, ai
//! bytes ← transport ← engineio ← socketio ← dialect ← Reply / Event ←┘
//! ```
pub mod admin;
mod ai;
pub mod api;
pub mod app;
pub mod auth;
mod backend;
pub mod chat;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dialect;
pub mod engineio;
mod env;
pub mod feed;
mod hash;
mod hooks;
pub mod http;
pub mod logging;
pub mod meter;
pub mod model;
pub mod schema;
pub mod session;
pub mod socketio;
pub mod store;
pub mod transport;
pub mod web;
mod webchat;
pub mod webhooks;
