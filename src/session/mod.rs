//! One client: its permissions, its dialects, its pending requests.
//!
//! [`Session`] is a value: texts, notices, shared events and the time go in; packets and messages to the broker come
//! out. [`Client`] puts it on an Engine.IO connection.
mod active;
mod answering;
mod client;
mod connecting;
mod console;
mod console_side;
mod credentials;
mod gate;
mod inputs;
mod lag;
mod leaving;
mod limits;
mod missed;
mod namespaces;
mod outflow;
mod pending;
mod ports;
mod proof;
mod requests;
mod rules;
mod showing;
mod state;
mod surroundings;
mod tapping;
#[cfg(test)]
mod tests;
mod turns;
mod waiting;

pub use self::client::{Client, Context, Recipients};
pub use self::limits::{Bucket, Limits, Rate};
pub use self::namespaces::CONSOLE;
pub use self::ports::{AtConsole, Broker, ConsoleAct};
pub use self::rules::{Rules, Verify};
pub use self::state::Session;
pub use self::surroundings::{Now, Surroundings};
