//! Listening sockets: our own, or those that this process's parent passed to it.
//!
//! Once a socket is bound, the kernel queues connections, whether or not anybody accepts them yet.
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _};

use listenfd::ListenFd;
use log::warn;
use tokio::net::TcpSocket;

use super::reuse_port;

/// Maximum number of connections queued by the kernel.
pub const BACKLOG: u32 = 4096;
/// Number of attempts to find a port that is free on all addresses.
const PORT_ATTEMPTS: usize = 20;

/// Listening sockets from which nothing was accepted yet.
#[derive(Debug)]
pub struct Listeners {
    pub(in crate::transport) sockets: Vec<TcpListener>,
    pub(in crate::transport) keeper: Keeper,
}

/// Holder of the port after this process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transport) enum Keeper {
    /// Nobody: connections are refused.
    Nobody,
    /// Another process that listens on the same port.
    Successor,
    /// The parent process, which passed the sockets to this one.
    Supervisor,
}

/// Returns the addresses to listen on for a host; `localhost` is 127.0.0.1 and ::1.
///
/// # Errors
/// If the name cannot be resolved.
pub fn addresses_of(host: &str) -> io::Result<Vec<IpAddr>> {
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut resolved: Vec<IpAddr> = (host, 0).to_socket_addrs()?.map(|address| address.ip()).collect();
    resolved.sort();
    resolved.dedup();
    Ok(resolved)
}

impl Listeners {
    /// Listens on every address of a host; `localhost` is 127.0.0.1 and ::1, port 0 any free one.
    ///
    /// With `reuse_port`, another process with the same setting may share the port: connections go to the older one
    /// until it stops. Without it, a port in use is an error.
    ///
    /// # Errors
    /// If no address of the host can be listened on, or the port is in use on one of them.
    pub fn bind(host: &str, port: u16, reuse_port: bool) -> io::Result<Self> {
        let addresses = addresses_of(host)?;
        let mut attempts = if port == 0 { PORT_ATTEMPTS } else { 1 };
        let sockets = loop {
            attempts -= 1;
            match bind_all(&addresses, port, reuse_port) {
                Err(error) if attempts > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
                outcome => break outcome?,
            }
        };
        if reuse_port {
            for socket in &sockets {
                reuse_port::prefer_elder(socket)?;
            }
        }
        Ok(Self { sockets, keeper: if reuse_port { Keeper::Successor } else { Keeper::Nobody } })
    }

    /// Returns the sockets passed to this process (`LISTEN_PID` and `LISTEN_FDS`, as set by systemd), if any.
    ///
    /// # Errors
    /// If one of them is not a listening TCP socket.
    pub fn given() -> io::Result<Option<Self>> {
        let mut given = ListenFd::from_env();
        let mut sockets = Vec::with_capacity(given.len());
        for index in 0..given.len() {
            let Some(socket) = given.take_tcp_listener(index)? else { continue };
            if !reuse_port::listens(&socket)? {
                return Err(io::Error::other(format!("{} does not listen", socket.local_addr()?)));
            }
            socket.set_nonblocking(true)?;
            sockets.push(socket);
        }
        Ok(if sockets.is_empty() { None } else { Some(Self { sockets, keeper: Keeper::Supervisor }) })
    }

    /// Returns whether connections made while this process ends will be served by the next one.
    pub fn outlive_us(&self) -> bool {
        self.keeper != Keeper::Nobody
    }

    /// Returns the addresses of the sockets.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.sockets.iter().map(TcpListener::local_addr).collect()
    }
}

fn bind_all(addresses: &[IpAddr], mut port: u16, reuse_port: bool) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(addresses.len());
    let mut missing = None;
    for address in addresses {
        match bind(SocketAddr::new(*address, port), reuse_port) {
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
            warn!(address:% = address, cause:% = error; "not listening");
            Ok(listeners)
        }
        None if listeners.is_empty() => Err(io::ErrorKind::AddrNotAvailable.into()),
        None => Ok(listeners),
    }
}

fn bind(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    if reuse_port {
        socket.set_reuseport(true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}
