//! The command line: `parlance [serve]`, and tools for operators. Each command has a file.
mod admin_password;
mod arguments;
mod backup;
mod check;
mod completions;
mod config;
mod database;
mod dialect;
mod error;
mod figures;
mod following;
mod healthz;
mod migrate;
mod output;
mod remote;
mod run;
mod send;
mod stats;
mod tail;
mod token;
mod transfer;
mod user;
mod webhooks;

pub use self::run::run;
