//! Engine.IO over plain HTTP: handshakes and long polling.
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::{AsyncContext as _, Context};
use actix_http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_http::{ConnectionType, Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::engineio::{HandshakeError, Query, Service, Ticket, TransportKind};
use crate::http::{ERROR_ID, OriginVerdict};
use crate::transport::admission::{Asking, OpenError};
use crate::transport::codec::Coding;
use crate::transport::connection::{Answer, ConnectionState, NewConnection, Polling, Transport};
use crate::transport::worker::{BeginPost, Connection, Found, Get, Post, PostGoesOn, PostRefused, RequestFailed, Thread};

/// Time limit for the body of a POST.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Minimum time between two notices to a session that its POST's body is still arriving: its pong waits behind that
/// body.
const LOGGED_EVERY: Duration = Duration::from_millis(100);
/// Size above which bodies are compressed off the worker thread.
const INLINE_COMPRESSION_BYTES: usize = 64 * 1024;

/// Serves a request to the Engine.IO path that asks for no upgrade.
pub(in crate::transport) async fn handle<S: Service>(
    thread: Rc<Thread<S>>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let verdict = thread.node().judge(request.headers(), request.peer_addr());
    let origins = &thread.node().options.origins;
    let text = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    if request.method() == Method::OPTIONS {
        let asked = text(header::ACCESS_CONTROL_REQUEST_HEADERS);
        let headers = origins.preflight_headers(verdict, text(header::ORIGIN), asked);
        return with_headers(HttpResponse::NoContent().finish(), headers);
    }
    let answered = if verdict.is_allowed() {
        respond(&thread, &request, payload, verdict).await
    } else {
        Err(HandshakeError::Forbidden.into())
    };
    let mut response = match answered {
        Ok(response) => response,
        Err(OpenError::Draining) => {
            let ended = format!("{}\u{1e}1", thread.worker().open_packet_of_none());
            payload_response(request.headers(), Bytes::from(ended)).await
        }
        Err(open_error) => {
            let (method, path, headers, peer) = (request.method(), request.path(), request.headers(), request.peer_addr());
            let error_id = thread.node().note(open_error, &Asking { method, path, headers, peer });
            let error_id = error_id.map(|error_id| (ERROR_ID, error_id.to_string()));
            with_headers(deny(open_error), error_id.into_iter().collect())
        }
    };
    if thread.node().is_draining.load(Ordering::Relaxed) && !is_of_a_session(&thread, &request) {
        // the client's next request then reaches the server that comes after this one
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    with_headers(response, origins.cors_headers(verdict, text(header::ORIGIN)))
}

/// Returns whether the request belongs to a session of this server.
fn is_of_a_session<S: Service>(thread: &Thread<S>, request: &HttpRequest) -> bool {
    let sid = Query::parse(request.query_string()).sid;
    sid.is_some_and(|sid| !matches!(thread.registry().find(&sid, |_| ()), Found::Unknown))
}

fn with_headers(mut response: HttpResponse, headers: Vec<(&'static str, String)>) -> HttpResponse {
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

async fn respond<S: Service>(
    thread: &Thread<S>,
    request: &HttpRequest,
    payload: web::Payload,
    verdict: OriginVerdict,
) -> Result<HttpResponse, OpenError> {
    let query = Query::parse(request.query_string());
    let transport = query.transport.ok_or(HandshakeError::TransportUnknown)?;
    let Some(sid) = &query.sid else {
        if request.method() != Method::GET {
            return Err(HandshakeError::BadHandshakeMethod.into());
        }
        if transport != TransportKind::Polling {
            return Err(HandshakeError::BadRequest.into());
        }
        return open(thread, request, &query, verdict).await;
    };
    match thread.registry().find(sid, |_| ()) {
        Found::Unknown => return Err(HandshakeError::SessionUnknown.into()),
        Found::Polling(()) if transport == TransportKind::Polling => {}
        Found::Polling(()) | Found::Websocket => return Err(HandshakeError::BadRequest.into()),
    }
    let requesting = || Requesting { thread, sid, ticket: thread.shared.ticket(), is_over: false };
    match *request.method() {
        Method::GET => requesting().get(request.headers()).await,
        Method::POST => requesting().post(request.headers(), payload).await,
        // as Node does; no client depends on it
        _ => Ok(HttpResponse::InternalServerError().finish()),
    }
}

/// Opens a session on this thread, and answers with its open packet.
async fn open<S: Service>(
    thread: &Thread<S>,
    request: &HttpRequest,
    query: &Query<'_>,
    verdict: OriginVerdict,
) -> Result<HttpResponse, OpenError> {
    let client = thread.node().client(request.headers(), request.peer_addr());
    thread.node().admit(query, &client)?;
    let opening = thread.node().opening(request.headers(), request.query_string(), &client, verdict, TransportKind::Polling);
    let context = Context::<Connection<S>>::new();
    let sid = thread.worker().new_sid();
    thread.registry().insert_polling(sid, context.address());
    let connection = thread.table.slot(|key| {
        let transport = Transport::Polling(Box::<Polling>::default());
        let new = NewConnection { sid, transport, opening: &opening, deflate: None, wants_base64: query.wants_base64 };
        ConnectionState::open(thread.worker(), key, new, None, Instant::now())
    });
    let body = connection.borrow_mut().take_payload();
    Connection::run(thread.table.clone(), connection, context);
    Ok(payload_response(request.headers(), body).await)
}

/// A request of a session. If it is dropped before its end, the client has gone, which ends the session.
struct Requesting<'a, S: Service> {
    thread: &'a Thread<S>,
    sid: &'a str,
    ticket: Ticket,
    is_over: bool,
}

impl<S: Service> Drop for Requesting<'_, S> {
    fn drop(&mut self) {
        if !self.is_over {
            let _ = self.thread.registry().find(self.sid, |session| session.do_send(RequestFailed));
        }
    }
}

impl<S: Service> Requesting<'_, S> {
    async fn get(mut self, headers: &HeaderMap) -> Result<HttpResponse, OpenError> {
        let (answering, answer) = oneshot::channel();
        let get = Get { ticket: self.ticket, answering };
        let _ = self.thread.registry().find(self.sid, |session| session.do_send(get));
        let answer = answer.await;
        self.is_over = true;
        match answer {
            Ok(Answer::Payload(body)) => Ok(payload_response(headers, body).await),
            Ok(other) => Ok(plain_response(&other)),
            Err(_) => Err(HandshakeError::SessionUnknown.into()),
        }
    }

    async fn post(mut self, headers: &HeaderMap, payload: web::Payload) -> Result<HttpResponse, OpenError> {
        if headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/octet-stream")) {
            // dropping the request ends the session
            return Ok(HttpResponse::BadRequest().finish());
        }
        let body = match self.receive(headers, payload).await {
            Ok(body) => body,
            Err(NotReceived::TooLarge) => {
                let refused = PostRefused { ticket: self.ticket };
                let _ = self.thread.registry().find(self.sid, |session| session.do_send(refused));
                self.is_over = true;
                return Ok(HttpResponse::PayloadTooLarge().finish());
            }
            Err(NotReceived::Failed) => return Ok(closing(HttpResponse::BadRequest())),
            Err(NotReceived::TooSlow) => return Ok(closing(HttpResponse::RequestTimeout())),
            Err(NotReceived::Ended(answer)) => {
                self.is_over = true;
                return match answer {
                    Some(answer) => Ok(plain_response(&answer)),
                    None => Ok(closing(HttpResponse::BadRequest())),
                };
            }
        };
        let (answering, answer) = oneshot::channel();
        let post = Post { ticket: self.ticket, body, answering };
        let _ = self.thread.registry().find(self.sid, |session| session.do_send(post));
        let answer = answer.await;
        self.is_over = true;
        match answer {
            Ok(answer) => Ok(plain_response(&answer)),
            Err(_) => Err(HandshakeError::SessionUnknown.into()),
        }
    }

    /// Receives the body. The session is claimed if more has to arrive than came with the head.
    async fn receive(&self, headers: &HeaderMap, mut payload: web::Payload) -> Result<Bytes, NotReceived> {
        let max_bytes = self.thread.node().options.max_packet_bytes;
        let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > max_bytes as u64) {
            return Err(NotReceived::TooLarge);
        }
        let mut body = Body::default();
        // a body that came with its head is only available after this call's first poll
        let mut next = match select(payload.next(), std::pin::pin!(tokio::task::yield_now())).await {
            Either::Left((chunk, _)) => Some(chunk),
            Either::Right(_) => None,
        };
        loop {
            match next.take().or_else(|| payload.next().now_or_never()) {
                None => break,
                Some(None) => return Ok(body.finish()),
                Some(Some(chunk)) => body.add(chunk.map_err(|_| NotReceived::Failed)?, max_bytes)?,
            }
        }
        let (answering, ended) = oneshot::channel();
        let (allowed, max_bytes) = oneshot::channel();
        let begin = BeginPost { ticket: self.ticket, answering, allowed };
        let _ = self.thread.registry().find(self.sid, |session| session.do_send(begin));
        let rest = async {
            // A session that is gone was reported already.
            let max_bytes = max_bytes.await.unwrap_or_default();
            let mut logged_at = Instant::now();
            while let Some(chunk) = payload.next().await {
                body.add(chunk.map_err(|_| NotReceived::Failed)?, max_bytes)?;
                if logged_at.elapsed() >= LOGGED_EVERY {
                    logged_at = Instant::now();
                    let _ = self.thread.registry().find(self.sid, |session| session.do_send(PostGoesOn));
                }
            }
            Ok(body.finish())
        };
        let received = std::pin::pin!(timeout(BODY_TIMEOUT, rest));
        match select(received, ended).await {
            Either::Left((Ok(received), _)) => received,
            Either::Left((Err(_), _)) => Err(NotReceived::TooSlow),
            Either::Right((answer, _)) => Err(NotReceived::Ended(answer.ok())),
        }
    }
}

/// Reason for the lack of a body.
enum NotReceived {
    TooLarge,
    /// The client aborted, or its chunks are malformed.
    Failed,
    TooSlow,
    /// The session ended meanwhile.
    Ended(Option<Answer>),
}

/// A body being received; if it comes in one piece, it is not copied.
#[derive(Default)]
struct Body {
    only: Bytes,
    joined: BytesMut,
}

impl Body {
    fn add(&mut self, chunk: Bytes, max_bytes: usize) -> Result<(), NotReceived> {
        if self.only.len() + self.joined.len() + chunk.len() > max_bytes {
            return Err(NotReceived::TooLarge);
        }
        if self.only.is_empty() && self.joined.is_empty() {
            self.only = chunk;
            return Ok(());
        }
        let only = std::mem::take(&mut self.only);
        self.joined.extend_from_slice(&only);
        self.joined.extend_from_slice(&chunk);
        Ok(())
    }

    fn finish(self) -> Bytes {
        if self.joined.is_empty() { self.only } else { self.joined.freeze() }
    }
}

/// Returns 200 with packets, compressed if the client accepts that and it is worth it.
async fn payload_response(request: &HeaderMap, body: Bytes) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=UTF-8")))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    let agent = request.get(header::USER_AGENT).map_or(&[][..], HeaderValue::as_bytes);
    if [&b";MSIE"[..], b"; MSIE", b"Trident/"].iter().any(|mark| agent.windows(mark.len()).any(|part| part == *mark)) {
        response.insert_header((header::X_XSS_PROTECTION, HeaderValue::from_static("0")));
    }
    let compressed = match Coding::accepted(request) {
        Some(coding) if body.len() > INLINE_COMPRESSION_BYTES => {
            let plain = body.clone();
            let compressed = web::block(move || coding.compress(&plain)).await;
            compressed.ok().flatten().map(|compressed| (coding, compressed))
        }
        Some(coding) => coding.compress(&body).map(|compressed| (coding, compressed)),
        None => None,
    };
    match compressed {
        Some((coding, compressed)) => response.insert_header((header::CONTENT_ENCODING, coding.name())).body(compressed),
        None => response.body(body),
    }
}

fn plain_response(answer: &Answer) -> HttpResponse {
    match answer {
        Answer::Payload(_) | Answer::Done => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/html")))
            .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
            .body("ok"),
        Answer::Overlap => HttpResponse::BadRequest().finish(),
        Answer::Refused(refusal) => refused(*refusal),
    }
}

fn refused(refusal: HandshakeError) -> HttpResponse {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST);
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")))
        .body(refusal.json())
}

fn deny(open_error: OpenError) -> HttpResponse {
    if let OpenError::Refused(refusal) = open_error {
        return refused(refusal);
    }
    let status = StatusCode::from_u16(open_error.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut response = HttpResponse::build(status);
    if let Some(seconds) = open_error.retry_after() {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/plain"))).body(open_error.message())
}

/// Returns an empty answer after which the TCP connection is closed.
fn closing(mut response: HttpResponseBuilder) -> HttpResponse {
    response.force_close().finish()
}
