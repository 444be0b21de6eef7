//! One client: its permissions, its dialects, its pending requests.
//!
//! [`Session`] is a value: texts, notices, shared events and the time go in; packets and messages to the broker come
//! out. [`Client`] puts it on an Engine.IO connection.
mod active;
mod answering;
mod call_context;
mod client;
mod confirmation;
mod connecting;
mod console;
mod console_side;
mod credentials;
mod disconnect;
mod guests;
mod hold_queue;
mod identity;
mod inputs;
mod lag;
mod limits;
mod missed;
mod namespaces;
mod outflow;
mod pending;
mod ports;
mod publishing;
mod renaming;
mod request_queue;
mod requests;
mod rules;
mod showing;
mod state;
#[cfg(test)]
mod tests;
mod waiting;

pub use self::call_context::{CallContext, Now};
pub use self::client::{Client, Context, Recipients};
pub use self::guests::{Guests, IssueToken, MayCome};
pub use self::limits::{Bucket, Limits, Rate};
pub use self::namespaces::CONSOLE;
pub use self::ports::{AskConnect, AtConsole, Broker, ConsoleAct, ForwardEvent, KeysWanted};
pub use self::rules::{Rules, Verify};
pub use self::state::Session;
