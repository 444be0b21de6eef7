//! Events as watchers receive them.
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::incident::Incident;
use crate::engineio::{CloseReason, ConnectionKey, Peer};
use crate::model::{Offset, Profile, SocketId, Timestamp, UserId};

/// Longest event kept for watchers, in bytes: bounds the memory of the shared buffer.
const MAX_BYTES: usize = 8 * 1024;

/// One thing that happened: to a socket, or between this server and the operator's own.
#[derive(Debug, Clone)]
pub struct FeedEvent {
    /// Time of the event.
    pub at: Timestamp,
    /// The socket; some incidents have none.
    pub socket: Option<SocketId>,
    /// The user; some incidents have none.
    pub user: Option<UserId>,
    /// The event itself.
    pub kind: FeedEventKind,
}

impl FeedEvent {
    /// Makes the event of an incident that happens now.
    pub(crate) fn incident(socket: Option<SocketId>, user: Option<UserId>, incident: Incident) -> Self {
        Self { at: Timestamp::now(), socket, user, kind: FeedEventKind::Incident(incident) }
    }
}

/// Kind of event.
#[derive(Debug, Clone)]
pub enum FeedEventKind {
    /// It connected.
    Connected(Box<SocketView>),
    /// It moved from polling to a WebSocket.
    Upgraded,
    /// It disconnected, and left these rooms.
    Disconnected {
        /// Reason of the end.
        reason: CloseReason,
        /// Rooms that it was in.
        rooms: Vec<Box<str>>,
    },
    /// It joined a room.
    Joined {
        /// Name of the room.
        room: Box<str>,
    },
    /// It left a room.
    Left {
        /// Name of the room.
        room: Box<str>,
    },
    /// Its client sent an event.
    Received {
        /// Name of the event.
        event: Box<str>,
        /// Arguments after the name.
        args: Args,
        /// Dialects in which the event was understood, as a bit set of their numbers.
        dialects: u64,
    },
    /// An event was sent to its client.
    Sent {
        /// The packet sent.
        packet: Packet,
        /// Dialects in which the client receives, as a bit set of their numbers.
        dialects: u64,
    },
    /// The operator's own server refused or failed.
    Incident(Incident),
}

/// The arguments of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Args {
    /// JSON values, joined by commas.
    Json(Bytes),
    /// Too long to keep; the length in bytes.
    TooLong(usize),
}

impl Args {
    /// Returns these arguments, unless they are too long to keep.
    pub fn new(json: Bytes) -> Self {
        if json.len() > MAX_BYTES { Self::TooLong(json.len()) } else { Self::Json(json) }
    }
}

/// The packet of an event sent to a client. It is parsed by its readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// `42["name",…]`
    Whole(Bytes),
    /// A packet too long to keep.
    TooLong {
        /// Name of the event: the text between the first quotes.
        event: Box<str>,
        /// Its length in bytes.
        bytes: usize,
    },
}

impl Packet {
    /// Returns this packet, unless it is too long to keep.
    pub fn new(text: Bytes) -> Self {
        if text.len() <= MAX_BYTES {
            return Self::Whole(text);
        }
        let event = text.split(|byte| *byte == b'"').nth(1).unwrap_or_default();
        Self::TooLong { event: String::from_utf8_lossy(event).into(), bytes: text.len() }
    }

    /// Returns the event's name and arguments, without the trailing offset.
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

/// A socket as watchers see it.
#[derive(Debug, Clone)]
pub struct SocketView {
    /// Its public id.
    pub socket: SocketId,
    /// Its user.
    pub user: Arc<Profile>,
    /// The connection that carries it.
    pub connection: ConnectionKey,
    /// Its client's end.
    pub peer: Peer,
    /// Time of the connect.
    pub connected_at: Timestamp,
    /// Rooms that it is in, apart from its own.
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
