//! `parlance webhooks`: a running server's webhooks, and events that they have not got.
use std::fmt::Write as _;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::error::CliError;
use super::output::print;
use super::remote::{Remote, RemoteOptions};
use crate::config::Config;
use crate::env::Environment;

/// Path of the routes.
const ROUTE: &str = "/api/admin/webhooks";

/// Subcommands.
#[derive(Debug, Subcommand)]
pub(super) enum WebhooksCommand {
    /// List the webhooks, the events that wait longest, and the newest dead letters.
    List(ListOptions),
    /// Send dead letters again, behind all that waits, and end all pauses.
    Replay(ChosenEvents),
    /// Delete events that are not to be sent: by their numbers, waiting or dead; by a webhook, its dead letters.
    Skip(ChosenEvents),
}

/// Options of `list`.
#[derive(Debug, Args)]
pub(super) struct ListOptions {
    /// Only this webhook's events.
    #[arg(long, value_name = "NAME")]
    webhook: Option<String>,
    /// Maximum number of events of each kind.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Print the server's answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: RemoteOptions,
}

/// Events of `replay` and `skip`.
#[derive(Debug, Args)]
pub(super) struct ChosenEvents {
    /// Numbers of events, as `list` shows them, or the name of a webhook: all its dead letters.
    #[arg(required = true, value_name = "NUMBER or WEBHOOK")]
    events: Vec<String>,
    #[command(flatten)]
    remote: RemoteOptions,
}

/// Runs the command.
pub(super) async fn execute(command: &WebhooksCommand, environment: &Environment, config: &Config) -> Result<(), CliError> {
    match command {
        WebhooksCommand::List(options) => {
            let remote = Remote::new(&options.remote, environment, config)?;
            let answer = remote.get(&path(options)?).await.map_err(|error| remote.advise(error))?;
            if options.json { print(&format!("{answer}\n")) } else { print(&shown(&answer)) }
        }
        WebhooksCommand::Replay(chosen) => treat(chosen, "replay", environment, config).await,
        WebhooksCommand::Skip(chosen) => treat(chosen, "skip", environment, config).await,
    }
}

async fn treat(chosen: &ChosenEvents, action: &str, environment: &Environment, config: &Config) -> Result<(), CliError> {
    let remote = Remote::new(&chosen.remote, environment, config)?;
    let body = body(&chosen.events)?;
    let answer = remote.post(&format!("{ROUTE}/{action}"), &body).await.map_err(|error| remote.advise(error))?;
    print(&format!("{}\n", outcome(action, &body, &answer)))
}

/// Returns the line about what became of the chosen events.
fn outcome(action: &str, chosen: &Value, answer: &Value) -> String {
    let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
    let count = |number: u64, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    let (done, events, waiting) = (if action == "skip" { "skipped" } else { "replayed" }, number("events"), number("waiting"));
    let Some(webhook) = chosen.get("webhook").and_then(Value::as_str) else {
        let asked = chosen.get("numbers").and_then(Value::as_array).map_or(0, |numbers| numbers.len() as u64);
        let lacking = asked.saturating_sub(events);
        let lacking = if lacking == 0 { String::new() } else { format!("; {lacking} of these numbers are not there") };
        return format!("{done} {}{lacking}", count(events, "event", "events"));
    };
    let letters = count(events, "dead letter", "dead letters");
    let left = match waiting {
        0 => String::new(),
        _ => format!("; {} for it, and can be skipped by number", count(waiting, "event still waits", "events still wait")),
    };
    format!("{done} {letters} of {webhook}{left}")
}

/// Returns the body of a request: numbers, or the name of one webhook.
fn body(events: &[String]) -> Result<Value, CliError> {
    let numbers: Vec<i64> = events.iter().filter_map(|event| event.parse().ok()).collect();
    match events {
        [name] if numbers.is_empty() => Ok(json!({"webhook": name})),
        _ if numbers.len() == events.len() => Ok(json!({"numbers": numbers})),
        _ => Err(CliError("name either one webhook, or events by their numbers: `parlance webhooks list` shows both".to_owned())),
    }
}

fn path(options: &ListOptions) -> Result<String, CliError> {
    let limit = options.limit;
    let Some(webhook) = &options.webhook else { return Ok(format!("{ROUTE}?limit={limit}")) };
    let is_plain = webhook.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if !is_plain {
        return Err(CliError(format!("{webhook:?} is no name of a webhook")));
    }
    Ok(format!("{ROUTE}?limit={limit}&webhook={webhook}"))
}

/// Returns the answer for people: a line for each webhook and event.
fn shown(answer: &Value) -> String {
    let list = |name: &str| answer.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut text = String::new();
    for webhook in list("webhooks") {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", webhook_line(webhook));
    }
    if list("webhooks").is_empty() {
        text.push_str("no webhook is configured: WEBHOOK_URL or WEBHOOK_FILE names one\n");
    }
    for event in list("waiting") {
        let _ = writeln!(text, "waits  {}  since {}", event_columns(event), field(event, "queuedAt"));
    }
    for event in list("deadLetters") {
        let _ = writeln!(text, "dead   {}  since {}: {}", event_columns(event), field(event, "diedAt"), field(event, "failure"));
    }
    text
}

fn webhook_line(webhook: &Value) -> String {
    let number = |name: &str| webhook.get(name).and_then(Value::as_u64).unwrap_or_default();
    let mut line = format!(
        "{}  {} delivered, {} wait, {} dead letters",
        field(webhook, "name"),
        number("delivered"),
        number("waiting"),
        number("deadLetters")
    );
    if let Some(failure) = webhook.get("failure").and_then(Value::as_str) {
        let _ = write!(line, "; fails since {}: {failure}", field(webhook, "failingSince"));
    }
    line
}

fn event_columns(event: &Value) -> String {
    let number = event.get("number").and_then(Value::as_i64).unwrap_or_default();
    format!("{number}  {}  {}  {}", field(event, "webhook"), field(event, "event"), field(event, "subject"))
}

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_chosen_by_number_or_by_webhook() {
        let of = |events: &[&str]| body(&events.iter().map(|event| (*event).to_owned()).collect::<Vec<_>>()).ok();
        assert_eq!(of(&["17", "18"]), Some(json!({"numbers": [17, 18]})));
        assert_eq!(of(&["mail"]), Some(json!({"webhook": "mail"})));
        assert_eq!((of(&["mail", "17"]), of(&["mail", "audit"])), (None, None));
    }

    #[test]
    fn it_is_said_what_became_of_them() {
        for (action, chosen, answer, line) in [
            ("skip", json!({"numbers": [1]}), json!({"events": 1, "waiting": 7}), "skipped 1 event"),
            ("skip", json!({"numbers": [1, 2, 3]}), json!({"events": 1}), "skipped 1 event; 2 of these numbers are not there"),
            ("replay", json!({"webhook": "mail"}), json!({"events": 2}), "replayed 2 dead letters of mail"),
            (
                "skip",
                json!({"webhook": "mail"}),
                json!({"events": 0, "waiting": 3}),
                "skipped 0 dead letters of mail; 3 events still wait for it, and can be skipped by number",
            ),
        ] {
            assert_eq!(outcome(action, &chosen, &answer), line);
        }
    }

    #[test]
    fn a_webhook_and_an_event_are_a_line_each() {
        let answer = json!({
            "webhooks": [{"name": "mail", "delivered": 7, "waiting": 1, "deadLetters": 1, "failingSince": "T1", "failure": "the answer is 500"}],
            "waiting": [{"number": 9, "webhook": "mail", "event": "message.created", "subject": "m9", "queuedAt": "T2"}],
            "deadLetters": [{"number": 8, "webhook": "mail", "event": "message.read", "subject": "m8", "diedAt": "T3", "failure": "late"}],
        });
        let lines = [
            "mail  7 delivered, 1 wait, 1 dead letters; fails since T1: the answer is 500",
            "waits  9  mail  message.created  m9  since T2",
            "dead   8  mail  message.read  m8  since T3: late",
        ];
        assert_eq!(shown(&answer).lines().collect::<Vec<_>>(), lines);
        assert!(shown(&json!({})).contains("WEBHOOK_URL"));
    }
}
