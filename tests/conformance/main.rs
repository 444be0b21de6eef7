//! Servers for the official test suites of Engine.IO v4 and Socket.IO v5.
//!
//! `cargo run --example conformance -- PORT FIXTURE`, fixture 1 (Engine.IO, path `/engine.io/`) or 3 (Socket.IO, path
//! `/socket.io/`). Both listen on 127.0.0.1 and ::1, with the short intervals that the suites expect.
mod attachments;
mod echo;
mod socketio_fixture;

use std::sync::Arc;
use std::time::Duration;

use parlance::http::Origins;
use parlance::transport::{Listeners, Options, Running, serve};

use self::echo::Echo;
use self::socketio_fixture::SocketIoFixture;

fn main() -> std::io::Result<()> {
    env_logger::init();
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let fixture = arguments.next().unwrap_or_else(|| "1".to_owned());
    let origins = Origins::new(&["*".to_owned()], true).map_err(std::io::Error::other)?;
    let options = Options {
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        max_packet_bytes: 1_000_000,
        max_sockets_per_address: 0,
        ..Options::new(Arc::new(origins))
    };
    actix::System::new().block_on(async {
        let listeners = Listeners::bind("localhost", port, false)?;
        let Running { server, addresses, .. } = match fixture.as_str() {
            "1" => serve::<Echo, _, _>(Options { path: "/engine.io".to_owned(), ..options }, listeners, |_, _| (), |_| {})?,
            "3" => serve::<SocketIoFixture, _, _>(options, listeners, |_, _| (), |_| {})?,
            other => return Err(std::io::Error::other(format!("there is no fixture {other}"))),
        };
        for address in addresses {
            println!("listening on http://{address}");
        }
        server.await
    })
}
