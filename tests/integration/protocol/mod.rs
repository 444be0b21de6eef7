//! Engine.IO on the wire, with a real server.
mod client;
mod fanout;
mod heartbeat;
mod polling;
mod polling_limits;
mod server;
mod stopping;
mod upgrade;
mod websocket;
mod websocket_limits;
