//! Listening, and stopping in order.
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use actix_http::{HttpService, KeepAlive};
use actix_server::{Server, ServerHandle};
use actix_service::{ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::guard::{GuardContext, fn_guard};
use actix_web::{App, web};
use log::warn;
use tokio::net::TcpSocket;
use tokio::time::timeout;

use super::hub::{CloseAll, ViewConnections};
use super::options::Options;
use super::stats::WorkerStats;
use super::worker::{Shared, Worker};
use super::{http, takeover};
use crate::engineio::{CloseReason, ConnectionKey, ConnectionView, Delivery, Seat, Service};
use crate::meter::Counted;

/// Connections that the kernel may hold for us.
const BACKLOG: u32 = 4096;
/// How long an HTTP connection may be idle. Also what a client has to fetch the end of an answer.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// How long a client may take to notice that its HTTP connection is closed.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a free port is looked for that is free on all addresses.
const PORT_ATTEMPTS: usize = 20;

/// A server that runs.
pub struct Running {
    /// The server itself; it ends when it is stopped.
    pub server: Server,
    /// Where it listens; all addresses have the same port.
    pub addresses: Vec<SocketAddr>,
    /// Stops it.
    pub stopper: Stopper,
}

/// Stops a server in order. Each step may be left out.
#[derive(Clone)]
pub struct Stopper {
    handle: ServerHandle,
    connections: Arc<dyn Connections>,
}

/// The connections of all threads, whatever is spoken over them.
trait Connections: Send + Sync {
    fn refuse_new(&self);
    fn close_all(&self, reason: CloseReason);
    fn is_empty(&self) -> bool;
    fn emptied(&self) -> tokio::sync::futures::Notified<'_>;
    fn stats(&self) -> Vec<Arc<WorkerStats>>;
    fn view(&self, worker: u16, seats: Vec<Seat>) -> BoxFuture<Vec<Option<ConnectionView>>>;
}

/// An answer that is awaited on any thread.
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<S: Service> Connections for Shared<S> {
    fn refuse_new(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    fn close_all(&self, reason: CloseReason) {
        for (_, hub) in &*self.hubs.lock().unwrap_or_else(PoisonError::into_inner) {
            hub.do_send(CloseAll(reason));
        }
    }

    fn is_empty(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }

    fn emptied(&self) -> tokio::sync::futures::Notified<'_> {
        self.emptied.notified()
    }

    fn stats(&self) -> Vec<Arc<WorkerStats>> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn view(&self, worker: u16, seats: Vec<Seat>) -> BoxFuture<Vec<Option<ConnectionView>>> {
        let hubs = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        let hub = hubs.iter().find(|(number, _)| *number == worker).map(|(_, hub)| hub.clone());
        Box::pin(async move {
            match hub {
                Some(hub) => hub.send(ViewConnections(seats)).await.unwrap_or_default(),
                None => Vec::new(),
            }
        })
    }
}

impl Stopper {
    /// Accepts no more connections, and answers handshakes on those that are open with 503.
    pub async fn stop_accepting(&self) {
        self.connections.refuse_new();
        self.handle.pause().await;
    }

    /// Closes all sessions; returns when they are gone, or after `limit`.
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
        // those that are left are cut with their threads
        let _ = timeout(limit, gone).await;
    }

    /// Ends the server. Requests in flight are finished first if `graceful`.
    pub async fn stop(&self, graceful: bool) {
        self.handle.stop(graceful).await;
    }

    /// What connections are at this moment, in their order; `None` for those that are gone.
    pub async fn view(&self, connections: &[ConnectionKey]) -> Vec<Option<ConnectionView>> {
        let mut views = vec![None; connections.len()];
        let workers: BTreeSet<u16> = connections.iter().map(|key| key.worker).collect();
        for worker in workers {
            let of_worker = || connections.iter().enumerate().filter(|(_, key)| key.worker == worker);
            let found = self.connections.view(worker, of_worker().map(|(_, key)| key.seat).collect()).await;
            for ((place, _), view) in of_worker().zip(found) {
                if let Some(slot) = views.get_mut(place) {
                    *slot = view;
                }
            }
        }
        views
    }

    /// The figures of each worker thread.
    pub fn stats(&self) -> Vec<Arc<WorkerStats>> {
        self.connections.stats()
    }
}

/// Listens, and serves HTTP and Engine.IO.
///
/// `context` makes what a worker's services share. It is called once on each worker thread, before there are connections,
/// with the worker's number and the recipient of what its connections are to be told. `configure` adds the other routes of
/// the `App`, on each worker thread. Has to be called within an actix `System`; [`Running::server`] must be awaited.
///
/// # Errors
/// If no address of the host can be listened on, or one has the port in use.
pub fn serve<S, C, F>(options: Options, context: C, configure: F) -> io::Result<Running>
where
    S: Service,
    C: Fn(u16, Counted<Delivery<S::Shared, S::Notice>>) -> S::Context + Clone + Send + 'static,
    F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
{
    let listeners = listen(&options.host, options.port)?;
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
    let workers = options.workers.max(1);
    let max_http_connections = options.max_http_connections();
    let shared = Arc::new(Shared::<S>::new(options));
    // Beyond that the kernel keeps them waiting.
    let mut builder =
        Server::build().disable_signals().workers(workers).max_concurrent_connections(max_http_connections).shutdown_timeout(2);
    for listener in listeners {
        let (shared, context, configure) = (shared.clone(), context.clone(), configure.clone());
        builder = builder.listen("http", listener, move || {
            let worker = Worker::current(&shared, context.clone());
            let configure = configure.clone();
            let polling = || {
                let polled = worker.clone();
                web::to(move |request, payload| http::handle(polled.clone(), request, payload))
            };
            let path = &worker.options().path;
            // The path that every client uses stands for itself: what is looked for by a pattern costs a fifth of a request.
            let exact = web::resource(format!("{path}/")).route(polling());
            let others = worker.options().other_files;
            let is_ours = move |context: &GuardContext<'_>| {
                let name = context.head().uri.path().rsplit('/').next().unwrap_or_default();
                !others.contains(&name)
            };
            let further = web::resource(format!("{path}/{{tail:.*}}")).guard(fn_guard(is_ours)).route(polling());
            let app = App::new().service(exact).service(further).configure(configure);
            HttpService::build()
                .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
                .client_disconnect_timeout(DISCONNECT_TIMEOUT)
                .tcp_nodelay(true)
                .h1_allow_half_closed(false)
                .upgrade(fn_service(move |(request, framed)| takeover::take_over(worker.clone(), request, framed)))
                .finish(map_config(app, |_| AppConfig::default()))
                .tcp()
                .map_err(|error| log::debug!("http connection failed error={error}"))
        })?;
    }
    let server = builder.run();
    let stopper = Stopper { handle: server.handle(), connections: shared };
    Ok(Running { server, addresses, stopper })
}

/// Binds every address of a host to the same port.
fn listen(host: &str, port: u16) -> io::Result<Vec<TcpListener>> {
    let addresses: Vec<IpAddr> = if host.eq_ignore_ascii_case("localhost") {
        vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
    } else {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let mut resolved: Vec<IpAddr> = (host, port).to_socket_addrs()?.map(|address| address.ip()).collect();
        resolved.sort();
        resolved.dedup();
        resolved
    };
    let mut attempts = if port == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        match bind_all(&addresses, port) {
            Err(error) if attempts > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            outcome => return outcome,
        }
    }
}

fn bind_all(addresses: &[IpAddr], mut port: u16) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(addresses.len());
    let mut missing = None;
    for address in addresses {
        match bind(SocketAddr::new(*address, port)) {
            Ok(listener) => {
                port = listener.local_addr()?.port();
                listeners.push(listener);
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            // machines without IPv6 have no ::1
            Err(error) => missing = Some((address, error)),
        }
    }
    match missing {
        Some((_, error)) if listeners.is_empty() => Err(error),
        Some((address, error)) => {
            warn!("not listening on {address}: {error}");
            Ok(listeners)
        }
        None if listeners.is_empty() => Err(io::ErrorKind::AddrNotAvailable.into()),
        None => Ok(listeners),
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}
