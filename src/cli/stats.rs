//! `parlance stats`: a running server's figures, as they are and as they change.
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value};

use super::figures::{flat, shown};
use super::remote::{AskError, Remote, RemoteOptions};
use super::{Failure, print};
use crate::config::Config;
use crate::env::Environment;
use crate::http::{Events, next_chunk};

/// A server that went away is looked for again so often.
const COME_BACK_EVERY: Duration = Duration::from_secs(1);

/// How the figures are shown.
#[derive(Debug, Args)]
pub(super) struct StatsOptions {
    #[command(flatten)]
    remote: RemoteOptions,
    /// Show them once and end.
    #[arg(long)]
    once: bool,
    /// As JSON, one object a line, as the server gives it.
    #[arg(long)]
    json: bool,
}

/// Shows the figures until it is interrupted.
pub(super) async fn execute(options: &StatsOptions, environment: &Environment, config: &Config) -> Result<(), Failure> {
    let remote = Remote::new(&options.remote, environment, config)?;
    if options.once {
        let answer = remote.get("/api/admin/stats").await.map_err(|error| remote.advise(error))?;
        let figures = answer.get("stats").and_then(Value::as_object).cloned().unwrap_or_default();
        return if options.json { print(&format!("{}\n", Value::Object(figures))) } else { print(&shown(&figures, None, 100)) };
    }
    let mut screen = Screen::new(options.json, remote.base());
    watch(&remote, &mut screen).await.map_err(|error| remote.advise(error))?;
    while !screen.is_closed {
        // The server restarts, or the network was away. It was there once, so it is waited for.
        screen.note_loss();
        tokio::time::sleep(COME_BACK_EVERY).await;
        match watch(&remote, &mut screen).await {
            Ok(()) | Err(AskError::Away(_)) => {}
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(remote.advise(error)),
        }
    }
    Ok(())
}

/// Whether a server that just starts or stops may answer so.
fn is_passing(error: &AskError) -> bool {
    matches!(error, AskError::Refused(status, ..) if status.is_server_error())
}

/// Shows what one stream says, until it ends.
async fn watch(remote: &Remote, screen: &mut Screen) -> Result<(), AskError> {
    let mut response = remote.stream("/api/admin/stats/stream").await?;
    let mut events = Events::default();
    while let Ok(Some(chunk)) = next_chunk(&mut response).await {
        let complete = events.push(&chunk).map_err(|_| AskError::Odd("a line without an end".to_owned()))?;
        for line in complete {
            screen.show(&line)?;
            if screen.is_closed {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Where the figures go.
struct Screen {
    is_json: bool,
    is_terminal: bool,
    place: String,
    before: Option<Map<String, Value>>,
    is_closed: bool,
}

impl Screen {
    fn new(is_json: bool, place: &str) -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self { is_json, is_terminal, place: place.to_owned(), before: None, is_closed: false }
    }

    fn show(&mut self, line: &str) -> Result<(), AskError> {
        let odd = || AskError::Odd("a line of figures is no JSON object".to_owned());
        let figures: Map<String, Value> = serde_json::from_str(line).map_err(|_| odd())?;
        let text = if self.is_json {
            format!("{line}\n")
        } else if self.is_terminal {
            self.page(&figures)
        } else {
            flat(&figures)
        };
        self.before = Some(figures);
        self.write(&text);
        Ok(())
    }

    /// A whole page, drawn over the last one.
    fn page(&self, figures: &Map<String, Value>) -> String {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
        let (width, height) = size.map_or((80, 24), |size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        let body = shown(figures, self.before.as_ref(), width.max(40));
        // Home, and from there on each line is cleared before the next.
        let mut text = format!("\x1b[H{}  –  Ctrl-C ends\x1b[K\r\n", self.place);
        for line in body.lines().take(height.saturating_sub(2)) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{line}\x1b[K\r\n");
        }
        text.push_str("\x1b[J");
        text
    }

    fn note_loss(&mut self) {
        self.before = None;
        let _ = writeln!(io::stderr(), "parlance: the server at {} went away; looking for it", self.place);
    }

    /// A reader that has seen enough ends it.
    fn write(&mut self, text: &str) {
        let mut stdout = io::stdout().lock();
        self.is_closed = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err();
    }
}
