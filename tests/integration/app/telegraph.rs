//! `telegraph`: an invented dialect outside the library.
//!
//! ```text
//! → 421["wire",{"to":"bob","text":"ARRIVING MONDAY STOP"}]
//! ← 42["wired",{"no":"0197…","from":"ann","text":"ARRIVING MONDAY STOP","at":"2026-01-02T03:04:05.678Z"}]
//! ← 42["slip",{"no":"0197…","by":"bob","at":"2026-01-02T03:04:06.789Z"}]
//! ```
use parlance::chat::{Capabilities, Command, Draft, Event, PresenceChange, Reply, SendTo, Sent};
use parlance::dialect::{Asked, ClientEvent, Decoded, Packets, Payload, RequestError, Vocabulary, Wording, packet};
use parlance::model::{Message, UserId};
use parlance::socketio::Args;
use serde_json::{Value, json};

/// A telegraph office.
#[derive(Debug)]
pub struct Telegraph;

impl Vocabulary for Telegraph {
    fn name(&self) -> &'static str {
        "telegraph"
    }

    fn events(&self) -> &'static [ClientEvent] {
        const EVENTS: &[ClientEvent] = &[ClientEvent::work("wire"), ClientEvent::receipt("sign")];
        EVENTS
    }

    fn decode(&self, asked: &mut Asked, args: &Args) -> Result<Decoded, RequestError> {
        let payload = Payload::of(args)?;
        if asked.event == "sign" {
            return Ok(Command::MarkRead { message: payload.field("no").message()? }.into());
        }
        let text = payload.field("text");
        let content = text.text()?.filter(|text| !text.is_empty()).ok_or_else(|| text.request_error())?;
        let draft = Draft { content, ..Draft::default() };
        Ok(Command::Send { to: SendTo::User(payload.field("to").user()?), draft }.into())
    }

    fn encode(&self, event: &Event) -> Option<Packets> {
        let text = match event {
            Event::Message { message, recipient: Some(_), .. } => packet("wired", &telegram(message)),
            Event::Read { message, user, read_at, .. } => packet("slip", &json!({ "no": message, "by": user, "at": read_at })),
            Event::Presence(changes) => {
                return Some(changes.iter().map(presence).collect());
            }
            _ => return None,
        };
        Some(Packets::from_buf([text]))
    }

    fn shows(&self, event: &Event, viewer: &UserId, _is_pinned: bool) -> bool {
        !matches!(event, Event::Message { message, .. } if message.sender.id == *viewer)
    }

    fn capabilities(&self, _is_pinned: bool) -> Capabilities {
        Capabilities { direct_message: true, ..Capabilities::default() }
    }

    fn encode_ack(&self, _asked: &Asked, reply: &Reply) -> String {
        match reply {
            Reply::Sent(Sent { message, .. }) => json!({ "success": true, "no": message.id }).to_string(),
            _ => json!({ "success": true }).to_string(),
        }
    }

    fn word(&self, _event: &'static str, request_error: &RequestError) -> Wording {
        Wording::new(request_error.code(), format!("{} STOP", request_error.sentence().to_uppercase()))
    }
}

fn telegram(message: &Message) -> Value {
    json!({ "no": message.id, "from": message.sender.id, "text": message.content, "at": message.created_at })
}

fn presence(change: &PresenceChange) -> String {
    match change {
        PresenceChange::Online { user, .. } => packet("on_key", &json!({ "who": user.id })),
        PresenceChange::Offline { user, .. } => packet("off_key", &json!({ "who": user })),
    }
}
