//! `parlance tail`: events on a running server as they happen.
use std::fmt::Write as _;

use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::error::CliError;
use super::following::{Reader, follow};
use super::output::remark;
use super::remote::{AskError, Remote, RemoteOptions};
use crate::config::Config;
use crate::env::Environment;

/// Options of `tail`.
#[derive(Debug, Args)]
pub(super) struct TailOptions {
    #[command(flatten)]
    remote: RemoteOptions,
    /// Include the arguments of events, which hold the clients' data.
    #[arg(long)]
    bodies: bool,
    /// Only this user's sockets: an id, a username or an e-mail address.
    #[arg(long)]
    user: Option<String>,
    /// Only this socket: its id.
    #[arg(long)]
    socket: Option<String>,
    /// Only events in this dialect.
    #[arg(long)]
    dialect: Option<String>,
    /// Only events of this name.
    #[arg(long)]
    event: Option<String>,
    /// Print JSON, one object a line, as sent by the server.
    #[arg(long)]
    json: bool,
}

/// Prints events until interrupted.
pub(super) async fn execute(options: &TailOptions, environment: &Environment, config: &Config) -> Result<(), CliError> {
    let remote = Remote::new(&options.remote, environment, config)?;
    let user = match &options.user {
        Some(who) => Some(find_user(&remote, who).await.map_err(|error| remote.advise(error))?),
        None => None,
    };
    let mut lines = Lines { is_json: options.json, place: remote.base().to_owned() };
    follow(&remote, &path(options, user.as_deref()), &mut lines).await
}

fn path(options: &TailOptions, user: Option<&str>) -> String {
    let TailOptions { socket, dialect, event, bodies, .. } = options;
    let filters = [("user", user), ("socket", socket.as_deref()), ("dialect", dialect.as_deref()), ("event", event.as_deref())];
    let mut path = format!("/api/admin/events/stream?bodies={bodies}");
    for (name, value) in filters {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(path, "&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
    }
    path
}

/// Finds a user by id, username or e-mail address; returns the id.
async fn find_user(remote: &Remote, who: &str) -> Result<String, AskError> {
    let path = format!("/api/admin/explain/user/{}", utf8_percent_encode(who, NON_ALPHANUMERIC));
    let answer = remote.get(&path).await?;
    let id = answer.pointer("/user/id").and_then(Value::as_str);
    id.map(str::to_owned).ok_or_else(|| AskError::Odd("a user without an id".to_owned()))
}

/// Formats one line per event.
struct Lines {
    is_json: bool,
    place: String,
}

impl Reader for Lines {
    fn note_start(&mut self) {
        // Nothing else appears until an event comes.
        remark(&format!("parlance: watching {}; Ctrl-C ends it", self.place));
    }

    fn show(&mut self, data: &str) -> Result<String, AskError> {
        if self.is_json {
            return Ok(format!("{data}\n"));
        }
        let entry: Value = serde_json::from_str(data).map_err(|_| AskError::Odd("a line that is no JSON".to_owned()))?;
        Ok(shown(&entry))
    }
}

/// Formats a line for people: time, event, and the socket's user.
fn shown(entry: &Value) -> String {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| entry.get(name).and_then(Value::as_u64).unwrap_or_default();
    let what = text("what");
    if what == "lost" {
        return format!("… {} not shown: they came too fast\n", entry.get("count").unwrap_or(&Value::Null));
    }
    let (_, time) = text("time").trim_end_matches('Z').split_once('T').unwrap_or_default();
    let more = match what {
        "connected" => format!("{} {} {}", text("username"), text("transport"), text("address")),
        "updated" => text("transport").to_owned(),
        "disconnected" => text("reason").to_owned(),
        "joined" | "left" => text("room").to_owned(),
        "hook_refused" => format!("{}: {} {}", text("question"), text("code"), text("cause")),
        "hook_failed" => format!("{}: {}", text("question"), text("cause")),
        "forward_failed" => format!("{}: {}", text("event"), text("cause")),
        "webhook_failed" => format!("{}: {}, {} wait", text("webhook"), text("cause"), number("waiting")),
        "webhook_gave_up" => format!("{}: {} became dead letters", text("webhook"), number("events")),
        _ => event(entry),
    };
    // Some incidents are about no user, or no socket.
    let known = |name: &str| Some(text(name)).filter(|text| !text.is_empty()).unwrap_or("-").to_owned();
    let line = format!("{time}  {what:<12}  {}  {}  {more}", known("user"), known("socket"));
    // Texts from clients must not control the terminal.
    let plain: String = line.chars().map(|shown| if shown.is_control() { '\u{fffd}' } else { shown }).collect();
    format!("{}\n", plain.trim_end())
}

/// Formats `name (dialects) arguments`.
fn event(entry: &Value) -> String {
    let list = |name: &str| entry.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut shown = entry.get("event").and_then(Value::as_str).unwrap_or_default().to_owned();
    let dialects: Vec<&str> = list("dialects").iter().filter_map(Value::as_str).collect();
    if !dialects.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(shown, " ({})", dialects.join(", "));
    }
    for argument in list("args") {
        let _ = write!(shown, " {argument}");
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_for_people() {
        for (mut entry, expected) in [
            (
                json!({"what": "connected", "username": "ann", "transport": "polling", "address": "::1"}),
                "connected     u  s  ann polling ::1",
            ),
            (json!({"what": "updated", "transport": "websocket"}), "updated       u  s  websocket"),
            (json!({"what": "joined", "room": "room:7"}), "joined        u  s  room:7"),
            (json!({"what": "received", "event": "x", "dialects": []}), "received      u  s  x"),
            (
                json!({"what": "sent", "event": "x", "dialects": ["agent", "listing"], "args": [1, {"a": "b"}]}),
                "sent          u  s  x (agent, listing) 1 {\"a\":\"b\"}",
            ),
        ] {
            for (name, value) in [("time", "2026-01-02T03:04:05.678Z"), ("socket", "s"), ("user", "u")] {
                entry[name] = json!(value);
            }
            assert_eq!(shown(&entry), format!("03:04:05.678  {expected}\n"));
        }
        for (entry, expected) in [
            (
                json!({"what": "hook_refused", "user": "u", "question": "send", "code": "PHONE", "cause": "No numbers"}),
                "hook_refused  u  -  send: PHONE No numbers",
            ),
            (json!({"what": "hook_failed", "user": "u", "question": "join", "cause": "late"}), "hook_failed   u  -  join: late"),
            (
                json!({"what": "forward_failed", "user": "u", "socket": "s", "event": "app:x", "cause": "late"}),
                "forward_failed  u  s  app:x: late",
            ),
            (
                json!({"what": "webhook_failed", "webhook": "mail", "cause": "late", "waiting": 3}),
                "webhook_failed  -  -  mail: late, 3 wait",
            ),
            (
                json!({"what": "webhook_gave_up", "webhook": "mail", "events": 3}),
                "webhook_gave_up  -  -  mail: 3 became dead letters",
            ),
        ] {
            assert_eq!(shown(&entry), format!("  {expected}\n"));
        }
        assert_eq!(shown(&json!({"what": "lost", "count": 7})), "… 7 not shown: they came too fast\n");
    }

    #[test]
    fn nothing_that_a_client_made_up_commands_the_terminal() {
        let line = shown(&json!({"what": "received", "event": "\u{1b}[2J\n", "dialects": ["a\u{9b}"]}));
        assert!(line.trim_end_matches('\n').chars().all(|shown| !shown.is_control()), "{line:?}");
    }
}
