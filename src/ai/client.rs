//! One question, over HTTP: asked again while the provider wants us to wait, read whole or piece by piece.
use std::time::Duration;

use chrono::{DateTime, Utc};
use log::warn;
use tokio::time::{Instant, sleep, timeout};

use super::protocol::{Part, Protocol};
use crate::chat::{ModelError, Turn};
use crate::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use crate::http::{Events, HttpClient, Response, StatusCode, Trust, cause_of, http_client, next_chunk, read_up_to};

/// A connection that takes longer will not come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer, as long as the longest message that clients may send.
const ANSWER_MAX_BYTES: usize = 1_000_000;
/// Longest body: an answer has more around it.
const BODY_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Of a refusal no more is read.
const REFUSAL_MAX_BYTES: usize = 64 * 1024;
/// Longest name of a refusal in the log, in characters.
const REFUSAL_NAME_MAX: usize = 64;
/// How often one is asked again who does not say when.
const BLIND_RETRIES: u32 = 3;
/// How long that takes the first time; then twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Why there is no answer; the cause is for the log.
#[derive(Debug)]
struct Failed {
    error: ModelError,
    cause: String,
}

impl Failed {
    fn because(cause: impl ToString) -> Self {
        Self { error: ModelError::Failed, cause: cause.to_string() }
    }
}

/// What one try came to.
enum Tried {
    Answered(String),
    /// Ask again later, after this time if it is known.
    Later(StatusCode, Option<Duration>),
}

/// Where pieces of an answer go.
pub trait Pieces {
    /// Passes one on, and waits until there is room for the next.
    async fn piece(&mut self, text: String);
}

/// Asks a provider.
#[derive(Debug)]
pub struct Client {
    http: HttpClient,
    protocol: Box<dyn Protocol>,
    timeout: Duration,
}

impl Client {
    /// Asks by `protocol` with this key; an answer may take as long as `timeout`.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub fn new(protocol: Box<dyn Protocol>, key: Option<&str>, timeout: Duration) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = key {
            let (name, prefix) = protocol.key_header();
            let value = HeaderValue::from_str(&format!("{prefix}{}", key.trim()));
            let mut value = value.map_err(|_| "AI_API_KEY: is not a key that a request can carry".to_owned())?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        let http = http_client(&protocol.address(false), Trust::Certified, headers, CONNECT_TIMEOUT.min(timeout))
            .map_err(|cause| format!("the AI provider cannot be asked: {cause}"))?;
        Ok(Self { http, protocol, timeout })
    }

    /// Asks and gives the answer, not empty. With `pieces` they get it as it comes, before it is known to be whole.
    ///
    /// # Errors
    /// [`ModelError`] if there is none; the cause is in the log.
    pub async fn ask(&self, turns: &[Turn], pieces: Option<&mut impl Pieces>) -> Result<String, ModelError> {
        let too_late = || Err(Failed { error: ModelError::Timeout, cause: format!("no answer within {:?}", self.timeout) });
        let answer = timeout(self.timeout, self.ask_patiently(turns, pieces)).await.unwrap_or_else(|_| too_late());
        answer.map_err(|Failed { error, cause }| {
            warn!(code = error.code(), cause; "the model did not answer");
            error
        })
    }

    async fn ask_patiently(&self, turns: &[Turn], mut pieces: Option<&mut impl Pieces>) -> Result<String, Failed> {
        let ends_at = Instant::now() + self.timeout;
        let request = self.protocol.request(turns, pieces.is_some());
        for tries in 0.. {
            let (status, wanted) = match self.attempt(&request, &mut pieces).await? {
                Tried::Answered(answer) => return Ok(answer),
                Tried::Later(status, wanted) => (status, wanted),
            };
            let pause = pause_after(tries, wanted).filter(|pause| is_over_before(ends_at, *pause));
            let Some(pause) = pause else {
                let error = ModelError::Busy { retry_after: wanted };
                return Err(Failed { error, cause: format!("status={} retry_after={wanted:?}", status.as_u16()) });
            };
            sleep(pause).await;
        }
        Err(Failed::because("asked too often"))
    }

    async fn attempt(&self, request: &str, pieces: &mut Option<&mut impl Pieces>) -> Result<Tried, Failed> {
        let address = self.protocol.address(pieces.is_some());
        let sent = self.http.post(address).body(request.to_owned()).send().await;
        let response = sent.map_err(|error| Failed::because(cause_of(error)))?;
        let status = response.status();
        if !status.is_success() {
            return self.read_refusal(response).await;
        }
        let is_stream =
            response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let answer = if is_stream { self.read_stream(response, pieces).await? } else { self.read_whole(response).await? };
        if answer.is_empty() { Err(Failed::because("the answer is empty")) } else { Ok(Tried::Answered(answer)) }
    }

    async fn read_refusal(&self, response: Response) -> Result<Tried, Failed> {
        let status = response.status();
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(retry_after);
        // Why the rest of it is missing is of no interest.
        let body = read_up_to(response, REFUSAL_MAX_BYTES).await.unwrap_or_default();
        let wanted = header.or_else(|| self.protocol.retry_after(&body));
        if status == StatusCode::TOO_MANY_REQUESTS || (status == StatusCode::SERVICE_UNAVAILABLE && wanted.is_some()) {
            return Ok(Tried::Later(status, wanted));
        }
        let name = self.protocol.refusal(&body).filter(|name| is_plain_name(name)).unwrap_or_default();
        Err(Failed::because(format!("status={} {name}", status.as_u16()).trim_end()))
    }

    async fn read_whole(&self, response: Response) -> Result<String, Failed> {
        let body = read_up_to(response, BODY_MAX_BYTES).await.map_err(Failed::because)?;
        let Part { text, is_last: _ } = self.protocol.read(&body).map_err(Failed::because)?;
        let mut answer = String::new();
        extend(&mut answer, text)?;
        Ok(answer)
    }

    async fn read_stream(&self, mut response: Response, pieces: &mut Option<&mut impl Pieces>) -> Result<String, Failed> {
        let (mut events, mut answer) = (Events::default(), String::new());
        while let Some(chunk) = next_chunk(&mut response).await.map_err(Failed::because)? {
            let mut piece = String::new();
            let mut is_last = false;
            for data in events.push(&chunk).map_err(|_| Failed::because("an event without an end"))? {
                let part = self.protocol.read(&data).map_err(Failed::because)?;
                piece.push_str(&part.text);
                is_last |= part.is_last;
            }
            let piece = extend(&mut answer, piece)?;
            if let Some(pieces) = pieces
                && !piece.is_empty()
            {
                pieces.piece(piece).await;
            }
            if is_last {
                return Ok(answer);
            }
        }
        Err(Failed::because("the stream broke off"))
    }
}

/// Adds to an answer, less what no message may hold; gives what was added.
fn extend(answer: &mut String, mut text: String) -> Result<String, Failed> {
    text.retain(|character| character != '\0');
    if answer.len() + text.len() > ANSWER_MAX_BYTES {
        return Err(Failed::because("the answer is too long"));
    }
    answer.push_str(&text);
    Ok(text)
}

/// How long to wait after so many tries. As long as is wanted, and longer from try to try: who wants no pause, or one that
/// has passed, is not asked without end. `None`: who does not say when is not asked so often.
fn pause_after(tries: u32, wanted: Option<Duration>) -> Option<Duration> {
    let least = FIRST_PAUSE * 2u32.pow(tries.min(BLIND_RETRIES));
    wanted.map(|wanted| wanted.max(least)).or((tries < BLIND_RETRIES).then_some(least))
}

/// Whether a pause that begins now leaves time to ask. A provider may want a longer one than any clock can tell.
fn is_over_before(ends_at: Instant, pause: Duration) -> bool {
    Instant::now().checked_add(pause).is_some_and(|end| end < ends_at)
}

/// `Retry-After`: seconds, or a date.
fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    // A date that has passed: at once.
    Some((date.to_utc() - Utc::now()).to_std().unwrap_or_default())
}

/// A provider's name for an error, and not a sentence, which may repeat what was said.
fn is_plain_name(name: &str) -> bool {
    name.len() <= REFUSAL_NAME_MAX && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_to_come_back_is_seconds_or_a_date() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let later = (Utc::now() + chrono::Duration::seconds(60)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        assert!((Duration::from_secs(50)..Duration::from_secs(61)).contains(&retry_after(&later).unwrap()), "{later}");
        for nonsense in ["", "soon", "-1", "1.5"] {
            assert_eq!(retry_after(nonsense), None, "{nonsense}");
        }
    }

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

    #[test]
    fn an_answer_holds_nothing_that_cannot_be_stored() {
        let mut answer = "a".to_owned();
        assert_eq!(extend(&mut answer, "b\0c".to_owned()).unwrap(), "bc");
        assert_eq!(answer, "abc");
        assert!(extend(&mut answer, "x".repeat(ANSWER_MAX_BYTES)).is_err());
    }

    #[test]
    fn the_log_names_refusals_and_repeats_no_sentence() {
        for (name, is_plain) in [("RESOURCE_EXHAUSTED", true), ("model_not_found", true), ("you said so", false), ("sk-1", false)]
        {
            assert_eq!(is_plain_name(name), is_plain, "{name}");
        }
    }
}
