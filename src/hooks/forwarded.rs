//! Events that no dialect knows, as the operator's server is given them, and its answers.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::question::{Envelope, User};
use crate::model::{SocketId, Timestamp};
use crate::schema::Call;
use crate::session::ForwardEvent;
use crate::socketio::Args;

/// `type` of such a request.
pub(super) const TYPE: &str = "event";
/// Maximum number of events that an answer may emit.
const EMITS_MAX: usize = 100;

/// An event that no dialect knows.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct OfEvent<'a> {
    /// Name of the event.
    event: &'a str,
    /// Its arguments; a binary one is `{"_base64":"…"}`.
    #[schemars(with = "Vec<Value>")]
    args: &'a RawValue,
    user: User<'a>,
    /// The socket.
    socket_id: SocketId,
}

/// Answer to an event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventAnswer {
    /// Arguments of the ack.
    #[serde(default)]
    ack: Vec<Box<RawValue>>,
    /// Events to emit, each as the body of `POST /api/emit`.
    #[serde(default)]
    pub emit: Vec<Map<String, Value>>,
}

impl EventAnswer {
    /// Reads an answer; an empty one says nothing.
    ///
    /// # Errors
    /// The reason why it is none, for the log.
    pub(super) fn read(json: &str) -> Result<Self, &'static str> {
        if json.trim().is_empty() {
            return Ok(Self { ack: Vec::new(), emit: Vec::new() });
        }
        if !json.trim_start().starts_with('{') {
            return Err("the answer is no JSON object");
        }
        let answer: Self = serde_json::from_str(json).map_err(|_| "the answer is not as documented")?;
        if answer.emit.len() > EMITS_MAX { Err("the answer emits more than 100 events") } else { Ok(answer) }
    }

    /// Returns the arguments of the ack, as JSON joined by commas.
    pub(super) fn ack(&self) -> String {
        self.ack.iter().map(|argument| argument.get()).collect::<Vec<_>>().join(",")
    }
}

/// Returns the body of the request for an event.
pub(super) fn body(event: &ForwardEvent, id: &str, timestamp: Timestamp) -> String {
    let args = RawValue::from_string(args_of(&event.args)).unwrap_or_else(|_| RawValue::NULL.to_owned());
    let user = User::of(&event.account.profile);
    let data = OfEvent { event: &event.event, args: &args, user, socket_id: event.socket };
    // Texts and numbers can always be written.
    let data = serde_json::value::to_raw_value(&data).unwrap_or_else(|_| RawValue::NULL.to_owned());
    serde_json::to_string(&Envelope { r#type: TYPE, id, timestamp, data: &data }).unwrap_or_default()
}

/// Returns the arguments as a JSON array. Without attachments they stay as they came, to the digit.
fn args_of(args: &Args) -> String {
    let json = format!("[{}]", args.json());
    if args.attachments().is_empty() {
        return json;
    }
    let Ok(mut values) = serde_json::from_str::<Value>(&json) else { return json };
    fill_in(&mut values, args.attachments());
    values.to_string()
}

/// Puts base64 in the place of each placeholder. JSON that was parsed is no deeper than the parser allows.
fn fill_in(value: &mut Value, attachments: &[Bytes]) {
    match value {
        Value::Object(fields) if fields.get("_placeholder") == Some(&Value::Bool(true)) => {
            let number = fields.get("num").and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
            let data = number.and_then(|number| attachments.get(number)).map(|data| STANDARD.encode(data));
            *value = json!({ "_base64": data });
        }
        Value::Object(fields) => fields.values_mut().for_each(|value| fill_in(value, attachments)),
        Value::Array(values) => values.iter_mut().for_each(|value| fill_in(value, attachments)),
        _ => {}
    }
}

/// Description of the request, for OpenAPI.
pub(crate) const FORWARDED: Call = Call {
    setting: "forward",
    name: TYPE,
    summary: "A client sent an event that no dialect knows; without a usable answer it is refused with FORWARD_FAILED.",
    data: |generator| generator.subschema_for::<OfEvent<'_>>(),
    answer: Some(answer_schema),
};

fn answer_schema(_: &mut SchemaGenerator) -> Schema {
    let emitted = json!({
        "type": "object",
        "description": "As the body of POST /api/emit.",
        "properties": { "to": { "type": "object" }, "event": { "type": "string" }, "data": {} },
        "required": ["to", "event"],
    });
    json_schema!({
        "type": "object",
        "properties": {
            "ack": { "type": "array", "description": "Arguments of the ack.", "items": {} },
            "emit": { "type": "array", "maxItems": EMITS_MAX, "items": emitted },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let ack = |json: &str| EventAnswer::read(json).map(|answer| (answer.ack(), answer.emit.len()));
        assert_eq!(ack(""), Ok((String::new(), 0)));
        assert_eq!(ack("{}"), Ok((String::new(), 0)));
        assert_eq!(ack(r#"{"ack":[1.0,{"a": 2},"x"],"emit":[{"event":"e"}]}"#), Ok((r#"1.0,{"a": 2},"x""#.to_owned(), 1)));
        for wrong in ["ok", "[]", "null", r#"{"ack":1}"#, r#"{"emit":[1]}"#, r#"{"emit":{}}"#] {
            assert!(ack(wrong).is_err(), "{wrong}");
        }
        let many = format!(r#"{{"emit":[{}]}}"#, vec!["{}"; EMITS_MAX + 1].join(","));
        assert!(ack(&many).is_err());
    }

    #[test]
    fn placeholders_become_base64() {
        let mut value = json!([{ "_placeholder": true, "num": 1 }, { "a": [{ "_placeholder": true, "num": 0 }] }, { "num": 1 }]);
        fill_in(&mut value, &[Bytes::from_static(b"zero"), Bytes::from_static(b"\xff\x00")]);
        assert_eq!(value, json!([{ "_base64": "/wA=" }, { "a": [{ "_base64": "emVybw==" }] }, { "num": 1 }]));
    }
}
