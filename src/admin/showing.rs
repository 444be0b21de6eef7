//! Events as shown to administrators.
use serde_json::{Map, Value, json};

use crate::dialect::DialectSet;
use crate::feed::{Args, FeedEvent, FeedEventKind, Incident, SocketView};

/// Replaces a value that could authenticate somebody.
const HIDDEN: &str = "(hidden)";
/// Parts of the keys of such values.
const SECRETS: [&str; 4] = ["token", "password", "secret", "authorization"];

/// An event with its arguments.
pub(super) struct ShownEvent {
    /// Its name.
    pub name: Box<str>,
    /// Arguments after the name.
    pub args: Args,
    /// Dialects of the client that sent it, or receives it.
    pub dialects: DialectSet,
}

/// Returns the event that a client sent or received.
pub(super) fn event_of(kind: &FeedEventKind) -> Option<ShownEvent> {
    let (name, args, dialects) = match kind {
        FeedEventKind::Received { event, args, dialects } => (event.clone(), args.clone(), *dialects),
        FeedEventKind::Sent { packet, dialects } => {
            let (name, args) = packet.event()?;
            (name, args, *dialects)
        }
        _ => return None,
    };
    Some(ShownEvent { name, args, dialects: DialectSet::of_bits(dialects) })
}

/// Returns the arguments as values; credentials are hidden.
pub(super) fn values(args: &Args) -> Vec<Value> {
    let json = match args {
        Args::Json(json) => json,
        Args::TooLong(bytes) => return vec![json!(format!("({bytes} bytes, not shown)"))],
    };
    let list = [b"[", &json[..], b"]"].concat();
    let mut values: Vec<Value> = serde_json::from_slice(&list).unwrap_or_else(|_| vec![json!("(not shown)")]);
    values.iter_mut().for_each(hide_secrets);
    values
}

/// Recursion is safe: values nest no deeper than the parser allows, see [`crate::socketio::MAX_DEPTH`].
fn hide_secrets(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(hide_secrets),
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| {
            let key = key.to_ascii_lowercase();
            if SECRETS.iter().any(|secret| key.contains(secret)) && !value.is_boolean() {
                *value = json!(HIDDEN);
            } else {
                hide_secrets(value);
            }
        }),
        _ => {}
    }
}

/// Returns an entry of the feed as one object; arguments are included only if `bodies` is set.
pub(super) fn line(feed_event: &FeedEvent, bodies: bool) -> Option<Value> {
    let FeedEvent { at, socket, user, kind } = feed_event;
    let (name, more) = match kind {
        FeedEventKind::Connected(view) => ("connected", connected(view)),
        FeedEventKind::Upgraded => ("updated", json!({"transport": "websocket"})),
        FeedEventKind::Disconnected { reason, rooms: _ } => ("disconnected", json!({"reason": reason.as_str()})),
        FeedEventKind::Joined { room } => ("joined", json!({"room": room})),
        FeedEventKind::Left { room } => ("left", json!({"room": room})),
        FeedEventKind::Received { .. } => ("received", event(kind, bodies)?),
        FeedEventKind::Sent { .. } => ("sent", event(kind, bodies)?),
        FeedEventKind::Incident(incident) => happened(incident),
    };
    let mut line = Map::new();
    line.insert("time".to_owned(), json!(at));
    line.insert("what".to_owned(), json!(name));
    if let Some(socket) = socket {
        line.insert("socket".to_owned(), json!(socket));
    }
    if let Some(user) = user {
        line.insert("user".to_owned(), json!(user));
    }
    if let Value::Object(more) = more {
        line.extend(more);
    }
    Some(Value::Object(line))
}

/// Returns the name of an incident, and its fields.
fn happened(incident: &Incident) -> (&'static str, Value) {
    match incident {
        Incident::HookRefused { question, code, message } => {
            ("hook_refused", json!({"question": question, "code": code, "cause": message}))
        }
        Incident::HookFailed { question, cause } => ("hook_failed", json!({"question": question, "cause": cause})),
        Incident::ForwardFailed { event, cause } => ("forward_failed", json!({"event": event, "cause": cause})),
        Incident::WebhookFailed { webhook, cause, waiting } => {
            ("webhook_failed", json!({"webhook": webhook, "cause": cause, "waiting": waiting}))
        }
        Incident::WebhookBuried { webhook, events } => ("webhook_gave_up", json!({"webhook": webhook, "events": events})),
    }
}

fn connected(view: &SocketView) -> Value {
    let SocketView { user, peer, rooms, .. } = view;
    json!({
        "username": user.username,
        "transport": peer.transport.as_str(),
        "address": peer.address,
        "rooms": rooms,
    })
}

fn event(kind: &FeedEventKind, bodies: bool) -> Option<Value> {
    let ShownEvent { name, args, dialects } = event_of(kind)?;
    let dialects: Vec<_> = dialects.iter().map(|dialect| dialect.name()).collect();
    let mut shown = json!({"event": name, "dialects": dialects});
    if bodies && let Some(shown) = shown.as_object_mut() {
        shown.insert("args".to_owned(), json!(values(&args)));
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proves_somebody_is_left_out() {
        let args = r#"{"accessToken":"t","a":[{"Password":{"x":1}}],"token":true},"text""#;
        let shown = json!([{"accessToken": "(hidden)", "a": [{"Password": "(hidden)"}], "token": true}, "text"]);
        assert_eq!(json!(values(&Args::Json(args.into()))), shown);
        assert_eq!(values(&Args::Json("".into())), [] as [Value; 0]);
        assert_eq!(values(&Args::TooLong(9_000)), ["(9000 bytes, not shown)"]);
        assert_eq!(values(&Args::Json("[".into())), ["(not shown)"]);
    }
}
