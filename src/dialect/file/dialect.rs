//! A dialect that a file describes.
use std::sync::atomic::{AtomicU64, Ordering};

use jaq_core::ValT as _;
use log::warn;

use super::super::events::{ClientEvent, ServerEvent};
use super::super::fields::refuse_unusable;
use super::super::packets::{Packets, batch};
use super::super::refusal::{error_ack_of, error_packet, failure_packet};
use super::super::request_error::{RequestError, Wording};
use super::super::vocabulary::{Asked, Decoded, Vocabulary};
use super::command::{CommandName, Fields};
use super::filter::{Failure, Filter};
use super::format::Audience;
use super::occasion::Occasion;
use super::told;
use super::value::Value;
use crate::auth::AuthError;
use crate::chat::{Capabilities, ChatError, Event, OwnCopy, Reply};
use crate::model::UserId;
use crate::socketio::{Args, encode_event};

/// Longest field name that a filter may refuse, in characters.
const FIELD_MAX: usize = 64;
/// Longest value that answers repeat, in bytes: it is kept until the answer, or stored with it.
const ECHO_MAX_BYTES: usize = 64 * 1024;
/// Answer to a request whose entry has no words of its own for it.
const DONE: &str = r#"{"success":true}"#;

/// A filter that makes the arguments of an event or an ack.
#[derive(Debug)]
pub(super) struct Arguments {
    /// Place in the file, for the log.
    pub place: Box<str>,
    /// The filter; without one there are no arguments.
    pub filter: Option<Filter>,
    /// Largest result in bytes of JSON.
    pub max_bytes: usize,
    /// Number of messages that it could not word.
    pub failures: AtomicU64,
}

impl Arguments {
    /// Returns the arguments as JSON, joined by commas; `None` if the filter has none for this.
    fn of(&self, told: &Value, bytes: usize) -> Option<String> {
        let Some(filter) = &self.filter else { return Some(String::new()) };
        let made = filter.run(bytes, || Some(told.clone())).and_then(|made| self.write(&made));
        made.inspect_err(|failure| self.note(failure)).ok()
    }

    fn write(&self, made: &Value) -> Result<String, Failure> {
        let items = made.as_list().ok_or(Failure::Unfit)?;
        let mut json = String::with_capacity(512);
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                json.push(',');
            }
            item.write(&mut json);
            if json.len() > self.max_bytes || !super::value::was_enough() {
                return Err(Failure::TooMuchWork);
            }
        }
        Ok(json)
    }

    /// Logs a failure: the first, the second, the fourth, …
    fn note(&self, failure: &Failure) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failures.is_power_of_two() {
            let place = &*self.place;
            warn!(filter = place, failures, cause:% = failure; "a dialect's filter has no words for this");
        }
    }
}

/// An event with its arguments.
#[derive(Debug)]
pub(super) struct Words {
    pub event: &'static str,
    pub args: Arguments,
}

impl Words {
    /// Returns the packet; `is_placed`: an offset follows.
    fn packet(&self, told: &Value, bytes: usize, is_placed: bool) -> Option<String> {
        let mut args = self.args.of(told, bytes)?;
        // Stock clients take a text at the end of an event for an offset.
        if !is_placed && args.ends_with('"') {
            args.push_str(",null");
        }
        Some(encode_event("/", self.event, &args))
    }
}

/// A request that an event makes.
#[derive(Debug)]
pub(super) struct Ask {
    pub event: &'static str,
    /// Number among the requests of the event.
    pub part: u8,
    pub command: CommandName,
    pub fields: Option<Filter>,
    /// Names of our fields, and of the front end's.
    pub names: Vec<(&'static str, &'static str)>,
    pub echo: Option<Filter>,
    pub copy: OwnCopy,
    pub ack: Option<Arguments>,
    pub answer: Option<Words>,
}

/// An event that the server sends.
#[derive(Debug)]
pub(super) struct Tell {
    pub occasions: Vec<Occasion>,
    pub when: Option<Filter>,
    pub words: Words,
}

/// The words of refusals.
#[derive(Debug, Default)]
pub(super) struct RefusalWords {
    pub event: Option<Words>,
    pub ack: Option<Arguments>,
}

/// The vocabulary of a file.
#[derive(Debug)]
pub struct FileDialect {
    pub(super) name: &'static str,
    pub(super) events: &'static [ClientEvent],
    pub(super) server_events: &'static [ServerEvent],
    pub(super) asks: Vec<Ask>,
    /// Requests that follow from a CONNECT.
    pub(super) requests: Vec<Ask>,
    pub(super) tells: Vec<Tell>,
    /// Whom an occasion's events are for; those that are missing are for all.
    pub(super) audiences: Vec<(Occasion, Audience)>,
    /// Sentences for refused CONNECTs, by code.
    pub(super) sentences: Vec<(&'static str, &'static str)>,
    pub(super) refusal: RefusalWords,
}

impl FileDialect {
    pub(super) fn ask(&self, asked: &Asked) -> Option<&Ask> {
        let asks = if asked.event == CONNECT { &self.requests } else { &self.asks };
        asks.iter().find(|ask| ask.event == asked.event && ask.part == asked.part)
    }

    pub(super) fn tells(&self, occasion: Occasion) -> impl Iterator<Item = &Tell> {
        self.tells.iter().filter(move |tell| tell.occasions.contains(&occasion))
    }

    fn has(&self, name: &str) -> bool {
        Occasion::named(name).into_iter().any(|occasion| self.tells(occasion).next().is_some())
    }

    fn audience(&self, occasion: Occasion) -> Audience {
        let found = self.audiences.iter().find(|(known, _)| *known == occasion);
        found.map(|(_, audience)| *audience).unwrap_or_default()
    }

    fn packets(&self, occasion: Occasion, told: &[Value], bytes: usize) -> impl Iterator<Item = String> {
        let is_placed = occasion.offset() == super::super::events::Offset::Always;
        self.tells(occasion).flat_map(move |tell| {
            told.iter().filter_map(move |value| {
                let is_meant = tell.when.as_ref().is_none_or(|when| {
                    let answer = when.run(bytes, || Some(value.clone()));
                    answer.inspect_err(|failure| tell.words.args.note(failure)).is_ok_and(|answer| answer.as_bool())
                });
                is_meant.then(|| tell.words.packet(value, bytes, is_placed)).flatten()
            })
        })
    }
}

/// The event of requests that follow from a CONNECT.
pub(super) const CONNECT: &str = "connect";

impl Ask {
    fn decode(&self, asked: &mut Asked, args: &Args) -> Result<Decoded, RequestError> {
        let fields = self.fields_of(asked, args)?;
        let fields = Fields::parse(&fields, &self.names)?;
        // What became a field was named by it.
        refuse_unusable(args)?;
        self.command.decode(&fields, self.copy)
    }

    /// Returns the command's fields as JSON.
    pub(super) fn fields_of(&self, asked: &mut Asked, args: &Args) -> Result<String, RequestError> {
        let json = format!("[{}]", args.json());
        let values = || Value::parse(&json);
        if let Some(echo) = &self.echo
            && let Ok(echo) = echo.run(json.len(), values)
        {
            let echo = echo.to_json();
            if super::value::was_enough() && echo.len() <= ECHO_MAX_BYTES && !echo.contains("\\u0000") {
                asked.echo = echo.into();
            }
        }
        match &self.fields {
            None => Ok("{}".to_owned()),
            Some(filter) => {
                let fields = filter.run(json.len(), values).map_err(refusal_of)?.to_json();
                if super::value::was_enough() { Ok(fields) } else { Err(refusal_of(Failure::TooMuchWork)) }
            }
        }
    }
}

/// Returns the refusal of a request that a filter could not digest. It names a field by `error("name")`.
fn refusal_of(failure: Failure) -> RequestError {
    match failure {
        Failure::Said(name) if name.chars().count() <= FIELD_MAX && !name.contains(char::is_whitespace) => {
            RequestError::Field(name.into())
        }
        Failure::TooMuchWork => ChatError::TooLarge("the payload").into(),
        Failure::Said(_) | Failure::Unfit | Failure::Nothing | Failure::Several => RequestError::Field("payload".into()),
    }
}

impl Vocabulary for FileDialect {
    fn name(&self) -> &'static str {
        self.name
    }

    fn events(&self) -> &'static [ClientEvent] {
        self.events
    }

    fn server_events(&self) -> &'static [ServerEvent] {
        self.server_events
    }

    fn decode(&self, asked: &mut Asked, args: &Args) -> Result<Decoded, RequestError> {
        let ask = self.ask(asked).ok_or(RequestError::UnknownEvent)?;
        ask.decode(asked, args)
    }

    fn further(&self, asked: Option<&Asked>, args: &Args) -> Vec<(Asked, Result<Decoded, RequestError>)> {
        let asks = if asked.is_some() { &self.asks } else { &self.requests };
        let event = asked.map_or(CONNECT, |asked| asked.event);
        let further = asks.iter().filter(|ask| ask.event == event && (ask.part > 0 || asked.is_none()));
        let made = further.map(|ask| {
            let mut own =
                Asked { event, part: ask.part, at: asked.map(|asked| asked.at).unwrap_or_default(), ..Asked::default() };
            let request = ask.decode(&mut own, args);
            (own, request)
        });
        made.collect()
    }

    fn encode(&self, event: &Event) -> Option<Packets> {
        if let Event::Presence(changes) = event {
            let packets = changes.iter().flat_map(|change| {
                let told = [told::of_presence(change)];
                self.packets(Occasion::of_presence(change), &told, 0).collect::<Packets>()
            });
            return batch(packets);
        }
        let occasion = Occasion::of(event)?;
        if self.tells(occasion).next().is_none() {
            return match event {
                Event::AnswerFailed { error, error_id, .. } => batch([failure_packet(error, *error_id)]),
                _ => None,
            };
        }
        batch(self.packets(occasion, &told::of_event(event), told::size_of(event)))
    }

    fn shows(&self, event: &Event, viewer: &UserId, is_requested: bool) -> bool {
        let Some(occasion) = Occasion::of(event) else { return true };
        let is_others = || match event {
            Event::Message { message, recipient, .. } => {
                message.sender.id != *viewer || recipient.as_ref().is_some_and(|recipient| recipient.id == *viewer)
            }
            Event::RoomMessage { message, .. } | Event::MessageUpdated { message, .. } => message.sender.id != *viewer,
            Event::Read { user, .. } => user != viewer,
            Event::Typing { user, .. } | Event::GroupOpened { user, .. } => user.id != *viewer,
            _ => true,
        };
        match self.audience(occasion) {
            Audience::All => true,
            Audience::Others => is_others(),
            Audience::OthersOrPinned => is_requested || is_others(),
            Audience::Pinned => is_requested,
        }
    }

    fn confirms_by_event(&self) -> bool {
        self.asks.iter().any(|ask| ask.copy == OwnCopy::Held)
    }

    fn capabilities(&self, is_requested: bool) -> Capabilities {
        let shows_own = Occasion::named("message.direct").into_iter().all(|occasion| match self.audience(occasion) {
            Audience::All => true,
            Audience::Others => false,
            Audience::OthersOrPinned | Audience::Pinned => is_requested,
        });
        let direct_message = self.has("message.direct");
        Capabilities {
            direct_message,
            own_direct_message: direct_message && shows_own,
            group_message: self.has("message.group"),
            answer: self.has("message.model"),
            received_at_once: self.has("delivered.at_once"),
            notification: self.has("notification"),
            unconfirmed: false,
        }
    }

    fn encode_ack(&self, asked: &Asked, reply: &Reply) -> String {
        let ack = self.ask(asked).and_then(|ask| ask.ack.as_ref());
        ack.and_then(|ack| ack.of(&told::of_reply(asked, reply), told::size_of_reply(reply))).unwrap_or_else(|| DONE.to_owned())
    }

    fn encode_reply(&self, asked: &Asked, reply: &Reply) -> Option<String> {
        let answer = self.ask(asked)?.answer.as_ref()?;
        answer.packet(&told::of_reply(asked, reply), told::size_of_reply(reply), false)
    }

    fn encode_refusal_ack(&self, asked: &Asked, request_error: &RequestError) -> String {
        let own = self.refusal.ack.as_ref().and_then(|ack| ack.of(&told::of_refusal(asked, request_error), asked.echo.len()));
        own.unwrap_or_else(|| error_ack_of(&Wording::from(request_error), request_error, asked.error_id))
    }

    fn encode_refusal(&self, asked: &Asked, request_error: &RequestError) -> String {
        let told = || told::of_refusal(asked, request_error);
        let own = self.refusal.event.as_ref().and_then(|words| words.packet(&told(), asked.echo.len(), false));
        own.unwrap_or_else(|| error_packet(&request_error.into(), Some(asked.event), request_error, asked.error_id))
    }

    fn connect_sentence(&self, refusal: AuthError) -> Option<&'static str> {
        self.sentences.iter().find(|(code, _)| *code == refusal.code()).map(|(_, sentence)| *sentence)
    }
}
