//! Client of a running server.
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::error::CliError;
use crate::config::Config;
use crate::env::Environment;
use crate::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use crate::http::{HttpClient, RequestBuilder, Response, Route, StatusCode, Trust, cause_of, http_client, read_up_to};

/// Time limit for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest answer read, in bytes.
const ANSWER_MAX_BYTES: usize = 16 * 1024 * 1024;

/// The server, and the key for it.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct RemoteOptions {
    /// Address of the running server; default: PARLANCE_URL, else the address of this configuration.
    #[arg(long)]
    url: Option<String>,
    /// One of the server's API_KEYS, or an administrator's token; default: PARLANCE_KEY, else the first of this
    /// configuration's API_KEYS.
    #[arg(long)]
    key: Option<String>,
}

/// A running server.
pub(super) struct Remote {
    base: String,
    http: HttpClient,
    has_key: bool,
    is_named: bool,
}

/// Reasons for getting no successful answer.
#[derive(Debug)]
pub(super) enum AskError {
    /// The server is unreachable, for this reason.
    Away(String),
    /// The server refused: status, code, sentence.
    Refused(StatusCode, String, String),
    /// The answer makes no sense.
    Odd(String),
}

impl Remote {
    /// Finds the server: the one named, or the one of this configuration.
    ///
    /// # Errors
    /// If the address or the key is malformed.
    pub(super) fn new(options: &RemoteOptions, environment: &Environment, config: &Config) -> Result<Self, CliError> {
        let set = |name: &str| {
            let (value, _) = environment.find(name)?;
            value.to_str().map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned)
        };
        let named = options.url.clone().or_else(|| set("PARLANCE_URL"));
        let is_named = named.is_some();
        let base = named.map_or_else(|| own_address(config), Ok)?;
        let base = base.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(CliError(format!("{base:?} is not the address of a server: write one such as http://localhost:3000")));
        }
        // The key of this configuration must not be sent to another server.
        let own_key = config.api_keys.first().map(|key| key.secret.expose()).filter(|_| !is_named).map(str::to_owned);
        let key = options.key.clone().or_else(|| set("PARLANCE_KEY")).or(own_key);
        let headers = headers(key.as_deref())?;
        // Our own certificate is for the public name, and may be self-signed.
        let trust = if is_named { Trust::Certified } else { Trust::Everybody };
        let http = http_client(&base, (trust, Route::Direct), headers, CONNECT_TIMEOUT).map_err(CliError::new)?;
        Ok(Self { base, http, has_key: key.is_some(), is_named })
    }

    /// Returns its address.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Returns whether the server was named explicitly.
    pub(super) fn is_named(&self) -> bool {
        self.is_named
    }

    /// Returns whether there is a key.
    pub(super) fn has_key(&self) -> bool {
        self.has_key
    }

    /// Sends a GET.
    pub(super) async fn get(&self, path: &str) -> Result<Value, AskError> {
        self.ask(self.http.get(format!("{}{path}", self.base))).await
    }

    /// Sends a POST.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, AskError> {
        let request = self.http.post(format!("{}{path}", self.base)).header(CONTENT_TYPE, "application/json");
        self.ask(request.body(body.to_string())).await
    }

    /// Opens an event stream.
    pub(super) async fn stream(&self, path: &str) -> Result<Response, AskError> {
        let sent = timeout(ANSWER_TIMEOUT, self.http.get(format!("{}{path}", self.base)).send()).await;
        let response = sent.map_err(|_| too_late())?.map_err(|error| AskError::Away(cause_of(error)))?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    /// Turns an error into one line of advice.
    pub(super) fn advise(&self, error: AskError) -> CliError {
        let Self { base, has_key, .. } = self;
        match error {
            AskError::Away(cause) => CliError(format!(
                "no server answers at {base} ({cause}): start one with `parlance serve`, or name another with --url or PARLANCE_URL"
            )),
            AskError::Refused(StatusCode::UNAUTHORIZED, ..) if !has_key => CliError(format!(
                "{base} wants a key: give one of its API_KEYS, or an administrator's token, with --key or PARLANCE_KEY"
            )),
            AskError::Refused(StatusCode::UNAUTHORIZED, code, _) => CliError(format!(
                "{base} refuses the key ({code}): it must be one of the API_KEYS that the server was started with, or the valid \
                 token of an administrator"
            )),
            AskError::Refused(StatusCode::FORBIDDEN, _, text) => {
                CliError(format!("{base} refuses it ({text}): give one of its API_KEYS with --key or PARLANCE_KEY"))
            }
            AskError::Refused(StatusCode::NOT_FOUND, code, _) if code.is_empty() => CliError(format!(
                "{base} is not a Parlance server, or an older one: name the right one with --url or PARLANCE_URL"
            )),
            AskError::Refused(StatusCode::NOT_FOUND, _, text) if text.starts_with("User") => {
                CliError(format!("{base} knows no such user: `parlance user list` shows all, on its machine"))
            }
            AskError::Refused(StatusCode::NOT_FOUND, _, text) if text.starts_with("Conversation") => {
                CliError(format!("{base} knows no such conversation: its members read their ids at /api/conversations"))
            }
            AskError::Refused(status, code, text) => CliError(format!("{base} answered {}: {text} ({code})", status.as_u16())),
            AskError::Odd(cause) => CliError(format!(
                "{base} does not answer like a Parlance server ({cause}): name the right one with --url or PARLANCE_URL"
            )),
        }
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Value, AskError> {
        let answer = async {
            let response = request.send().await.map_err(|error| AskError::Away(cause_of(error)))?;
            if !response.status().is_success() {
                return Err(refusal(response).await);
            }
            let body = read_up_to(response, ANSWER_MAX_BYTES).await.map_err(AskError::Odd)?;
            serde_json::from_str(&body).map_err(|_| AskError::Odd("its answer is not JSON".to_owned()))
        };
        timeout(ANSWER_TIMEOUT, answer).await.unwrap_or_else(|_| Err(too_late()))
    }
}

fn too_late() -> AskError {
    AskError::Away(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()))
}

async fn refusal(response: Response) -> AskError {
    let status = response.status();
    let body = read_up_to(response, ANSWER_MAX_BYTES).await.unwrap_or_default();
    let body: Value = serde_json::from_str(&body).unwrap_or(json!({}));
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    AskError::Refused(status, text("code"), text("message"))
}

/// Makes the headers that carry a token or a key. A token is recognised by its form: three parts, the first one an
/// encoded JSON object.
fn headers(key: Option<&str>) -> Result<HeaderMap, CliError> {
    let mut headers = HeaderMap::new();
    let Some(key) = key else { return Ok(headers) };
    let is_token = key.starts_with("eyJ") && key.split('.').count() == 3;
    let (name, text) = match is_token {
        true => (AUTHORIZATION, format!("Bearer {key}")),
        false => (HeaderName::from_static("x-api-key"), key.to_owned()),
    };
    let value = HeaderValue::from_str(&text);
    let mut value =
        value.map_err(|_| CliError("the key has characters that are not allowed in a request: check --key".to_owned()))?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(headers)
}

/// Returns the address at which this machine reaches the configured server.
fn own_address(config: &Config) -> Result<String, CliError> {
    let host = match config.host.seen_from_here() {
        address if address.contains(':') => format!("[{address}]"),
        host => host,
    };
    match config.port {
        0 => Err(CliError("PORT=0 does not tell where the server is: give its address with --url or PARLANCE_URL".to_owned())),
        port => Ok(format!("{}://{host}:{port}", if config.speaks_tls() { "https" } else { "http" })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Host;

    #[test]
    fn a_server_is_reached_where_it_listens() {
        for (host, expected) in [
            (Host::Localhost, "http://localhost:3000"),
            (Host::Address("0.0.0.0".parse().unwrap()), "http://localhost:3000"),
            (Host::Address("::".parse().unwrap()), "http://localhost:3000"),
            (Host::Address("10.0.0.7".parse().unwrap()), "http://10.0.0.7:3000"),
            (Host::Address("::1".parse().unwrap()), "http://[::1]:3000"),
            (Host::Name("chat.internal".to_owned()), "http://chat.internal:3000"),
        ] {
            assert_eq!(own_address(&Config { host, ..Config::default() }).unwrap(), expected);
        }
        let speaks_tls = Config { tls_cert: Some("cert.pem".into()), ..Config::default() };
        assert_eq!(own_address(&speaks_tls).unwrap(), "https://localhost:3000");
        assert!(own_address(&Config { port: 0, ..Config::default() }).is_err());
    }

    #[test]
    fn tokens_and_keys_have_headers_of_their_own() {
        assert_eq!(headers(Some("eyJh.eyJi.c")).unwrap()["authorization"], "Bearer eyJh.eyJi.c");
        assert_eq!(headers(Some("a.b.c")).unwrap()["x-api-key"], "a.b.c");
        assert!(headers(Some("a\nb")).is_err());
        assert!(headers(None).unwrap().is_empty());
    }
}
