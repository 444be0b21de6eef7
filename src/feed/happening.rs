//! What a watcher is told.
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::engineio::{CloseReason, ConnectionKey, Peer};
use crate::model::{Offset, Profile, SocketId, Timestamp, UserId};

/// What is longer is not kept for watchers: what waits for all of them together is bounded.
const MAX_BYTES: usize = 8 * 1024;

/// Something that happened to a socket.
#[derive(Debug, Clone)]
pub struct Happening {
    /// When.
    pub at: Timestamp,
    /// To which socket.
    pub socket: SocketId,
    /// Whose that is.
    pub user: UserId,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum What {
    /// It came.
    Connected(Box<SocketView>),
    /// It moved from polling to a WebSocket.
    Upgraded,
    /// It went, and left these rooms.
    Disconnected {
        /// Why.
        reason: CloseReason,
        /// Where it was.
        rooms: Vec<Box<str>>,
    },
    /// It entered a room.
    Joined {
        /// Its name.
        room: Box<str>,
    },
    /// It left a room.
    Left {
        /// Its name.
        room: Box<str>,
    },
    /// Its client sent an event.
    Received {
        /// The event's name.
        event: Box<str>,
        /// What came after the name.
        args: Args,
        /// The numbers of the dialects that it was understood in, as bits.
        dialects: u8,
    },
    /// Its client was sent an event.
    Sent {
        /// Its packet.
        packet: Packet,
        /// The numbers of the dialects that the client hears, as bits.
        dialects: u8,
    },
}

/// The arguments of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Args {
    /// As JSON, joined by commas.
    Json(Bytes),
    /// So many bytes, which is too many to be kept.
    TooLong(usize),
}

impl Args {
    /// These, unless they are too long.
    pub fn new(json: Bytes) -> Self {
        if json.len() > MAX_BYTES { Self::TooLong(json.len()) } else { Self::Json(json) }
    }
}

/// The packet of an event that a client was sent. It is taken apart by those who look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// `42["name",…]`
    Whole(Bytes),
    /// One that is too long to be kept.
    TooLong {
        /// What stands between the first quotes.
        event: Box<str>,
        /// Its length.
        bytes: usize,
    },
}

impl Packet {
    /// This one, unless it is too long.
    pub fn new(text: Bytes) -> Self {
        if text.len() <= MAX_BYTES {
            return Self::Whole(text);
        }
        let event = text.split(|byte| *byte == b'"').nth(1).unwrap_or_default();
        Self::TooLong { event: String::from_utf8_lossy(event).into(), bytes: text.len() }
    }

    /// The event's name and arguments, less its place in the order.
    pub fn event(&self) -> Option<(Box<str>, Args)> {
        let text = match self {
            Self::Whole(text) => std::str::from_utf8(text).ok()?.strip_prefix("42")?,
            Self::TooLong { event, bytes } => return Some((event.clone(), Args::TooLong(*bytes))),
        };
        let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        let (name, args) = items.split_first()?;
        let args = match args.split_last() {
            Some((last, args)) if is_offset(last) => args,
            _ => args,
        };
        let json = args.iter().map(|arg| arg.get()).collect::<Vec<_>>().join(",");
        Some((serde_json::from_str(name.get()).ok()?, Args::Json(json.into())))
    }
}

fn is_offset(argument: &RawValue) -> bool {
    serde_json::from_str::<&str>(argument.get()).is_ok_and(|text| Offset::parse(text).is_some())
}

/// A socket, as watchers see it.
#[derive(Debug, Clone)]
pub struct SocketView {
    /// Its public id.
    pub socket: SocketId,
    /// Whose it is.
    pub user: Arc<Profile>,
    /// The connection that it stands on.
    pub connection: ConnectionKey,
    /// Its client's end.
    pub peer: Peer,
    /// Since when it is there.
    pub connected_at: Timestamp,
    /// The rooms in which it is, but for its own.
    pub rooms: Vec<Box<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> Option<(String, String)> {
        match Packet::new(text.to_owned().into()).event()? {
            (name, Args::Json(json)) => Some((name.into(), String::from_utf8(json.to_vec()).unwrap())),
            (name, Args::TooLong(bytes)) => Some((name.into(), bytes.to_string())),
        }
    }

    #[test]
    fn a_packet_is_taken_apart_without_its_place_in_the_order() {
        for (packet, name, args) in [
            (r#"42["q",1,{"a":[2]}]"#, "q", r#"1,{"a":[2]}"#),
            (r#"42["q",{"a":1},"c1.2.3.40"]"#, "q", r#"{"a":1}"#),
            (r#"42["q","c1.2.3.40"]"#, "q", ""),
            (r#"42["q","text"]"#, "q", r#""text""#),
            (r#"42["a\"b"]"#, "a\"b", ""),
        ] {
            assert_eq!(event(packet), Some((name.to_owned(), args.to_owned())), "{packet}");
        }
        assert_eq!(event("42[7]"), None);
        assert_eq!(event("430[]"), None);
    }

    #[test]
    fn of_a_long_one_its_name_and_length_are_kept() {
        let long = format!(r#"42["q","{}"]"#, "x".repeat(MAX_BYTES));
        assert_eq!(event(&long), Some(("q".to_owned(), long.len().to_string())));
        assert_eq!(Args::new(long.clone().into()), Args::TooLong(long.len()));
    }
}
