//! `parlance send`: sends a message, or any event, through a running server.
use clap::{ArgGroup, Args};
use serde_json::{Map, Value, json};

use super::error::CliError;
use super::output::print;
use super::remote::{Remote, RemoteOptions};
use crate::config::Config;
use crate::env::Environment;

/// Options of `send`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").required(true).args(["to", "group", "room", "all"]))]
pub(super) struct SendOptions {
    /// Recipient: a user's id, username or e-mail address (with --event: the id).
    #[arg(long, value_name = "USER")]
    to: Option<String>,
    /// Target: the id of a group or any conversation.
    #[arg(long, value_name = "ID")]
    group: Option<String>,
    /// Target: the name of a public room.
    #[arg(long, value_name = "NAME")]
    room: Option<String>,
    /// Target: all sockets; for events only.
    #[arg(long)]
    all: bool,
    /// Sender: id, username or e-mail address. Required for a message.
    #[arg(long, value_name = "USER", required_unless_present = "event", conflicts_with = "event")]
    from: Option<String>,
    /// Text of the message.
    #[arg(required_unless_present = "event", conflicts_with = "event")]
    text: Option<String>,
    /// Send this event instead of a message: it is sent as is to all dialects, and is not stored.
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    /// The event's argument, as JSON; default: none.
    #[arg(long, value_name = "JSON", requires = "event")]
    data: Option<String>,
    /// An id of your own for the message: if it is sent again, it stays one message.
    #[arg(long, value_name = "NAME", conflicts_with = "event")]
    id: Option<String>,
    #[command(flatten)]
    remote: RemoteOptions,
    /// Print the server's answer as JSON.
    #[arg(long)]
    json: bool,
}

/// Sends, and reports the result.
pub(super) async fn execute(options: &SendOptions, environment: &Environment, config: &Config) -> Result<(), CliError> {
    let remote = Remote::new(&options.remote, environment, config)?;
    let (path, body) = request(options)?;
    let answer = remote.post(path, &body).await.map_err(|error| remote.advise(error))?;
    match options.json {
        true => print(&format!("{answer}\n")),
        false => print(&format!("{}\n", outcome(options, &answer))),
    }
}

fn request(options: &SendOptions) -> Result<(&'static str, Value), CliError> {
    let SendOptions { to, group, room, all, from, text, event, data, id, .. } = options;
    if *all && event.is_none() {
        return Err(CliError("--all is for events: add --event, or name the recipient of the message".to_owned()));
    }
    let mut target = Map::new();
    for (name, value) in [("user", to), ("conversation", group), ("room", room)] {
        target.extend(value.as_ref().map(|value| (name.to_owned(), json!(value))));
    }
    if *all {
        target.insert("all".to_owned(), json!(true));
    }
    let mut body = Map::from_iter([("to".to_owned(), Value::Object(target))]);
    let texts = [("from", from), ("content", text), ("event", event), ("clientMessageId", id)];
    body.extend(texts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?)))));
    if let Some(data) = data {
        let wrong =
            |error| CliError(format!("--data is not JSON ({error}): write a text as '\"text\"', an object as '{{\"a\":1}}'"));
        body.insert("data".to_owned(), serde_json::from_str(data).map_err(wrong)?);
    }
    Ok((if event.is_some() { "/api/emit" } else { "/api/messages" }, Value::Object(body)))
}

/// Describes the result in a sentence.
fn outcome(options: &SendOptions, answer: &Value) -> String {
    if let Some(sockets) = answer.get("sockets").and_then(Value::as_u64) {
        return match sockets {
            0 => "nobody there: the event went to no socket, and is not kept".to_owned(),
            1 => "the event went to 1 socket".to_owned(),
            _ => format!("the event went to {sockets} sockets"),
        };
    }
    let id = answer.get("message").and_then(|message| message.get("_id")).and_then(Value::as_str).unwrap_or_default();
    match answer.get("status").and_then(Value::as_str) {
        Some("delivered" | "read") => format!("stored as {id} and dispatched to a socket of the recipient"),
        _ if options.to.is_some() => format!("stored as {id}; the recipient has no socket now and gets it at the next connect"),
        _ if options.room.is_some() => format!("stored as {id} and shown to everybody in the room"),
        _ => format!("stored as {id}; connected members get it now, the others at their next connect"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: SendOptions,
    }

    fn options(words: &[&str]) -> SendOptions {
        Line::try_parse_from([&["send"], words].concat()).unwrap().options
    }

    fn asked(words: &[&str]) -> (&'static str, Value) {
        request(&options(words)).unwrap()
    }

    #[test]
    fn words_become_requests() {
        let (path, body) = asked(&["--from", "ann", "--to", "bob", "Hello"]);
        assert_eq!((path, body), ("/api/messages", json!({"from": "ann", "to": {"user": "bob"}, "content": "Hello"})));
        let (path, body) = asked(&["--room", "square", "--event", "price", "--data", "{\"a\":1}"]);
        assert_eq!((path, body), ("/api/emit", json!({"to": {"room": "square"}, "event": "price", "data": {"a": 1}})));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in [
            &["--to", "bob", "Hello"][..],
            &["--from", "ann", "Hello"],
            &["--from", "ann", "--to", "bob"],
            &["--from", "ann", "--to", "bob", "--room", "x", "Hello"],
            &["--to", "bob", "--data", "1"],
        ] {
            assert!(Line::try_parse_from([&["send"], words].concat()).is_err(), "{words:?}");
        }
        assert!(request(&options(&["--from", "ann", "--all", "Hello"])).is_err());
    }

    #[test]
    fn answers_become_sentences() {
        let to_bob = options(&["--from", "ann", "--to", "bob", "x"]);
        let answer = |status| json!({"message": {"_id": "m"}, "status": status});
        assert!(outcome(&to_bob, &json!({"sockets": 0})).starts_with("nobody there"));
        assert!(outcome(&to_bob, &answer("delivered")).contains("dispatched"));
        assert!(outcome(&to_bob, &answer("sent")).contains("next connect"));
        assert!(outcome(&options(&["--from", "ann", "--room", "r", "x"]), &answer("sent")).contains("in the room"));
    }
}
