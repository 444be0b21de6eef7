//! The HTTP routes, called over the network.
mod accounts;
mod admin;
mod connection;
mod conversations;
mod files;
mod gate;
mod market;
mod probes;
mod server;
mod users;
