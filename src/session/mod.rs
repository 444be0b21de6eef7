//! One client: what it may, what it speaks, what it waits for.
//!
//! [`Session`] is a value: texts, notices, shared events and the time go in; packets and words for the broker come out.
//! [`Client`] puts it on an Engine.IO connection.
mod active;
mod answering;
mod client;
mod console;
mod credentials;
mod gate;
mod lag;
mod limits;
mod missed;
mod outflow;
mod pending;
mod proof;
mod rules;
mod showing;
mod state;
mod tapping;
#[cfg(test)]
mod tests;
mod turns;
mod waiting;

pub use self::client::{Client, Context, Recipients};
pub use self::console::{AtConsole, CONSOLE, ConsoleAct};
pub use self::limits::{Bucket, Limits, Rate};
pub use self::rules::{Rules, Verify};
pub use self::state::{Broker, Now, Session, Surroundings};
