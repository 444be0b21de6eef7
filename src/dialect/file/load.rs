//! Makes a dialect of a file's text, or finds all that is wrong with it.
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use toml::Spanned;

use super::super::events::{Class, ClientEvent, EventDoc, Offset, ServerEvent};
use super::command::CommandName;
use super::dialect::{Arguments, Ask, CONNECT, FileDialect, RefusalWords, Tell, Words};
use super::fault::Fault;
use super::filter::{Definitions, Filter};
use super::format::{AnswerTable, Audience, ClientTable, Copy, Document, Rate, RefusalTable, Request, ServerTable};
use super::occasion::Occasion;
use super::problem::{Problem, Source};
use crate::auth::AuthError;
use crate::chat::OwnCopy;
use crate::schema::{Field, Shape, kinds};
use crate::socketio::is_reserved;

/// Largest file in bytes.
const FILE_MAX_BYTES: usize = 256 * 1024;
/// Longest name of an event, in characters.
const EVENT_MAX: usize = 200;
/// Longest name of a dialect.
const NAME_MAX: usize = 32;
/// Names of the compiled dialects, and a word of the setting `DIALECTS`.
const TAKEN: [&str; 6] = ["assistant", "conversation", "listing", "agent", "messenger", "all"];

/// Codes of refused CONNECTs.
const CODES: [&str; 5] = [
    AuthError::NoToken.code(),
    AuthError::InvalidToken.code(),
    AuthError::TokenExpired.code(),
    AuthError::UserNotFound.code(),
    AuthError::AccountDisabled.code(),
];

impl FileDialect {
    /// Reads a dialect; nothing that it makes is larger than `max_bytes`. It stays in memory until the process ends.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of the file.
    pub fn parse(path: &Path, text: &str, max_bytes: usize) -> Result<&'static Self, Vec<Problem>> {
        let source = Source { path, text };
        if text.len() > FILE_MAX_BYTES {
            return Err(vec![source.problem(0, format!("is larger than {FILE_MAX_BYTES} bytes"))]);
        }
        let document: Document = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            vec![source.problem(at, error.message().trim().replace('\n', "; "))]
        })?;
        let mut reader = Reader { source, max_bytes, definitions: Definitions::default(), problems: Vec::new() };
        let draft = reader.read(&document);
        let mut problems = reader.problems;
        if problems.is_empty() {
            return Ok(Box::leak(Box::new(draft.into_dialect())));
        }
        problems.sort();
        problems.dedup();
        Err(problems)
    }
}

/// A dialect whose names are not yet kept for ever.
struct Draft<'a> {
    document: &'a Document,
    asks: Vec<Ask>,
    requests: Vec<Ask>,
    tells: Vec<Tell>,
    audiences: Vec<(Occasion, Audience)>,
    refusal: RefusalWords,
}

struct Reader<'a> {
    source: Source<'a>,
    max_bytes: usize,
    definitions: Definitions,
    problems: Vec<Problem>,
}

/// Texts that are kept until the process ends, because names of events and sentences have no owner.
static KEPT: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);

/// Keeps a text; the same one is kept once.
fn keep(text: &str) -> &'static str {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = kept.get_or_insert_default();
    if let Some(known) = kept.get(text) {
        return known;
    }
    let text: &'static str = Box::leak(text.to_owned().into_boxed_str());
    kept.insert(text);
    text
}

impl<'a> Reader<'a> {
    fn problem(&mut self, place: &Range<usize>, text: impl Into<String>) {
        self.problems.push(self.source.problem(place.start, text));
    }

    fn faults(&mut self, place: &Range<usize>, faults: Vec<Fault>) {
        for Fault { at, text } in faults {
            self.problems.push(self.source.problem(self.source.inside(place, at), text));
        }
    }

    fn read(&mut self, document: &'a Document) -> Draft<'a> {
        let Document { version, name, define, connect, client, server, refusal } = document;
        if *version.get_ref() != 1 {
            self.problem(&version.span(), "version must be 1");
        }
        self.name(name);
        if let Some(define) = define {
            match Definitions::parse(define.get_ref()) {
                Ok(definitions) => self.definitions = definitions,
                Err(faults) => self.faults(&define.span(), faults),
            }
        }
        for code in connect.sentences.keys() {
            if !CODES.contains(&code.get_ref().as_str()) {
                self.problem(&code.span(), format!("unknown code, known are: {}", CODES.join(", ")));
            }
        }
        let requests = connect.requests.iter().enumerate();
        let requests = requests.filter_map(|(place, request)| self.request(request, place)).collect();
        let mut asks: Vec<Ask> = Vec::new();
        for table in client {
            let part = asks.iter().filter(|ask| ask.event == table.event.get_ref()).count();
            asks.extend(self.client(table, part));
        }
        let mut audiences = Vec::new();
        let tells = server.iter().filter_map(|table| self.server(table, &mut audiences)).collect();
        if client.is_empty() && server.is_empty() {
            self.problem(&name.span(), "the dialect has no events: write [[client]] and [[server]]");
        }
        let refusal = self.refusal(refusal);
        Draft { document, asks, requests, tells, audiences, refusal }
    }

    fn name(&mut self, name: &Spanned<String>) {
        let text = name.get_ref();
        let is_plain = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || "_-".contains(character);
        if TAKEN.contains(&text.as_str()) {
            self.problem(&name.span(), format!("the name {text} is taken"));
        } else if text.is_empty()
            || text.len() > NAME_MAX
            || !text.chars().all(is_plain)
            || !text.starts_with(|first: char| first.is_ascii_lowercase())
        {
            let rule = format!("a name has 1 to {NAME_MAX} of a-z, 0-9, - and _, and begins with a letter");
            self.problem(&name.span(), rule);
        }
    }

    fn event(&mut self, event: &Spanned<String>) -> &'static str {
        let name = event.get_ref();
        if name.is_empty() || name.chars().count() > EVENT_MAX || name.contains(char::is_control) {
            self.problem(&event.span(), format!("an event's name has 1 to {EVENT_MAX} characters, no control characters"));
        } else if is_reserved(name) || name == "recovery:seed" {
            self.problem(&event.span(), format!("{name} is an event of the protocol itself"));
        }
        keep(name)
    }

    fn filter(&mut self, text: &Spanned<String>) -> Option<Filter> {
        let filter = Filter::parse(text.get_ref(), &self.definitions);
        self.kept(text, filter)
    }

    /// Reads the filter of a command's fields.
    fn fields(&mut self, text: Option<&Spanned<String>>, command: Option<CommandName>) -> Option<Filter> {
        let text = text?;
        let Some(command) = command else { return self.filter(text) };
        let filter = Filter::parse_fields(text.get_ref(), &self.definitions, command);
        self.kept(text, filter)
    }

    fn kept(&mut self, text: &Spanned<String>, filter: Result<Filter, Vec<Fault>>) -> Option<Filter> {
        match filter {
            Ok(filter) => Some(filter),
            Err(faults) => {
                self.faults(&text.span(), faults);
                None
            }
        }
    }

    fn arguments(&mut self, text: Option<&Spanned<String>>) -> Arguments {
        let filter = text.and_then(|text| self.filter(text));
        let at = text.map_or(0, |text| text.span().start);
        let Problem { path, line, column, text: _ } = self.source.problem(at, "");
        let place = format!("{}:{line}:{column}", path.display()).into();
        Arguments { place, filter, max_bytes: self.max_bytes, failures: AtomicU64::new(0) }
    }

    fn words(&mut self, event: &Spanned<String>, args: Option<&Spanned<String>>) -> Words {
        Words { event: self.event(event), args: self.arguments(args) }
    }

    fn answer(&mut self, answer: Option<&AnswerTable>) -> Option<Words> {
        answer.map(|AnswerTable { event, args, description: _ }| self.words(event, args.as_ref()))
    }

    fn command(&mut self, name: &Spanned<String>) -> Option<CommandName> {
        let command = CommandName::parse(name.get_ref());
        if command.is_none() {
            let known: Vec<_> = CommandName::all().map(CommandName::as_str).collect();
            self.problem(&name.span(), format!("unknown command, known are: {}", known.join(", ")));
        }
        command
    }

    fn request(&mut self, request: &Request, place: usize) -> Option<Ask> {
        let Request { command, fields, answer } = request;
        let command = self.command(command);
        let fields = self.fields(fields.as_ref(), command);
        let answer = self.answer(answer.as_ref());
        let command = command?;
        let part = u8::try_from(place).unwrap_or(u8::MAX);
        let (names, echo, copy, ack) = (Vec::new(), None, OwnCopy::None, None);
        Some(Ask { event: CONNECT, part, command, fields, names, echo, copy, ack, answer })
    }

    fn client(&mut self, table: &ClientTable, part: usize) -> Option<Ask> {
        let ClientTable { event, command, fields, names, echo, rate, copy, ack, answer, description: _ } = table;
        let event_name = self.event(event);
        let Ok(part) = u8::try_from(part) else {
            self.problem(&event.span(), "the event stands too often");
            return None;
        };
        if part > 0 && (ack.is_some() || rate.is_some()) {
            self.problem(&event.span(), "only the first entry of an event has an ack and a rate");
        }
        let command_name = self.command(command);
        let fields = self.fields(fields.as_ref(), command_name);
        let echo = echo.as_ref().and_then(|echo| self.filter(echo));
        let ack = ack.as_ref().map(|ack| self.arguments(Some(ack)));
        let answer = self.answer(answer.as_ref());
        let command_name = command_name?;
        if fields.is_none() && table.fields.is_none() && !command_name.needs().is_empty() {
            let known = command_name.fields().join(", ");
            self.problem(&command.span(), format!("the command {} needs fields of: {known}", command_name.as_str()));
        }
        let names = self.names(command_name, names);
        let copy = match copy {
            _ if command_name.as_str() != "send" && copy.is_some() => {
                self.problem(&command.span(), "only the command send has a copy");
                OwnCopy::None
            }
            None | Some(Copy::None) => OwnCopy::None,
            Some(Copy::Live) => OwnCopy::Live,
            Some(Copy::Confirmation) => OwnCopy::Held,
        };
        Some(Ask { event: event_name, part, command: command_name, fields, names, echo, copy, ack, answer })
    }

    fn names(&mut self, command: CommandName, names: &BTreeMap<Spanned<String>, String>) -> Vec<(&'static str, &'static str)> {
        let mut kept = Vec::new();
        for (own, shown) in names {
            match command.fields().iter().find(|field| *field == own.get_ref()) {
                Some(field) => kept.push((*field, keep(shown))),
                None => {
                    let known = command.fields().join(", ");
                    self.problem(&own.span(), format!("{} has no such field, known are: {known}", command.as_str()));
                }
            }
        }
        kept
    }

    fn server(&mut self, table: &ServerTable, audiences: &mut Vec<(Occasion, Audience)>) -> Option<Tell> {
        let ServerTable { on, event, when, args, to, description: _ } = table;
        let mut occasions = Vec::new();
        for name in on.get_ref().texts() {
            let named = Occasion::named(name);
            if named.is_empty() {
                let known: Vec<_> = Occasion::all().map(Occasion::name).collect();
                self.problem(&on.span(), format!("unknown occasion {name}, known are: {}", known.join(", ")));
            }
            occasions.extend(named);
        }
        let audience = to.as_ref().map(|to| *to.get_ref()).unwrap_or_default();
        for occasion in &occasions {
            match audiences.iter().find(|(known, _)| known == occasion) {
                Some((_, other)) if *other != audience => {
                    let place = to.as_ref().map_or_else(|| event.span(), Spanned::span);
                    let text = format!("all entries of {} must be to the same: it is encoded once for all", occasion.name());
                    self.problem(&place, text);
                }
                Some(_) => {}
                None => audiences.push((*occasion, audience)),
            }
        }
        let when = when.as_ref().and_then(|when| self.filter(when));
        Some(Tell { occasions, when, words: self.words(event, args.as_ref()) })
    }

    fn refusal(&mut self, table: &RefusalTable) -> RefusalWords {
        let RefusalTable { event, args, ack, description: _ } = table;
        if let (None, Some(args)) = (event, args) {
            self.problem(&args.span(), "args without an event");
        }
        let event = event.as_ref().map(|event| self.words(event, args.as_ref()));
        RefusalWords { event, ack: ack.as_ref().map(|ack| self.arguments(Some(ack))) }
    }
}

impl Draft<'_> {
    fn into_dialect(self) -> FileDialect {
        let Self { document, asks, requests, tells, audiences, refusal } = self;
        let events = client_events(document, &asks);
        let sentences = document.connect.sentences.iter().filter_map(|(code, sentence)| {
            CODES.iter().find(|known| *known == code.get_ref()).map(|known| (*known, keep(sentence)))
        });
        FileDialect {
            name: keep(document.name.get_ref()),
            events: Vec::leak(events),
            server_events: Vec::leak(server_events(document, &tells)),
            requests,
            sentences: sentences.collect(),
            asks,
            tells,
            audiences,
            refusal,
        }
    }
}

/// Returns a description on one line, which ends no comment.
fn sentence(description: &str) -> String {
    description.split_whitespace().collect::<Vec<_>>().join(" ").replace("*/", "* /")
}

fn client_events(document: &Document, asks: &[Ask]) -> Vec<ClientEvent> {
    let firsts = document.client.iter().zip(asks).filter(|(_, ask)| ask.part == 0);
    let event = |(table, ask): (&ClientTable, &Ask)| {
        let doc = EventDoc {
            summary: keep(&sentence(&table.description)),
            takes: Shape::Value(Field::optional("payload", kinds::anything)),
            ack: kinds::anything,
            is_acked: false,
            reply: ask.answer.as_ref().map(|answer| answer.event),
        };
        let class = match (table.rate, ask.command.as_str()) {
            (Some(Rate::Work), _) => Class::Work,
            (Some(Rate::Receipt), _) | (None, "read") => Class::Receipt,
            (Some(Rate::Typing), _) | (None, "typing") => Class::Typing,
            (None, _) => Class::Work,
        };
        ClientEvent { name: ask.event, class, doc: Box::leak(Box::new(doc)) }
    };
    firsts.map(event).collect()
}

fn server_events(document: &Document, tells: &[Tell]) -> Vec<ServerEvent> {
    let mut events: Vec<ServerEvent> = Vec::new();
    let mut add = |name: &'static str, description: &str, offset: Offset| match events.iter_mut().find(|known| known.name == name)
    {
        Some(known) if known.offset != offset => known.offset = Offset::Unasked,
        Some(_) => {}
        None => events.push(ServerEvent { name, summary: keep(&sentence(description)), payload: Some(kinds::anything), offset }),
    };
    for (table, tell) in document.server.iter().zip(tells) {
        for occasion in &tell.occasions {
            add(tell.words.event, &table.description, occasion.offset());
        }
    }
    let answers = document.client.iter().filter_map(|table| table.answer.as_ref());
    let answers = answers.chain(document.connect.requests.iter().filter_map(|request| request.answer.as_ref()));
    for AnswerTable { event, args: _, description } in answers {
        add(keep(event.get_ref()), description, Offset::Never);
    }
    if let Some(event) = document.refusal.event.as_ref().filter(|event| event.get_ref() != "error") {
        add(keep(event.get_ref()), &document.refusal.description, Offset::Never);
    }
    events
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
