//! A stream of a running server, read until somebody has seen enough of it.
use std::io::{self, Write as _};
use std::time::Duration;

use super::failure::Failure;
use super::output::remark;
use super::remote::{AskError, Remote};
use crate::http::{Events, StatusCode, next_chunk};

/// A server that went away is looked for again so often.
const COME_BACK_EVERY: Duration = Duration::from_secs(1);

/// Who reads a stream.
pub(super) trait Reader {
    /// Makes of an event's data what is shown of it.
    ///
    /// # Errors
    /// It is none that Parlance says.
    fn show(&mut self, data: &str) -> Result<String, AskError>;

    /// The server is there, and will say what happens from now on.
    fn note_start(&mut self) {}

    /// The server went away, and is looked for.
    fn note_loss(&mut self) {}
}

/// Writes what a stream says to standard output, over restarts of the server, until nobody reads that any more.
///
/// # Errors
/// The server is not there at first, lets us not in, or says what it never does.
pub(super) async fn follow(remote: &Remote, path: &str, reader: &mut impl Reader) -> Result<(), Failure> {
    let mut is_wanted = read(remote, path, reader).await.map_err(|error| remote.advise(error))?;
    while is_wanted {
        // It restarts, or the network was away. It was there once, so it is waited for.
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

/// Tells whether a server that just starts or stops may answer so.
fn is_passing(error: &AskError) -> bool {
    match error {
        AskError::Away(_) => true,
        AskError::Refused(status, ..) => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
        AskError::Odd(_) => false,
    }
}

/// Shows what one stream says, until it ends. Whether more is wanted.
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
