//! The message broker: who is here, who talks where, who is told what.
mod broadcast;
mod command;
mod error;
mod event;
mod ports;
mod reply;

pub use self::broadcast::{Broadcast, ENCODINGS};
pub use self::command::{Command, Draft};
pub use self::error::ChatError;
pub use self::event::{Event, PresenceChange};
pub use self::ports::{
    Admission, Ask, CatchUpDrained, Connect, Disconnect, Notice, RefusedConnect, RegisterWorker, Request, ToWorker, Words,
    WordsLearned,
};
pub use self::reply::Reply;
