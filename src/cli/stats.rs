//! `parlance stats`: a running server's figures, once or continuously.
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

use clap::Args;
use serde_json::{Map, Value};

use super::error::CliError;
use super::figures::{flat, shown};
use super::following::{Reader, follow};
use super::output::print;
use super::remote::{AskError, Remote, RemoteOptions};
use crate::config::Config;
use crate::env::Environment;

/// Options of `stats`.
#[derive(Debug, Args)]
pub(super) struct StatsOptions {
    #[command(flatten)]
    remote: RemoteOptions,
    /// Print them once and exit.
    #[arg(long)]
    once: bool,
    /// Print JSON, one object a line, as sent by the server.
    #[arg(long)]
    json: bool,
}

/// Shows the figures until interrupted.
pub(super) async fn execute(options: &StatsOptions, environment: &Environment, config: &Config) -> Result<(), CliError> {
    let remote = Remote::new(&options.remote, environment, config)?;
    if options.once {
        let answer = remote.get("/api/admin/stats").await.map_err(|error| remote.advise(error))?;
        let figures = answer.get("stats").and_then(Value::as_object).cloned().unwrap_or_default();
        return if options.json { print(&format!("{}\n", Value::Object(figures))) } else { print(&shown(&figures, None, 100)) };
    }
    let mut screen = Screen::new(options.json, remote.base());
    follow(&remote, "/api/admin/stats/stream", &mut screen).await
}

/// Output of the figures.
struct Screen {
    is_json: bool,
    is_terminal: bool,
    place: String,
    before: Option<Map<String, Value>>,
}

impl Screen {
    fn new(is_json: bool, place: &str) -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self { is_json, is_terminal, place: place.to_owned(), before: None }
    }

    /// Returns a whole page, to be drawn over the last one.
    fn page(&self, figures: &Map<String, Value>) -> String {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
        let (width, height) = size.map_or((80, 24), |size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        let body = shown(figures, self.before.as_ref(), width.max(40));
        // Cursor home; from there each line is cleared to its end.
        let mut text = format!("\x1b[H{}  –  Ctrl-C ends\x1b[K\r\n", self.place);
        for line in body.lines().take(height.saturating_sub(2)) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{line}\x1b[K\r\n");
        }
        text.push_str("\x1b[J");
        text
    }
}

impl Reader for Screen {
    fn show(&mut self, data: &str) -> Result<String, AskError> {
        let odd = || AskError::Odd("a line of figures is no JSON object".to_owned());
        let figures: Map<String, Value> = serde_json::from_str(data).map_err(|_| odd())?;
        let text = if self.is_json {
            format!("{data}\n")
        } else if self.is_terminal {
            self.page(&figures)
        } else {
            flat(&figures)
        };
        self.before = Some(figures);
        Ok(text)
    }

    fn note_loss(&mut self) {
        self.before = None;
    }
}
