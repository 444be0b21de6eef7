//! TypeScript types of all dialects, for `Socket<ServerToClientEvents, ClientToServerEvents>` of `socket.io-client`.
use std::fmt::Write as _;

use serde_json::Value;

use super::asyncapi::described;
use super::common::COMMON;
use super::events::{ClientEvent, Offset, ServerEvent};
use super::vocabulary::Vocabulary;
use crate::schema::{Definitions, Shape, interface, pascal_case, type_of};

/// Head of the file, common to all namespaces.
const HEAD: &str = "\
// Types of the events of Parlance's clients, a namespace for each dialect:
//
//   import { io, type Socket } from 'socket.io-client';
//   import type { Messenger } from './parlance';
//   const socket: Socket<Messenger.ServerToClientEvents, Messenger.ClientToServerEvents> = io(url, { auth: { token } });
//
// A handler's last argument is a recovery offset, which the client keeps by itself.

/** The same events with an ack that is always asked for, which `emitWithAck` needs to know an answer's type. */
export type Acked<Events> = {
  [Event in keyof Events]: Events[Event] extends (...args: infer Arguments) => void
    ? (...args: Required<Arguments>) => void
    : never;
};
";

/// Returns the declarations.
pub fn types() -> String {
    let mut text = format!("// Parlance {}\n{HEAD}", env!("CARGO_PKG_VERSION"));
    for dialect in described() {
        let indented = namespace(&*dialect)
            .lines()
            .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") })
            .collect::<String>();
        // Writing to a String cannot fail.
        let _ = write!(text, "\nexport namespace {} {{\n{indented}}}\n", pascal_case(dialect.name()));
    }
    text
}

fn namespace(dialect: &dyn Vocabulary) -> String {
    let mut definitions = Definitions::new("");
    let mut further = String::new();
    let server_event: String = COMMON
        .iter()
        .chain(dialect.server_events())
        .map(|server_event| server_event_member(server_event, &mut definitions, &mut further))
        .collect();
    let asked: String = dialect.events().iter().map(|entry| asked_member(entry, &mut definitions, &mut further)).collect();
    let mut text = String::new();
    for (name, schema) in definitions.take() {
        text.push_str(&interface(&name, &schema));
        text.push('\n');
    }
    let _ = write!(text, "{further}/** Events from the server. */\ninterface ServerToClientEvents {{\n{server_event}}}\n\n");
    let _ = write!(text, "/** What clients say. */\ninterface ClientToServerEvents {{\n{asked}}}\n");
    text
}

fn server_event_member(server_event: &ServerEvent, definitions: &mut Definitions, further: &mut String) -> String {
    let payload = server_event.payload.map(|payload| {
        let schema = definitions.schema(payload);
        format!("payload: {}", named(&format!("{}Event", pascal_case(server_event.name)), &schema, further))
    });
    let offset = match server_event.offset {
        Offset::Always => Some("offset: string"),
        Offset::Unasked => Some("offset?: string"),
        Offset::Never => None,
    };
    let arguments: Vec<_> = payload.as_deref().into_iter().chain(offset).collect();
    format!("  /** {} */\n  {}: ({}) => void;\n", server_event.summary, key(server_event.name), arguments.join(", "))
}

fn asked_member(entry: &ClientEvent, definitions: &mut Definitions, further: &mut String) -> String {
    let doc = entry.doc;
    let event = pascal_case(entry.name);
    let payload = (!matches!(doc.takes, Shape::Nothing)).then(|| {
        let schema = definitions.request(&doc.takes);
        let name = if let Shape::Value(field) = doc.takes { field.name } else { "payload" };
        let mark = if doc.takes.may_be_absent() { "?" } else { "" };
        format!("{name}{mark}: {}", named(&format!("{event}Request"), &schema, further))
    });
    let answer = definitions.schema(doc.ack);
    let answer = named(&format!("{event}Answer"), &answer, further);
    let mark = if doc.is_acked && !doc.takes.may_be_absent() { "" } else { "?" };
    let arguments: Vec<_> = payload.into_iter().chain([format!("ack{mark}: (answer: {answer}) => void")]).collect();
    format!("  /** {} */\n  {}: ({}) => void;\n", doc.summary, key(entry.name), arguments.join(", "))
}

/// Returns the type of a schema; unless it is a single word, it is declared under this name.
fn named(name: &str, schema: &Value, further: &mut String) -> String {
    if schema.get("properties").is_none() && schema.get("anyOf").is_none() {
        return type_of(schema, "");
    }
    further.push_str(&interface(name, schema));
    further.push('\n');
    name.to_owned()
}

/// Returns an event's name as the key of a member.
fn key(event: &str) -> String {
    let is_word = event.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    if is_word && !event.starts_with(|first: char| first.is_ascii_digit()) {
        event.to_owned()
    } else {
        format!("'{}'", event.replace('\\', "\\\\").replace('\'', "\\'"))
    }
}
