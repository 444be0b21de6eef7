//! Last words on a WebSocket that is not, or not any more, a session's.
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::outbox::{Outbox, Queued};
use super::wire::close_frame;
use crate::engineio::Encoded;
use crate::transport::listen::Socket;

/// Time that a socket that is dismissed may take to read what it is told.
const DISMISS_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns the answer to a WebSocket that comes for a session which is not to be upgraded (any more): the 101 and then a close
/// frame, as Node answers, because clients take a refused handshake for a failed server. `packet` goes between.
pub(in crate::transport) fn accept_and_close(head: Bytes, packet: Option<&str>) -> Outbox {
    let mut words = Outbox::from(head);
    if let Some(packet) = packet {
        words.push(Rc::new(Queued::Packets(Encoded::text(packet))));
    }
    words.push(Rc::new(close_frame(None)));
    words
}

/// Writes the last words on a socket and closes it so that they arrive: not before the peer has closed, within limits.
pub(in crate::transport) async fn dismiss(mut socket: Socket, mut words: Outbox) {
    let farewell = async {
        std::future::poll_fn(|context| words.poll_write_to(&mut socket, context)).await?;
        socket.shutdown().await?;
        let mut rest = [0; 512];
        while socket.read(&mut rest).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // whether it worked is of no interest any more
    let _ = timeout(DISMISS_TIMEOUT, farewell).await;
}
