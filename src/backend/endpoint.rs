//! Requests to one address.
use std::time::Duration;

use tokio::time::timeout;

use super::signer::{Signer, seconds};
use crate::config::{BackendAddress, Secret};
use crate::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use crate::http::{HttpClient, Response, Route, StatusCode, Trust, cause_of, http_client, read_up_to};
use crate::model::Timestamp;

/// Maximum length of an answer, in bytes.
const ANSWER_MAX_BYTES: usize = 64 * 1_024;
/// Time for the body of an answer that is not read.
const REST_LIMIT: Duration = Duration::from_millis(100);

/// Reason for the lack of an answer; `Display` is one line for the log, without the address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EndpointError {
    /// The answer was not complete in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// The server cannot be reached, its certificate is wrong, or the connection broke.
    #[error("{0}")]
    Lost(String),
    /// The answer is a redirect, which is not followed.
    #[error("the answer leads elsewhere ({0}), and is not followed: set the address itself")]
    Redirected(u16),
    /// The answer is an error.
    #[error("the answer is {0}")]
    Status(u16),
    /// The answer is no text, or too long.
    #[error("{0}")]
    Unreadable(String),
}

/// An address that is sent signed requests. Connections are kept and used again.
#[derive(Debug)]
pub(crate) struct Endpoint {
    http: HttpClient,
    address: String,
    signer: Signer,
    timeout: Duration,
}

impl Endpoint {
    /// Makes the endpoint of an address; its answers are complete within `timeout`, or they are [`EndpointError::Late`].
    ///
    /// # Errors
    /// The setting at fault, and what is wrong with it; `settings` names those of the address and of the secret.
    pub(crate) fn new(
        settings: [&str; 2],
        address: &BackendAddress,
        secret: Option<&Secret>,
        timeout: Duration,
    ) -> Result<Option<Self>, String> {
        let [address_setting, secret_setting] = settings;
        let Some(address) = address.as_url() else { return Ok(None) };
        let secret = secret.ok_or_else(|| format!("{secret_setting}: must be set where {address_setting} is"))?;
        let signer = Signer::new(secret).map_err(|reason| format!("{secret_setting}: {reason}"))?;
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let http = http_client(address, (Trust::Certified, Route::AsTheMachineSays), headers, timeout)
            .map_err(|reason| format!("{address_setting}: {reason}"))?;
        Ok(Some(Self { http, address: address.to_owned(), signer, timeout }))
    }

    /// Posts a JSON body under an id that repetitions share; returns the body of an answer of 200 to 299.
    ///
    /// A connection that breaks before anything is answered, as a kept one may, is made again once.
    ///
    /// # Errors
    /// [`EndpointError`] if there is no such answer of at most 64 KB in time.
    pub(crate) async fn post(&self, id: &str, at: Timestamp, body: &str) -> Result<String, EndpointError> {
        self.in_time(async {
            let response = self.send(id, at, body).await?;
            read_up_to(response, ANSWER_MAX_BYTES).await.map_err(EndpointError::Unreadable)
        })
        .await
    }

    /// Posts likewise; an answer of 200 to 299 is a success, whatever its body is.
    ///
    /// # Errors
    /// [`EndpointError`] if there is no such answer in time.
    pub(crate) async fn tell(&self, id: &str, at: Timestamp, body: &str) -> Result<(), EndpointError> {
        let response = self.in_time(self.send(id, at, body)).await?;
        // A body that ends soon leaves the connection for the next request.
        drop(timeout(REST_LIMIT, read_up_to(response, ANSWER_MAX_BYTES)).await);
        Ok(())
    }

    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, EndpointError>>) -> Result<T, EndpointError> {
        timeout(self.timeout, answer).await.unwrap_or(Err(EndpointError::Late(self.timeout)))
    }

    async fn send(&self, id: &str, at: Timestamp, body: &str) -> Result<Response, EndpointError> {
        let answered = match self.attempt(id, at, body).await {
            Err((EndpointError::Lost(_), true)) => self.attempt(id, at, body).await,
            outcome => outcome,
        };
        answered.map_err(|(error, _)| error)
    }

    /// Posts once. The flag of an error: a connection was made and broke.
    async fn attempt(&self, id: &str, at: Timestamp, body: &str) -> Result<Response, (EndpointError, bool)> {
        let signature = self.signer.sign(id, at, body).map_err(|cause| (EndpointError::Lost(cause), false))?;
        let request = self
            .http
            .post(self.address.as_str())
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds(at))
            .header("webhook-signature", signature)
            .body(body.to_owned());
        let response = request.send().await.map_err(|error| {
            let may_repeat = !error.is_connect();
            (EndpointError::Lost(cause_of(error)), may_repeat)
        })?;
        check(response.status()).map_err(|error| (error, false))?;
        Ok(response)
    }
}

fn check(status: StatusCode) -> Result<(), EndpointError> {
    match status.as_u16() {
        200..=299 => Ok(()),
        status @ 300..=399 => Err(EndpointError::Redirected(status)),
        status => Err(EndpointError::Status(status)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// Serves one connection after another with these bytes, and holds each open; returns the address.
    fn server(answers: Vec<Vec<u8>>) -> BackendAddress {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/hook", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4_096];
                let _ = stream.read(&mut request);
                let _ = stream.write_all(&answer);
                if !answer.is_empty() {
                    held.push(stream);
                }
            }
            std::thread::park();
        });
        address.parse().unwrap()
    }

    fn endpoint(address: &BackendAddress, timeout: Duration) -> Endpoint {
        let endpoint = Endpoint::new(["HOOK_URL", "HOOK_SECRET"], address, Some(&Secret::new(SECRET)), timeout);
        endpoint.unwrap().unwrap()
    }

    fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    async fn post(answers: Vec<Vec<u8>>, timeout: Duration) -> Result<String, EndpointError> {
        endpoint(&server(answers), timeout).post("msg_1", Timestamp::from_millis(0), "{}").await
    }

    #[actix::test]
    async fn answers_are_read_and_bad_ones_are_errors() {
        let patient = Duration::from_secs(10);
        assert_eq!(post(vec![answer("200 OK", "", "{}")], patient).await, Ok("{}".to_owned()));
        assert_eq!(post(vec![answer("500 No", "", "{}")], patient).await, Err(EndpointError::Status(500)));
        let elsewhere = answer("307 Elsewhere", "location: http://127.0.0.1:1/\r\n", "");
        assert_eq!(post(vec![elsewhere], patient).await, Err(EndpointError::Redirected(307)));
        let long = answer("200 OK", "", &"x".repeat(ANSWER_MAX_BYTES + 1));
        assert!(matches!(post(vec![long], patient).await, Err(EndpointError::Unreadable(_))));
        let endless = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n{".to_vec();
        assert!(matches!(post(vec![endless], Duration::from_millis(200)).await, Err(EndpointError::Late(_))));
    }

    #[actix::test]
    async fn who_is_told_may_answer_anything() {
        let patient = Duration::from_secs(10);
        let tell =
            async |answer: Vec<u8>| endpoint(&server(vec![answer]), patient).tell("msg_1", Timestamp::from_millis(0), "{}").await;
        assert_eq!(tell(answer("204 Nothing", "", "")).await, Ok(()));
        assert_eq!(tell(answer("200 OK", "", &"x".repeat(ANSWER_MAX_BYTES + 1))).await, Ok(()));
        assert_eq!(tell(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n\xff".to_vec()).await, Ok(()));
        assert_eq!(tell(answer("500 No", "", "{}")).await, Err(EndpointError::Status(500)));
    }

    #[actix::test]
    async fn a_connection_that_breaks_is_made_again_once() {
        let patient = Duration::from_secs(10);
        assert_eq!(post(vec![Vec::new(), answer("200 OK", "", "{}")], patient).await, Ok("{}".to_owned()));
        let lost = post(vec![Vec::new(), Vec::new(), answer("200 OK", "", "{}")], patient).await;
        assert!(matches!(lost, Err(EndpointError::Lost(_))), "{lost:?}");
    }

    #[test]
    fn an_address_needs_its_secret() {
        let new = |address: &str, secret: Option<&Secret>| {
            let address = address.parse().unwrap_or_default();
            Endpoint::new(["HOOK_URL", "HOOK_SECRET"], &address, secret, Duration::from_secs(1)).map(|made| made.is_some())
        };
        assert_eq!(new("", None), Ok(false));
        assert!(new("http://a", None).unwrap_err().starts_with("HOOK_SECRET: must be set"));
        assert!(new("http://a", Some(&Secret::new("short"))).unwrap_err().starts_with("HOOK_SECRET: is not whsec_"));
        assert_eq!(new("http://a", Some(&Secret::new(SECRET))), Ok(true));
    }
}
