//! Check of the port, and of the process that has it now.
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tokio::time::timeout;

use super::finding::Finding;
use crate::cli::remote::{Remote, RemoteOptions};
use crate::config::Config;
use crate::env::Environment;
use crate::transport::addresses_of;

/// Time in which a server on the port is asked for its identity.
const WHO_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) async fn port(config: &Config) -> Finding {
    let (what, number) = ("port", config.port);
    let place = format!("{} port {number}", config.host);
    if number == 0 {
        return Finding::ok(what, "any that is free (PORT=0)");
    }
    let addresses = match addresses_of(&config.host.to_string()) {
        Ok(addresses) => addresses,
        Err(error) => {
            return Finding::error(
                what,
                format!("HOST={} is unknown here ({error})", config.host),
                "set HOST to an address of this machine",
            );
        }
    };
    let tried: Vec<_> = addresses.iter().map(|address| TcpListener::bind(SocketAddr::new(*address, number)).map(drop)).collect();
    let is_kind = |kind| tried.iter().any(|tried| tried.as_ref().is_err_and(|error| error.kind() == kind));
    if is_kind(io::ErrorKind::AddrInUse) {
        let stop_it = format!("stop it (`ss -ltnp 'sport = :{number}'` names it), or set PORT to a free one");
        return match who_holds(config).await {
            Holder::Parlance(connected) => {
                Finding::ok(what, format!("{place}: a Parlance serves here already, {connected} sockets are connected"))
            }
            Holder::Nobody => Finding::warning(
                what,
                format!("{place} is held, but nobody answers there"),
                format!("well, if it is systemd that holds it for us (parlance.socket); else {stop_it}"),
            ),
            Holder::Other => Finding::error(what, format!("{place} is taken by another program"), stop_it),
        };
    }
    if is_kind(io::ErrorKind::PermissionDenied) {
        return Finding::error(
            what,
            format!("{place} needs privileges"),
            "set PORT to 1024 or more behind a proxy, or give the binary cap_net_bind_service with setcap",
        );
    }
    // A machine without IPv6 has no ::1.
    if tried.iter().any(Result::is_ok) {
        return Finding::ok(what, format!("{place} is free"));
    }
    let cause = tried.into_iter().find_map(Result::err).map(|error| error.to_string()).unwrap_or_default();
    Finding::error(what, format!("{place} cannot be listened on: {cause}"), "set HOST to an address of this machine")
}

/// Holder of the port.
enum Holder {
    /// A Parlance server, with this number of connected sockets.
    Parlance(u64),
    /// A process that listens without accepting connections.
    Nobody,
    /// Another process.
    Other,
}

async fn who_holds(config: &Config) -> Holder {
    let Ok(remote) = Remote::new(&RemoteOptions::default(), &Environment::default(), config) else { return Holder::Other };
    let Ok(answer) = timeout(WHO_TIMEOUT, remote.get("/api/socket/health")).await else { return Holder::Nobody };
    let connected = answer.ok().and_then(|health| health.pointer("/socket/connected")?.as_u64());
    connected.map_or(Holder::Other, Holder::Parlance)
}
