//! Closing a WebSocket that belongs to no session.
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::outbox::{Outbox, Queued};
use super::websocket_io::close_frame;
use crate::engineio::Encoded;
use crate::transport::listen::Socket;

/// Time for a dismissed socket to read its last packets.
const DISMISS_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns the answer to a WebSocket for a session that cannot be upgraded: the 101, perhaps `packet`, then a close
/// frame. Node does the same, because clients take a refused handshake for a broken server.
pub(in crate::transport) fn accept_and_close(head: Bytes, packet: Option<&str>) -> Outbox {
    let mut words = Outbox::from(head);
    if let Some(packet) = packet {
        words.push(Rc::new(Queued::Packets(Encoded::text(packet))));
    }
    words.push(Rc::new(close_frame(None)));
    words
}

/// Writes the last packets and closes the socket so that they arrive: waits for the peer to close first, within limits.
pub(in crate::transport) async fn dismiss(mut socket: Socket, mut words: Outbox) {
    let farewell = async {
        std::future::poll_fn(|context| words.poll_write_to(&mut socket, context)).await?;
        socket.shutdown().await?;
        let mut rest = [0; 512];
        while socket.read(&mut rest).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // the outcome no longer matters
    let _ = timeout(DISMISS_TIMEOUT, farewell).await;
}
