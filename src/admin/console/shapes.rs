//! Packets for the Admin UI, in its vocabulary.
use serde_json::{Value, json};

use crate::admin::showing::{event_of, values};
use crate::config::AdminUiMode;
use crate::engineio::{ConnectionKey, Peer};
use crate::feed::{FeedEvent, FeedEventKind, SocketView};
use crate::model::{SocketId, Timestamp};
use crate::session::CONSOLE;
use crate::socketio::encode_event;

/// The namespace of the chat.
const CHAT: &str = "/";

/// Encodes an event.
pub(super) fn packet(name: &str, args: &[Value]) -> String {
    let args: Vec<String> = args.iter().map(Value::to_string).collect();
    encode_event(CONSOLE, name, &args.join(","))
}

/// The features of the UI that are enabled.
pub(super) fn config(mode: AdminUiMode) -> String {
    let mut features = vec!["EMIT", "DISCONNECT", "MDISCONNECT", "AGGREGATED_EVENTS"];
    if mode == AdminUiMode::Development {
        features.push("ALL_EVENTS");
    }
    packet("config", &[json!({"supportedFeatures": features})])
}

/// A socket of the chat.
pub(super) fn chat_socket(view: &SocketView, path: &str) -> Value {
    let SocketView { socket, user, connection, peer, connected_at, rooms } = view;
    let data = json!({"user": user.id, "username": user.username});
    let rooms = std::iter::once(json!(socket)).chain(rooms.iter().map(|room| json!(room))).collect();
    socket_object(CHAT, socket, *connection, *peer, *connected_at, path, data, rooms)
}

/// A socket of this namespace.
pub(super) fn console_socket(socket: &SocketId, connection: ConnectionKey, peer: Peer, since: Timestamp, path: &str) -> Value {
    socket_object(CONSOLE, socket, connection, peer, since, path, json!({}), vec![json!(socket)])
}

#[expect(clippy::too_many_arguments, reason = "each is a field of its own")]
fn socket_object(
    namespace: &str,
    socket: &SocketId,
    connection: ConnectionKey,
    peer: Peer,
    since: Timestamp,
    path: &str,
    data: Value,
    rooms: Vec<Value>,
) -> Value {
    let Peer { address, secure, transport } = peer;
    json!({
        "id": socket,
        "clientId": client_id(connection),
        "transport": transport.as_str(),
        "nsp": namespace,
        "data": data,
        "handshake": {
            "address": address.map_or_else(String::new, |address| address.to_string()),
            // Neither headers nor query are kept: they may hold credentials.
            "headers": {},
            "query": {},
            "issued": since.as_millis(),
            "secure": secure,
            "time": since,
            "url": format!("{path}/"),
            "xdomain": false,
        },
        "rooms": rooms,
    })
}

/// Returns an id that groups the sockets of one connection; the Engine.IO session id is secret.
fn client_id(ConnectionKey { worker, slot }: ConnectionKey) -> String {
    format!("{worker}-{}-{}", slot.index, slot.generation)
}

/// A socket connected; in the order that the UI relies on, its own room comes first.
pub(super) fn came(socket: &Value, at: Timestamp) -> [String; 2] {
    let (namespace, id) = (socket["nsp"].clone(), socket["id"].clone());
    [packet("room_joined", &[namespace, id.clone(), id, json!(at)]), packet("socket_connected", &[socket.clone(), json!(at)])]
}

/// A socket disconnected, followed by the rooms that it left.
pub(super) fn went(namespace: &str, id: &SocketId, reason: &str, rooms: &[Box<str>], at: Timestamp) -> Vec<String> {
    let own = id.to_string();
    let rooms = std::iter::once(own.as_str()).chain(rooms.iter().map(|room| &**room));
    let left = rooms.map(|room| packet("room_left", &[json!(namespace), json!(room), json!(id), json!(at)]));
    std::iter::once(packet("socket_disconnected", &[json!(namespace), json!(id), json!(reason), json!(at)])).chain(left).collect()
}

/// Encodes an event of the feed.
pub(super) fn happened(feed_event: &FeedEvent, path: &str) -> Vec<String> {
    let FeedEvent { at, socket, user: _, kind } = feed_event;
    // Of incidents the UI has no notion.
    let Some(socket) = socket else { return Vec::new() };
    let one = |name: &str, more: Value| vec![packet(name, &[json!(CHAT), more, json!(socket), json!(at)])];
    match kind {
        FeedEventKind::Connected(view) => came(&chat_socket(view, path), *at).into(),
        FeedEventKind::Upgraded => {
            vec![packet("socket_updated", &[json!({"id": socket, "nsp": CHAT, "transport": "websocket"})])]
        }
        FeedEventKind::Disconnected { reason, rooms } => went(CHAT, socket, reason.as_str(), rooms, *at),
        FeedEventKind::Joined { room } => one("room_joined", json!(room)),
        FeedEventKind::Left { room } => one("room_left", json!(room)),
        FeedEventKind::Received { .. } => event("event_received", feed_event),
        FeedEventKind::Sent { .. } => event("event_sent", feed_event),
        FeedEventKind::Incident(_) => Vec::new(),
    }
}

fn event(name: &str, FeedEvent { at, socket, user: _, kind }: &FeedEvent) -> Vec<String> {
    let Some(event) = event_of(kind) else { return Vec::new() };
    let said: Vec<Value> = std::iter::once(json!(event.name)).chain(values(&event.args)).collect();
    vec![packet(name, &[json!(CHAT), json!(socket), json!(said), json!(at)])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engineio::CloseReason;
    use crate::feed::{Args, Packet};
    use crate::model::UserId;

    fn feed_event(kind: FeedEventKind) -> FeedEvent {
        let socket = SocketId::parse("abcdefghijklmnopqrst").unwrap();
        FeedEvent { at: Timestamp::from_millis(1_767_225_600_123), socket: Some(socket), user: UserId::parse("ann").ok(), kind }
    }

    fn shown(kind: FeedEventKind) -> Vec<String> {
        happened(&feed_event(kind), "/socket.io")
    }

    #[test]
    fn events_are_encoded_as_the_ui_reads_them() {
        let time = "\"2026-01-01T00:00:00.123Z\"";
        let socket = "\"abcdefghijklmnopqrst\"";
        let sent = Packet::new(r#"42["q",{"token":"t"},"c1.2.3.40"]"#.into());
        for (kind, expected) in [
            (
                FeedEventKind::Joined { room: "room:7".into() },
                vec![format!(r#"42/admin,["room_joined","/","room:7",{socket},{time}]"#)],
            ),
            (
                FeedEventKind::Left { room: "room:7".into() },
                vec![format!(r#"42/admin,["room_left","/","room:7",{socket},{time}]"#)],
            ),
            (
                FeedEventKind::Received { event: "x".into(), args: Args::Json("1,[2]".into()), dialects: 0 },
                vec![format!(r#"42/admin,["event_received","/",{socket},["x",1,[2]],{time}]"#)],
            ),
            (
                FeedEventKind::Sent { packet: sent, dialects: 0 },
                vec![format!(r#"42/admin,["event_sent","/",{socket},["q",{{"token":"(hidden)"}}],{time}]"#)],
            ),
            (
                FeedEventKind::Disconnected { reason: CloseReason::PingTimeout, rooms: vec!["user:ann".into()] },
                vec![
                    format!(r#"42/admin,["socket_disconnected","/",{socket},"ping timeout",{time}]"#),
                    format!(r#"42/admin,["room_left","/",{socket},{socket},{time}]"#),
                    format!(r#"42/admin,["room_left","/","user:ann",{socket},{time}]"#),
                ],
            ),
        ] {
            assert_eq!(shown(kind), expected);
        }
        assert_eq!(shown(FeedEventKind::Upgraded).len(), 1);
    }

    #[test]
    fn production_has_no_events() {
        assert!(config(AdminUiMode::Development).contains("ALL_EVENTS"));
        assert!(!config(AdminUiMode::Production).contains("ALL_EVENTS"));
    }
}
