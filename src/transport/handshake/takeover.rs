//! Takes over a WebSocket's stream from actix-http.
//!
//! The upgrade service gets every request that asks for an upgrade, whatever its path, before the `App` sees it. So the
//! checks that the `App` makes on other requests are made here, with the same functions.
use std::rc::Rc;
use std::time::Instant;

use actix::Context;
use actix_codec::Framed;
use actix_http::h1::Codec;
use actix_http::{HttpMessage as _, header};
use bytes::{Bytes, BytesMut};

use super::http_stream::HttpStream;
use super::websocket::{self, BadHandshake};
use crate::engineio::{HandshakeError, Query, Service, TransportKind};
use crate::http::ERROR_ID;
use crate::logging::ErrorId;
use crate::transport::admission::{Asking, OpenError};
use crate::transport::codec::Deflate;
use crate::transport::connection::{
    ConnectionState, Directory, NewConnection, Outbox, Queued, Transport, WebSocketIo, accept_and_close, dismiss,
};
use crate::transport::listen::Socket;
use crate::transport::worker::{Connection, Found, TakeSocket, Thread};

/// A stream, with the bytes read ahead and those not yet written.
struct Taken {
    socket: Socket,
    early: BytesMut,
    unwritten: BytesMut,
}

/// A stream that was not taken over, and the reason.
type NotUpgraded = Box<(Taken, UpgradeError)>;

/// Serves a request that asks for an upgrade. Nothing of actix-http is kept after this call, except to send a refusal.
pub(in crate::transport) async fn take_over<S: Service>(
    thread: Rc<Thread<S>>,
    request: actix_http::Request,
    framed: Framed<HttpStream, Codec>,
) -> Result<(), actix_http::Error> {
    let parts = framed.into_parts();
    let (socket, kept) = parts.io.into_parts();
    let mut early = parts.read_buf;
    early.unsplit(kept);
    let taken = Taken { socket, early, unwritten: parts.write_buf };
    let outcome = serve(&thread, &request, taken);
    if let Err(refused) = outcome {
        let (taken, open_error) = *refused;
        let words = match open_error {
            UpgradeError::Upgraded(head) => accept_and_close(join(taken.unwritten, head), None),
            UpgradeError::Ended(head, packet) => accept_and_close(join(taken.unwritten, head), Some(&packet)),
            open_error => {
                let error_id = note(&thread, &request, &open_error);
                Outbox::from(join(taken.unwritten, denial(open_error, error_id)))
            }
        };
        drop(request);
        dismiss(taken.socket, words).await;
    }
    Ok(())
}

fn serve<S: Service>(thread: &Thread<S>, request: &actix_http::Request, taken: Taken) -> Result<(), NotUpgraded> {
    let checked = check(thread, request);
    let (query, accepted) = match checked {
        Ok(checked) => checked,
        Err(open_error) => return Err(Box::new((taken, open_error))),
    };
    match &query.sid {
        Some(sid) => hand_over(thread, sid, taken, accepted),
        None => open(thread, request, &query, taken, accepted),
    }
}

/// The 101, and the parameters that it agrees to.
struct Accepted {
    head: Bytes,
    deflate: Option<Deflate>,
}

/// Reason for not taking over a stream.
enum UpgradeError {
    /// The path is not the endpoint's.
    NotFound,
    /// The request is not a WebSocket handshake.
    BadHandshake(BadHandshake),
    OpenError(OpenError),
    /// Its session is on a WebSocket already; the 101 is sent nevertheless.
    Upgraded(Bytes),
    /// The server is stopping: the 101, and the packet of a session that ends at once.
    Ended(Bytes, String),
}

impl From<HandshakeError> for UpgradeError {
    fn from(refusal: HandshakeError) -> Self {
        OpenError::from(refusal).into()
    }
}

impl From<OpenError> for UpgradeError {
    fn from(open_error: OpenError) -> Self {
        Self::OpenError(open_error)
    }
}

/// Makes all checks that need no session, and prepares the 101.
fn check<'a, S: Service>(thread: &Thread<S>, request: &'a actix_http::Request) -> Result<(Query<'a>, Accepted), UpgradeError> {
    let path = request.path().strip_prefix(thread.node().options.path.as_str());
    if !path.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return Err(UpgradeError::NotFound);
    }
    if !thread.node().judge(request.headers(), request.peer_addr()).is_allowed() {
        return Err(HandshakeError::Forbidden.into());
    }
    let query = Query::parse(request.uri().query().unwrap_or_default());
    match query.transport {
        None => return Err(HandshakeError::TransportUnknown.into()),
        Some(TransportKind::Polling) => return Err(HandshakeError::BadRequest.into()),
        Some(TransportKind::Websocket) => {}
    }
    let websocket::Answer { accept, protocol } = websocket::answer(request.head()).map_err(|bad| match bad {
        BadHandshake::Method => UpgradeError::from(HandshakeError::BadHandshakeMethod),
        bad => UpgradeError::BadHandshake(bad),
    })?;
    let mut head = BytesMut::with_capacity(160);
    head.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
    );
    head.extend_from_slice(&accept);
    if let Some(protocol) = protocol {
        head.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
        head.extend_from_slice(protocol.as_bytes());
    }
    let offers = request.headers().get_all(header::SEC_WEBSOCKET_EXTENSIONS).filter_map(|offer| offer.to_str().ok());
    let agreed = if thread.node().options.permessage_deflate { Deflate::negotiate(offers) } else { None };
    let deflate = agreed.map(|(deflate, answer)| {
        head.extend_from_slice(b"\r\nSec-WebSocket-Extensions: ");
        head.extend_from_slice(answer.as_bytes());
        deflate
    });
    head.extend_from_slice(b"\r\n\r\n");
    Ok((query, Accepted { head: head.freeze(), deflate }))
}

/// Passes the stream to the session that it is to become the transport of, on whichever thread that lives.
fn hand_over<S: Service>(thread: &Thread<S>, sid: &str, taken: Taken, accepted: Accepted) -> Result<(), NotUpgraded> {
    let Accepted { head, deflate } = accepted;
    let registry = &thread.registry();
    match registry.find(sid, |_| ()) {
        Found::Polling(()) => {}
        Found::Websocket => return Err(Box::new((taken, UpgradeError::Upgraded(head)))),
        Found::Unknown => return Err(Box::new((taken, HandshakeError::SessionUnknown.into()))),
    }
    let Taken { socket, early, unwritten } = taken;
    // ends the registration with this thread's reactor
    let Ok(socket) = socket.depart() else { return Ok(()) };
    let head = join(unwritten, head);
    let take = TakeSocket { socket, head, deflate, early };
    let _ = registry.find(sid, |session| session.do_send(take));
    Ok(())
}

/// Opens a session on this thread. The 101, the open packet and the service's first packets are sent in one write.
fn open<S: Service>(
    thread: &Thread<S>,
    request: &actix_http::Request,
    query: &Query<'_>,
    taken: Taken,
    Accepted { head, deflate }: Accepted,
) -> Result<(), NotUpgraded> {
    let client = thread.node().client(request.headers(), request.peer_addr());
    if let Err(open_error) = thread.node().admit(query, &client) {
        let open_error = if open_error == OpenError::Draining {
            UpgradeError::Ended(head, thread.worker().open_packet_of_none())
        } else {
            open_error.into()
        };
        return Err(Box::new((taken, open_error)));
    }
    let verdict = thread.node().judge(request.headers(), request.peer_addr());
    let query_string = request.uri().query().unwrap_or_default();
    let opening = thread.node().opening(request.headers(), query_string, &client, verdict, TransportKind::Websocket);
    let Taken { socket, mut early, unwritten } = taken;
    let (sid, now) = (thread.worker().new_sid(), Instant::now());
    thread.registry().insert_websocket(sid);
    let connection = thread.table.slot(|key| {
        let transport = Transport::Websocket(WebSocketIo::new(socket, deflate));
        let new = NewConnection { sid, transport, opening: &opening, deflate, wants_base64: query.wants_base64 };
        ConnectionState::open(thread.worker(), key, new, Some(Queued::Raw(join(unwritten, head))), now)
    });
    connection.borrow_mut().take_in(thread.worker(), &mut early, now);
    Connection::run(thread.table.clone(), connection, Context::new());
    Ok(())
}

/// Puts unwritten bytes before the head of the response.
fn join(unwritten: BytesMut, head: Bytes) -> Bytes {
    if unwritten.is_empty() {
        return head;
    }
    let mut joined = unwritten;
    joined.extend_from_slice(&head);
    joined.freeze()
}

fn note<S: Service>(thread: &Thread<S>, request: &actix_http::Request, open_error: &UpgradeError) -> Option<ErrorId> {
    let open_error = match open_error {
        UpgradeError::OpenError(open_error) => *open_error,
        // Another path, or a request that our clients never send.
        UpgradeError::NotFound | UpgradeError::BadHandshake(_) | UpgradeError::Upgraded(_) | UpgradeError::Ended(..) => {
            HandshakeError::BadRequest.into()
        }
    };
    let (method, path, headers, peer) = (request.method(), request.path(), request.headers(), request.peer_addr());
    thread.node().note(open_error, &Asking { method, path, headers, peer })
}

/// Returns a refusal of an upgrade in the form of Engine.IO servers: the bare message.
fn denial(open_error: UpgradeError, error_id: Option<ErrorId>) -> Bytes {
    let (status, message, retry_after) = match open_error {
        UpgradeError::NotFound => (404, "Not found", None),
        UpgradeError::BadHandshake(bad) => (400, words_for(bad), None),
        UpgradeError::Upgraded(_) | UpgradeError::Ended(..) => (400, HandshakeError::BadRequest.message(), None),
        UpgradeError::OpenError(open_error) => (open_error.status(), open_error.message(), open_error.retry_after()),
    };
    let reason = actix_http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    let retry_after = retry_after.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
    let error_id = error_id.map(|error_id| format!("{ERROR_ID}: {error_id}\r\n")).unwrap_or_default();
    let is_of_another_version = matches!(open_error, UpgradeError::BadHandshake(BadHandshake::Version));
    let version =
        if is_of_another_version { format!("Sec-WebSocket-Version: {}\r\n", websocket::VERSION) } else { String::new() };
    let length = message.len();
    Bytes::from(format!(
        "HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n{version}{retry_after}{error_id}\r\n{message}"
    ))
}

/// Returns the message used by Node's server.
fn words_for(bad: BadHandshake) -> &'static str {
    match bad {
        BadHandshake::Method | BadHandshake::Upgrade => "Invalid Upgrade header",
        BadHandshake::Version => "Missing or invalid Sec-WebSocket-Version header",
        BadHandshake::Key => "Missing or invalid Sec-WebSocket-Key header",
    }
}
