//! One question over HTTP: retried while the provider asks to wait or to send less; the answer is read whole or as a
//! stream.
use std::time::Duration;

use log::{info, warn};
use tokio::time::{Instant, sleep, timeout_at};

use super::json::Json;
use super::protocol::{Broken, Protocol};
use super::reading::{Reading, Said, Stop};
use super::refusal::{is_plain_name, is_too_long, retry_after};
use super::turns::{in_turn, shorter};
use crate::chat::{ModelError, Turn};
use crate::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use crate::http::{HttpClient, Response, Route, StatusCode, Trust, cause_of, has_known_end, http_client, next_chunk, read_up_to};

/// Time after which a connection attempt is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of bytes read of a refusal.
const REFUSAL_MAX_BYTES: usize = 64 * 1024;
/// Maximum number of retries if the provider does not say when to retry.
const BLIND_RETRIES: u32 = 3;
/// Pause before the first of them; doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Time for which the stream is still read after the provider marked the end, in case more follows.
const AFTER_END: Duration = Duration::from_secs(2);

/// Reason for the lack of an answer; the cause is for the log.
#[derive(Debug)]
struct Failed {
    error: ModelError,
    cause: String,
}

/// Failure of one attempt.
#[derive(Debug)]
enum Trouble {
    /// Retry later, after this time if known.
    Later(StatusCode, Option<Duration>),
    /// The connection broke before anything was said, or could not be made: may be retried once.
    Lost(String),
    /// Retry with less.
    TooLong(String),
    Failed(Failed),
}

impl Trouble {
    fn because(cause: impl ToString) -> Self {
        Self::Failed(Failed { error: ModelError::Failed, cause: cause.to_string() })
    }
}

/// Time limits for a provider.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Between two signs of life.
    pub silence: Duration,
    /// In all.
    pub total: Duration,
}

impl Patience {
    /// Returns the end of a silence that began at `last`.
    fn ends_at(self, last: Instant) -> Instant {
        last.min(Instant::now() + self.silence)
    }
}

/// Receiver of pieces of an answer.
pub(super) trait Pieces {
    /// Passes a piece on, and waits until there is room for the next.
    async fn piece(&mut self, text: String);
}

/// Client of a provider.
#[derive(Debug)]
pub(super) struct Client {
    http: HttpClient,
    protocol: Box<dyn Protocol>,
    patience: Patience,
}

impl Client {
    /// Makes a client that speaks `protocol` with this key.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub(super) fn new(protocol: Box<dyn Protocol>, key: Option<&str>, patience: Patience) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(key) = key {
            let (name, prefix) = protocol.key_header();
            let value = HeaderValue::from_str(&format!("{prefix}{}", key.trim()));
            let mut value = value.map_err(|_| "AI_API_KEY: is not a key that a request can carry".to_owned())?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        let connect_timeout = CONNECT_TIMEOUT.min(patience.silence);
        let http = http_client(&protocol.address(false), (Trust::Certified, Route::AsTheMachineSays), headers, connect_timeout)
            .map_err(|cause| format!("the AI provider cannot be asked: {cause}"))?;
        Ok(Self { http, protocol, patience })
    }

    /// Asks, and returns the answer. If given, `pieces` receive it as it arrives, before it is known to be complete.
    ///
    /// # Errors
    /// [`ModelError`] if there is no answer; the log has the cause.
    pub(super) async fn ask(&self, turns: &[Turn], pieces: Option<&mut impl Pieces>) -> Result<Said, ModelError> {
        self.ask_patiently(in_turn(turns), pieces).await.map_err(|Failed { error, cause }| {
            warn!(code = error.code(), cause; "the model did not answer");
            error
        })
    }

    async fn ask_patiently(&self, mut turns: Vec<Turn>, mut pieces: Option<&mut impl Pieces>) -> Result<Said, Failed> {
        let asked_at = Instant::now();
        let ends_at = asked_at + self.patience.total;
        let pauses_end_at = self.patience.ends_at(ends_at);
        let (mut tries, mut was_lost) = (0, false);
        loop {
            let trouble = match self.attempt(&turns, &mut pieces, ends_at).await {
                Ok(said) => return Ok(said),
                Err(trouble) => trouble,
            };
            let pause = match trouble {
                Trouble::Failed(failed) => return Err(failed),
                Trouble::Later(status, wanted) => {
                    let pause = pause_after(tries, wanted).filter(|pause| is_over_before(pauses_end_at, *pause));
                    tries = tries.saturating_add(1);
                    pause.ok_or_else(|| Failed {
                        error: ModelError::Busy { retry_after: wanted },
                        cause: format!("status={} retry_after={wanted:?}", status.as_u16()),
                    })?
                }
                Trouble::Lost(cause) => {
                    if was_lost || !is_over_before(ends_at, FIRST_PAUSE) {
                        return Err(Failed { error: ModelError::Failed, cause });
                    }
                    was_lost = true;
                    FIRST_PAUSE
                }
                Trouble::TooLong(cause) => {
                    turns = shorter(&turns).ok_or(Failed { error: ModelError::Failed, cause })?;
                    info!(turns = turns.len(); "the chat is too long for the model, asking with less of it");
                    continue;
                }
            };
            sleep(pause).await;
        }
    }

    async fn attempt(&self, turns: &[Turn], pieces: &mut Option<&mut impl Pieces>, ends_at: Instant) -> Result<Said, Trouble> {
        let (address, request) = (self.protocol.address(pieces.is_some()), self.protocol.request(turns, pieces.is_some()));
        let sent = timeout_at(self.patience.ends_at(ends_at), self.http.post(address).body(request).send()).await;
        let response = sent.map_err(|_| self.too_late())?.map_err(|error| Trouble::Lost(cause_of(error)))?;
        if !response.status().is_success() {
            return Err(self.read_refusal(response, ends_at).await);
        }
        let encoding = response.headers().get(CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(Trouble::because("the answer is compressed, and none such was asked for"));
        }
        self.read(response, pieces, ends_at).await
    }

    fn too_late(&self) -> Trouble {
        let Patience { silence, total } = self.patience;
        let cause = format!("no answer within {silence:?}, or {total:?} in all");
        Trouble::Failed(Failed { error: ModelError::Timeout, cause })
    }

    async fn read_refusal(&self, response: Response, ends_at: Instant) -> Trouble {
        let status = response.status();
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(retry_after);
        // The text only refines the error, so a failure to read it does not matter.
        let body = timeout_at(self.patience.ends_at(ends_at), read_up_to(response, REFUSAL_MAX_BYTES)).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        let json = Json::all(&body).and_then(|values| values.into_iter().next()?.first());
        let wanted = header.or_else(|| self.protocol.retry_after(json?));
        let name = json.and_then(|json| self.protocol.refusal(json)).filter(|name| is_plain_name(name)).unwrap_or_default();
        let cause = format!("status={} {name}", status.as_u16()).trim_end().to_owned();
        let is_away = matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE);
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Trouble::because(cause),
            StatusCode::PAYLOAD_TOO_LARGE => Trouble::TooLong(cause),
            _ if is_too_long(&body) => Trouble::TooLong(cause),
            StatusCode::TOO_MANY_REQUESTS => Trouble::Later(status, wanted),
            _ if is_away && wanted.is_some() => Trouble::Later(status, wanted),
            _ if is_away => Trouble::Lost(cause),
            _ => Trouble::because(cause),
        }
    }

    async fn read(
        &self,
        mut response: Response,
        pieces: &mut Option<&mut impl Pieces>,
        ends_at: Instant,
    ) -> Result<Said, Trouble> {
        let is_sure = has_known_end(&response);
        let mut reading = Reading::new(&*self.protocol);
        let stop = loop {
            let mut silent_until = self.patience.ends_at(ends_at);
            if reading.has_end() {
                silent_until = silent_until.min(Instant::now() + AFTER_END);
            }
            let chunk = match timeout_at(silent_until, next_chunk(&mut response)).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => break Stop::Ended { is_sure },
                // The answer was complete by then.
                Ok(Err(_)) if reading.has_end() => break Stop::Ended { is_sure: true },
                Ok(Err(cause)) if reading.is_silent() => return Err(Trouble::Lost(cause)),
                Ok(Err(cause)) => return Err(Trouble::because(cause)),
                Err(_) => break Stop::Late,
            };
            let is_silent = reading.is_silent();
            let piece = reading.push(&chunk).map_err(|broken| trouble(broken, is_silent))?;
            show(pieces, piece).await;
            if reading.is_over() {
                break Stop::Ended { is_sure: true };
            }
        };
        let is_silent = reading.is_silent();
        let (piece, said) = reading.finish(stop).map_err(|broken| trouble(broken, is_silent))?.ok_or_else(|| self.too_late())?;
        show(pieces, piece).await;
        Ok(said)
    }
}

async fn show(pieces: &mut Option<&mut impl Pieces>, piece: String) {
    if let Some(pieces) = pieces
        && !piece.is_empty()
    {
        pieces.piece(piece).await;
    }
}

/// Returns the reaction to a broken answer; `is_silent`: it had not begun.
fn trouble(broken: Broken, is_silent: bool) -> Trouble {
    if broken == Broken::TooLong && is_silent { Trouble::TooLong(broken.to_string()) } else { Trouble::because(broken) }
}

/// Returns the pause after so many attempts; `None` to give up. It lasts as long as the provider wants, and longer with
/// each attempt, so that a provider wanting no pause, or one in the past, is not asked without end. A provider that
/// names no pause is retried less often.
fn pause_after(tries: u32, wanted: Option<Duration>) -> Option<Duration> {
    let least = FIRST_PAUSE * 2u32.pow(tries.min(BLIND_RETRIES));
    wanted.map(|wanted| wanted.max(least)).or((tries < BLIND_RETRIES).then_some(least))
}

/// Returns whether a pause that starts now leaves time to ask. A provider may want a longer one than a clock can
/// represent.
fn is_over_before(ends_at: Instant, pause: Duration) -> bool {
    Instant::now().checked_add(pause).is_some_and(|end| end < ends_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_as_long_as_is_wanted() {
        let seconds = |seconds: Option<u64>| seconds.map(Duration::from_secs);
        for (tries, wanted, expected) in [
            (0, None, Some(1)),
            (2, None, Some(4)),
            (3, None, None),
            (0, Some(0), Some(1)),
            (2, Some(0), Some(4)),
            (1_000, Some(0), Some(8)),
            (0, Some(30), Some(30)),
        ] {
            assert_eq!(pause_after(tries, seconds(wanted)), seconds(expected), "{tries} {wanted:?}");
        }
    }

    #[test]
    fn no_pause_is_too_long_to_be_refused() {
        let ends_at = Instant::now() + Duration::from_secs(60);
        for (pause, expected) in [(Duration::ZERO, true), (Duration::from_secs(61), false), (Duration::MAX, false)] {
            assert_eq!(is_over_before(ends_at, pause), expected, "{pause:?}");
        }
    }
}
