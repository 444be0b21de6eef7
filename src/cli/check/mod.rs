//! `parlance check`: finds out whether the server can run here, and advises if it cannot. Changes nothing.
mod database;
mod finding;
mod machine;
mod port;
mod run;
mod settings;

pub(super) use self::run::{CheckOptions, execute};
