//! Serving, and stopping in order.
use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Protocol};
use actix_server::{Server, ServerHandle};
use actix_service::{ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::guard::{GuardContext, fn_guard};
use actix_web::{App, web};
use log::{debug, warn};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::admission::{Node, Options};
use super::connection::WorkerStats;
use super::handshake::{HttpLimits, HttpStream, handle, take_over};
use super::listen::{Keeper, Listeners, Socket, prefer_successor};
use super::worker::{CloseAll, Shared, TakeNoMore, Thread, ViewConnections};
use crate::engineio::{CloseReason, ConnectionKey, ConnectionView, Delivery, Service, Slot};
use crate::meter::Counted;

/// Time for a client to notice that its HTTP connection is closed.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The limit for a head is about what actix-http allows the first one; that for an answer is nginx's `send_timeout`.
const HTTP_LIMITS: HttpLimits = HttpLimits { head: Duration::from_secs(10), answer: Duration::from_secs(60) };
/// Answer to a connection from an address that has too many.
const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nConnection: close\r\nContent-Type: text/plain\r\n\
    Content-Length: 20\r\n\r\nToo many connections";
/// Time for a connection begun before a takeover to arrive: a round trip.
const ARRIVAL_TIME: Duration = Duration::from_millis(250);

/// A running server.
pub struct Running {
    /// The server as a future that ends when it is stopped.
    pub server: Server,
    /// Addresses that it listens on, all with the same port.
    pub addresses: Vec<SocketAddr>,
    /// Stops it.
    pub stopper: Stopper,
}

/// Stops a server in order. Each step may be skipped.
#[derive(Clone)]
pub struct Stopper {
    handle: ServerHandle,
    connections: Arc<dyn Connections>,
    /// The sockets that another process may share.
    shared: Arc<[TcpListener]>,
}

/// The connections of all threads, independent of the protocol.
trait Connections: Send + Sync {
    fn refuse_new(&self);
    fn take_no_more(&self) -> BoxFuture<()>;
    fn close_all(&self, reason: CloseReason);
    fn is_empty(&self) -> bool;
    fn emptied(&self) -> tokio::sync::futures::Notified<'_>;
    fn stats(&self) -> Vec<Arc<WorkerStats>>;
    fn view(&self, worker: u16, slots: Vec<Slot>) -> BoxFuture<Vec<Option<ConnectionView>>>;
}

/// An answer that can be awaited on any thread.
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<S: Service> Connections for Shared<S> {
    fn refuse_new(&self) {
        self.node.is_draining.store(true, Ordering::Relaxed);
    }

    fn take_no_more(&self) -> BoxFuture<()> {
        let actors = self.actors.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async move {
            for (_, actor) in actors {
                // A worker that is gone has no connections.
                let _ = actor.send(TakeNoMore).await;
            }
        })
    }

    fn close_all(&self, reason: CloseReason) {
        for (_, actor) in &*self.actors.lock().unwrap_or_else(PoisonError::into_inner) {
            actor.do_send(CloseAll(reason));
        }
    }

    fn is_empty(&self) -> bool {
        self.node.open.load(Ordering::Acquire) == 0
    }

    fn emptied(&self) -> tokio::sync::futures::Notified<'_> {
        self.node.emptied.notified()
    }

    fn stats(&self) -> Vec<Arc<WorkerStats>> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn view(&self, worker: u16, slots: Vec<Slot>) -> BoxFuture<Vec<Option<ConnectionView>>> {
        let actors = self.actors.lock().unwrap_or_else(PoisonError::into_inner);
        let actor = actors.iter().find(|(number, _)| *number == worker).map(|(_, actor)| actor.clone());
        Box::pin(async move {
            match actor {
                Some(actor) => actor.send(ViewConnections(slots)).await.unwrap_or_default(),
                None => Vec::new(),
            }
        })
    }
}

impl Stopper {
    /// Accepts no more connections: they wait in the kernel for the next process with the sockets. Handshakes on open
    /// connections are answered with a session that ends at once, which no client takes for a failed attempt.
    ///
    /// If the port is shared, new connections go to the successor; those begun before are still accepted.
    pub async fn stop_accepting(&self) {
        self.connections.refuse_new();
        if self.shared.is_empty() {
            return self.handle.pause().await;
        }
        for listener in &*self.shared {
            if let Err(error) = prefer_successor(listener) {
                warn!(cause:% = error; "connections may be lost on the way to the successor");
            }
        }
        sleep(ARRIVAL_TIME).await;
    }

    /// Makes all sessions take nothing more, and carry out or refuse waiting requests; on return, the resulting
    /// messages have been sent.
    pub async fn take_no_more(&self) {
        self.connections.refuse_new();
        self.connections.take_no_more().await;
    }

    /// Closes all sessions; returns once they are gone, or after `limit`.
    pub async fn close_sessions(&self, limit: Duration) {
        self.connections.refuse_new();
        self.connections.close_all(CloseReason::Shutdown);
        let gone = async {
            loop {
                let emptied = self.connections.emptied();
                if self.connections.is_empty() {
                    return;
                }
                emptied.await;
            }
        };
        // remaining sessions are cut off when their threads end
        let _ = timeout(limit, gone).await;
    }

    /// Ends the server. If `graceful`, requests in progress are finished first.
    pub async fn stop(&self, graceful: bool) {
        self.handle.stop(graceful).await;
    }

    /// Returns the present state of connections in the order given; `None` for those that are gone.
    pub async fn view(&self, connections: &[ConnectionKey]) -> Vec<Option<ConnectionView>> {
        let mut views = vec![None; connections.len()];
        let workers: BTreeSet<u16> = connections.iter().map(|key| key.worker).collect();
        for worker in workers {
            let of_worker = || connections.iter().enumerate().filter(|(_, key)| key.worker == worker);
            let found = self.connections.view(worker, of_worker().map(|(_, key)| key.slot).collect()).await;
            for ((place, _), view) in of_worker().zip(found) {
                if let Some(slot) = views.get_mut(place) {
                    *slot = view;
                }
            }
        }
        views
    }

    /// Returns the figures of each worker thread.
    pub fn stats(&self) -> Vec<Arc<WorkerStats>> {
        self.connections.stats()
    }
}

/// Serves HTTP and Engine.IO on listening sockets.
///
/// `context` makes the values shared by a worker's services; it is called once on each worker thread, before there are
/// connections, with the worker's number and the recipient of deliveries to its connections. `configure` adds the other
/// routes of the `App`, on each worker thread. Must be called inside an actix `System`; [`Running::server`] must be
/// awaited.
///
/// # Errors
/// If the sockets cannot be used.
pub fn serve<S, C, F>(options: Options, listeners: Listeners, context: C, configure: F) -> io::Result<Running>
where
    S: Service,
    C: Fn(u16, Counted<Delivery<S::Shared, S::Notice>>) -> S::Context + Clone + Send + 'static,
    F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
{
    let addresses = listeners.addresses()?;
    let Listeners { sockets, keeper } = listeners;
    let of_others = if keeper == Keeper::Successor { sockets.as_slice() } else { &[] };
    let of_others = of_others.iter().map(TcpListener::try_clone).collect::<io::Result<Arc<[_]>>>()?;
    let workers = options.workers.max(1);
    let (max_http_connections, keep_alive) = (options.max_http_connections(), options.keep_alive);
    let shared = Arc::new(Shared::<S>::new(options));
    // Beyond that limit, the kernel keeps connections waiting.
    let mut builder =
        Server::build().disable_signals().workers(workers).max_concurrent_connections(max_http_connections).shutdown_timeout(2);
    for listener in sockets {
        let (shared, context, configure) = (shared.clone(), context.clone(), configure.clone());
        builder = builder.listen("http", listener, move || {
            let thread = Thread::current(&shared, context.clone());
            let (configure, stats, node) = (configure.clone(), thread.worker().stats.clone(), shared.node.clone());
            let polling = || {
                let polled = thread.clone();
                web::to(move |request, payload| handle(polled.clone(), request, payload))
            };
            let path = &node.options.path;
            // The path that every client uses is matched exactly, because matching a pattern costs a fifth of a
            // request.
            let exact = web::resource(format!("{path}/")).route(polling());
            let bare = web::resource(path.as_str()).route(polling());
            let others = node.options.other_files;
            let is_ours = move |context: &GuardContext<'_>| {
                let name = context.head().uri.path().rsplit('/').next().unwrap_or_default();
                !others.contains(&name)
            };
            let further = web::resource(format!("{path}/{{tail:.*}}")).guard(fn_guard(is_ours)).route(polling());
            let app = App::new().service(exact).service(bare).service(further).configure(configure);
            let http = HttpService::build()
                .keep_alive(KeepAlive::Timeout(keep_alive))
                .client_disconnect_timeout(DISCONNECT_TIMEOUT)
                .h1_allow_half_closed(false)
                .upgrade(fn_service(move |(request, framed)| take_over(thread.clone(), request, framed)))
                .finish(map_config(app, |_| AppConfig::default()))
                .map_err(move |error| {
                    if let DispatchError::Parse(_) = &error {
                        stats.malformed.add(1);
                    }
                    debug!(cause:% = error; "http connection failed");
                });
            fn_service(move |socket: TcpStream| receive(node.clone(), socket)).and_then(http)
        })?;
    }
    let server = builder.run();
    let stopper = Stopper { handle: server.handle(), connections: shared, shared: of_others };
    Ok(Running { server, addresses, stopper })
}

/// Prepares a connection for HTTP; performs the TLS handshake if necessary. Closes it if its address has too many.
async fn receive(node: Arc<Node>, socket: TcpStream) -> Result<(HttpStream, Protocol, Option<SocketAddr>), ()> {
    // It fails only if the connection has failed, which shows at once.
    let _ = socket.set_nodelay(true);
    let peer = socket.peer_addr().ok();
    // Clients behind a trusted proxy are counted by their requests.
    let counted = peer.map(|peer| peer.ip()).filter(|address| !node.options.proxies.trusts(address.to_canonical()));
    let place = match counted.map(|address| node.addresses.try_connect(address)) {
        Some(Err(())) => return turn_away(node.options.tls.is_some(), socket).await,
        Some(Ok(place)) => place,
        None => None,
    };
    let socket = match &node.options.tls {
        None => Socket::Plain(socket),
        Some(tls) => tls.accept(socket).await.ok_or(())?,
    };
    Ok((HttpStream::new(socket, place, HTTP_LIMITS), Protocol::Http1, peer))
}

/// Closes a connection; states the reason if that takes no TLS handshake.
async fn turn_away<T>(speaks_tls: bool, mut socket: TcpStream) -> Result<T, ()> {
    debug!("too many connections of one address (MAX_SOCKETS_PER_ADDRESS)");
    if !speaks_tls {
        // If this does not fit into an empty send buffer, the client is gone.
        let _ = timeout(DISCONNECT_TIMEOUT, socket.write_all(TOO_MANY)).await;
    }
    Err(())
}
