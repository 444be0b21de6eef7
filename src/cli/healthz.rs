//! `parlance healthz`: checks that the server of this configuration is alive, for images without `curl`.
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use super::error::CliError;
use crate::config::Config;
use crate::transport;

/// Time limit of each step.
const LIMIT: Duration = Duration::from_secs(4);
/// Bytes read of the answer: more than any status line has.
const ANSWER_BYTES: usize = 512;

/// Succeeds if `GET /healthz` on the configured port is answered with 200.
pub(super) fn execute(config: &Config) -> Result<(), CliError> {
    let host = config.host.seen_from_here();
    let at = format!("{host} port {}", config.port);
    let failed = |reason: &dyn std::fmt::Display| CliError(format!("no healthy server at {at}: {reason}"));
    let status = ask(&host, config.port, config.speaks_tls()).map_err(|error| failed(&error))?;
    if status == "200" { Ok(()) } else { Err(failed(&format!("it answers {status:?}"))) }
}

/// Returns the status line of the answer.
fn ask(host: &str, port: u16, speaks_tls: bool) -> std::io::Result<String> {
    let mut failure = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for address in (host, port).to_socket_addrs()? {
        let socket = match TcpStream::connect_timeout(&address, LIMIT) {
            Ok(socket) => socket,
            Err(error) => {
                failure = error;
                continue;
            }
        };
        socket.set_read_timeout(Some(LIMIT))?;
        socket.set_write_timeout(Some(LIMIT))?;
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let mut stream: Box<dyn transport::Stream> =
            if speaks_tls { Box::new(transport::over_any_tls(socket)?) } else { Box::new(socket) };
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        let outcome = stream.take(ANSWER_BYTES as u64).read_to_end(&mut answer);
        if answer.is_empty() {
            outcome?;
        }
        let head = String::from_utf8_lossy(&answer);
        return Ok(head.split(' ').nth(1).unwrap_or_default().to_owned());
    }
    Err(failure)
}
