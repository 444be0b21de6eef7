//! Follows an event stream of a running server.
use std::io::{self, Write as _};
use std::time::Duration;

use super::error::CliError;
use super::output::remark;
use super::remote::{AskError, Remote};
use crate::http::{Events, StatusCode, next_chunk};

/// Interval of reconnection attempts.
const COME_BACK_EVERY: Duration = Duration::from_secs(1);

/// Formats the events of a stream.
pub(super) trait Reader {
    /// Returns the text to print for an event's data.
    ///
    /// # Errors
    /// The data does not come from Parlance.
    fn show(&mut self, data: &str) -> Result<String, AskError>;

    /// Notes that the stream has begun.
    fn note_start(&mut self) {}

    /// Notes that the server was lost; reconnecting begins.
    fn note_loss(&mut self) {}
}

/// Prints a stream to standard output, across restarts of the server, until the output is closed.
///
/// # Errors
/// The server is unreachable at first, refuses us, or sends something else.
pub(super) async fn follow(remote: &Remote, path: &str, reader: &mut impl Reader) -> Result<(), CliError> {
    let mut is_wanted = read(remote, path, reader).await.map_err(|error| remote.advise(error))?;
    while is_wanted {
        // It is restarting, or the network failed. It was there once, so it is worth waiting for.
        reader.note_loss();
        remark(&format!("parlance: the server at {} went away; looking for it", remote.base()));
        is_wanted = loop {
            tokio::time::sleep(COME_BACK_EVERY).await;
            match read(remote, path, reader).await {
                Ok(is_wanted) => break is_wanted,
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(remote.advise(error)),
            }
        };
    }
    Ok(())
}

/// Returns whether a server that is starting or stopping may answer so.
fn is_passing(error: &AskError) -> bool {
    match error {
        AskError::Away(_) => true,
        AskError::Refused(status, ..) => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
        AskError::Odd(_) => false,
    }
}

/// Prints one stream to its end. Returns whether the output is still open.
async fn read(remote: &Remote, path: &str, reader: &mut impl Reader) -> Result<bool, AskError> {
    let mut response = remote.stream(path).await?;
    reader.note_start();
    let mut events = Events::default();
    while let Ok(Some(chunk)) = next_chunk(&mut response).await {
        let complete = events.push(&chunk).map_err(|_| AskError::Odd("a line without an end".to_owned()))?;
        let text = complete.iter().map(|event| reader.show(&event.data)).collect::<Result<String, AskError>>()?;
        let mut stdout = io::stdout().lock();
        if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}
