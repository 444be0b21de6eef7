//! Requests from the Admin UI.
use serde_json::Value;

use crate::chat::{Emit, EmitTo, Emitted};
use crate::session::CONSOLE;
use crate::socketio::{Args, is_reserved};

/// Longest name of a room.
const ROOM_MAX: usize = 250;
/// Longest name of an event.
const NAME_MAX: usize = 200;

/// A valid request.
#[derive(Debug)]
pub(super) enum Asked {
    /// Emit an event to sockets of the chat.
    Emit(Emit),
    /// Disconnect sockets of the chat: those in a room, or all.
    Disconnect(Option<Box<str>>),
    /// Disconnect sockets of this namespace: one, or all.
    DisconnectHere {
        /// The id of a socket.
        room: Option<Box<str>>,
        /// Set if their connections are closed, too.
        closes: bool,
    },
}

impl Asked {
    /// Parses a request; `None` for an unknown one, which is ignored, since the UI expects no answers.
    pub(super) fn of(name: &str, args: &Args) -> Option<Self> {
        if !args.attachments().is_empty() {
            return None;
        }
        let namespace: String = args.parse(0).ok()?;
        match (name, namespace.as_str()) {
            ("emit", "/") => {
                let event: String = args.parse(2).ok()?;
                if event.is_empty() || event.chars().count() > NAME_MAX || is_reserved(&event) {
                    return None;
                }
                let to = room(args, 1)?.map_or(Some(EmitTo::Everyone), |room| EmitTo::room_of_administrators(&room))?;
                let said: Vec<&str> = (3..args.len()).filter_map(|place| args.get(place)).map(|arg| arg.get()).collect();
                let data = (!said.is_empty()).then(|| said.join(",").into());
                Some(Self::Emit(Emit { to, event: Emitted { name: event.into(), data } }))
            }
            ("_disconnect", "/") => {
                let _: bool = args.parse(1).ok()?;
                Some(Self::Disconnect(room(args, 2)?))
            }
            ("_disconnect", CONSOLE) => Some(Self::DisconnectHere { room: room(args, 2)?, closes: args.parse(1).ok()? }),
            _ => None,
        }
    }

    /// Returns the target: a room, or `all`.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Emit(emit) => emit.to.to_string(),
            Self::Disconnect(room) | Self::DisconnectHere { room, .. } => room.as_deref().unwrap_or("all").to_owned(),
        }
    }

    /// Returns the name used in the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Emit(_) => "emit",
            Self::Disconnect(_) | Self::DisconnectHere { .. } => "disconnect",
        }
    }
}

/// Parses an argument that names a room; `Some(None)` means all. `None` if it names nothing.
#[expect(clippy::option_option, reason = "no room is another thing than no sense")]
fn room(args: &Args, place: usize) -> Option<Option<Box<str>>> {
    let raw = match args.get(place) {
        Some(raw) => raw.get(),
        None => return Some(None),
    };
    match serde_json::from_str(raw).ok()? {
        Value::Null => Some(None),
        Value::String(room) if room.is_empty() => Some(None),
        Value::String(room) if room.len() <= ROOM_MAX => Some(Some(room.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RoomId, SocketId, UserId};
    use crate::socketio::{Client, Incoming};

    fn asked(packet: &str) -> Option<Asked> {
        let mut client = Client::new();
        client.on_text("0/admin,").unwrap();
        client.join(CONSOLE);
        let Some(Incoming::Event(event)) = client.on_text(packet).unwrap() else { panic!("{packet}") };
        Asked::of(&event.name, &event.args)
    }

    #[test]
    fn what_the_ui_asks_for() {
        let socket = "abcdefghijklmnopqrst";
        let one = asked(&format!(r#"2/admin,["_disconnect","/",false,"{socket}"]"#));
        assert!(matches!(one, Some(Asked::Disconnect(Some(room))) if *room == *socket));
        assert!(matches!(asked(r#"2/admin,["_disconnect","/",true]"#), Some(Asked::Disconnect(None))));
        let here = asked(r#"2/admin,["_disconnect","/admin",true,"x"]"#);
        assert!(matches!(here, Some(Asked::DisconnectHere { room: Some(room), closes: true }) if *room == *"x"));
        for (packet, to, data) in [
            (
                r#"2/admin,["emit","/","room:7","news",1.0,{"b":2}]"#,
                EmitTo::Room(RoomId::parse("7").unwrap()),
                Some(r#"1.0,{"b":2}"#),
            ),
            (r#"2/admin,["emit","/",null,"news"]"#, EmitTo::Everyone, None),
            (r#"2/admin,["emit","/","common_chat","news"]"#, EmitTo::CommonChat, None),
            (r#"2/admin,["emit","/","abcdefghijklmnopqrst","news"]"#, EmitTo::Socket(SocketId::parse(socket).unwrap()), None),
            (r#"2/admin,["emit","/","user:ann","news"]"#, EmitTo::User(UserId::parse("ann").unwrap()), None),
        ] {
            let Some(Asked::Emit(emit)) = asked(packet) else { panic!("{packet}") };
            assert_eq!((emit.to, emit.event.name.as_ref(), emit.event.data.as_deref()), (to, "news", data), "{packet}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_none() {
        let huge = format!(r#"2/admin,["_disconnect","/",false,"{}"]"#, "x".repeat(ROOM_MAX + 1));
        for packet in [
            huge.as_str(),
            r#"2/admin,["_disconnect"]"#,
            r#"2/admin,["_disconnect","/nope",false]"#,
            r#"2/admin,["_disconnect",7,false]"#,
            r#"2/admin,["_disconnect","/","yes"]"#,
            r#"2/admin,["_disconnect","/",false,["a"]]"#,
            r#"2/admin,["_disconnect","/",false,7]"#,
            r#"2/admin,["emit","/",null,"connect_error"]"#,
            r#"2/admin,["emit","/",null,""]"#,
            r#"2/admin,["emit","/",null,{}]"#,
            r#"2/admin,["emit","/","no such kind of room","x"]"#,
            r#"2/admin,["emit","/admin",null,"x"]"#,
            r#"2/admin,["join","/","room:7"]"#,
            r#"2/admin,["whatever"]"#,
        ] {
            assert!(asked(packet).is_none(), "{packet}");
        }
    }
}
