//! Parlance: one real-time chat server for five Socket.IO front ends.
//!
//! A message's way, and with it the order of the layers, lowest first:
//!
//! ```text
//! bytes → transport → engineio → socketio → dialect → Command → ChatServer ⇢ store
//! bytes ← transport ← engineio ← socketio ← dialect ← Reply / Event ←┘
//! ```
pub mod auth;
pub mod chat;
pub mod engineio;
pub mod model;
pub mod socketio;
pub mod transport;
