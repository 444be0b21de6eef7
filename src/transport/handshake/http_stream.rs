//! A client's connection as presented to actix-http: one request at a time, and each within its time limit.
//!
//! This works around two properties of actix-http. It reads further requests while it answers, and frames an answer
//! according to the last request read: a `GET` sent behind a `HEAD` would give the `HEAD` a body, or the `GET` none.
//! And it limits the time only of a connection's first head, and of no answer. So bytes behind a request are kept here
//! until its answer has begun, and a head or answer that makes no progress ends the connection.
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::transport::admission::HttpPlace;
use crate::transport::codec::Requests;
use crate::transport::listen::Socket;

/// Maximum number of bytes kept behind a request; further ones wait in the kernel.
const KEPT_MAX: usize = 65_536;
/// Size of the buffer to read them into.
const READ_SIZE: usize = 4_096;

/// Time limits for progress on a connection.
#[derive(Debug, Clone, Copy)]
pub(in crate::transport) struct HttpLimits {
    /// From the first byte of a head to its last.
    pub head: Duration,
    /// Between two parts of an answer that the client reads.
    pub answer: Duration,
}

/// A connection that carries HTTP.
pub(in crate::transport) struct HttpStream<T = Socket> {
    socket: T,
    /// Counts for its client's address until the socket is taken over.
    _place: Option<HttpPlace>,
    requests: Requests,
    /// Bytes of later requests.
    kept: BytesMut,
    limits: HttpLimits,
    /// Runs while a head is incomplete.
    head_due: Option<Pin<Box<Sleep>>>,
    /// Runs while the client reads nothing.
    answer_due: Option<Pin<Box<Sleep>>>,
}

impl<T> HttpStream<T> {
    pub(crate) fn new(socket: T, place: Option<HttpPlace>, limits: HttpLimits) -> Self {
        Self {
            socket,
            _place: place,
            requests: Requests::default(),
            kept: BytesMut::new(),
            limits,
            head_due: None,
            answer_due: None,
        }
    }

    /// Returns the socket, and the bytes read ahead.
    pub(crate) fn into_parts(self) -> (T, BytesMut) {
        (self.socket, self.kept)
    }

    /// Follows newly read bytes in a buffer; keeps those behind the current request.
    fn follow(&mut self, buffer: &mut ReadBuf<'_>, begun: usize) {
        let read = buffer.filled().get(begun..).unwrap_or_default();
        let taken = self.requests.follow(read);
        // Nothing else is kept by now: it would have been returned first.
        if let Some(later) = read.get(taken..).filter(|later| !later.is_empty()) {
            self.kept.extend_from_slice(later);
            buffer.set_filled(begun + taken);
        }
        if !self.requests.is_within_head() {
            self.head_due = None;
        }
    }

    /// Returns those of the kept bytes that belong to the current request.
    fn hand_out(&mut self, buffer: &mut ReadBuf<'_>) {
        let most = self.kept.len().min(buffer.remaining());
        let taken = self.requests.follow(self.kept.get(..most).unwrap_or_default());
        buffer.put_slice(self.kept.get(..taken).unwrap_or_default());
        self.kept.advance(taken);
        if self.kept.is_empty() {
            self.kept = BytesMut::new();
        }
    }

    fn poll_head_due(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.requests.is_within_head() {
            return Poll::Pending;
        }
        let limit = self.limits.head;
        poll_due(&mut self.head_due, limit, context)
    }

    fn note_written(&mut self, bytes: &[u8], context: &Context<'_>) {
        self.answer_due = None;
        if self.requests.follow_answer(bytes) && !self.kept.is_empty() {
            // No other event would report that there are bytes to read.
            context.waker().wake_by_ref();
        }
    }
}

impl<T: AsyncRead + Unpin> HttpStream<T> {
    /// Watches for the connection's end while a request is being answered, and keeps the bytes that come. Ready at the
    /// end.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Only reading shows that the client has gone. Beyond the limit the kernel slows the client down instead.
        while self.kept.len() < KEPT_MAX {
            let mut space = [MaybeUninit::uninit(); READ_SIZE];
            let mut buffer = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut self.socket).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.kept.extend_from_slice(buffer.filled());
        }
        Poll::Pending
    }
}

/// Ready with an error once `limit` has passed since the first call.
fn poll_due(due: &mut Option<Pin<Box<Sleep>>>, limit: Duration, context: &mut Context<'_>) -> Poll<io::Result<()>> {
    let due = due.get_or_insert_with(|| Box::pin(sleep(limit)));
    due.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
}

impl<T: AsyncRead + Unpin> AsyncRead for HttpStream<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Until the request is answered, actix-http gets nothing more but the end of the connection.
        if this.requests.is_whole() {
            return this.poll_end(context);
        }
        // Bytes read ahead precede those in the socket.
        if !this.kept.is_empty() {
            this.hand_out(buffer);
            return Poll::Ready(Ok(()));
        }
        let begun = buffer.filled().len();
        match Pin::new(&mut this.socket).poll_read(context, buffer) {
            Poll::Ready(outcome) => {
                this.follow(buffer, begun);
                Poll::Ready(outcome)
            }
            Poll::Pending => this.poll_head_due(context),
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for HttpStream<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.socket).poll_write(context, bytes) {
            Poll::Ready(Ok(written)) => {
                this.note_written(bytes.get(..written).unwrap_or_default(), context);
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // actix-http would wait for ever for a client that reads nothing.
            Poll::Pending => poll_due(&mut this.answer_due, this.limits.answer, context).map(|due| due.map(|()| 0)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.socket).poll_flush(context) {
            Poll::Ready(outcome) => {
                this.answer_due = None;
                Poll::Ready(outcome)
            }
            Poll::Pending => poll_due(&mut this.answer_due, this.limits.answer, context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    const GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

    fn connection(buffer: usize) -> (HttpStream<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(buffer);
        (HttpStream::new(ours, None, HttpLimits { head: SOON, answer: SOON }), theirs)
    }

    async fn read(stream: &mut HttpStream<DuplexStream>) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 100];
        let read = timeout(Duration::from_secs(10), stream.read(&mut bytes)).await.expect("something in time")?;
        bytes.truncate(read);
        Ok(bytes)
    }

    #[actix::test]
    async fn a_request_comes_once_the_one_before_it_is_answered() {
        let (mut ours, mut theirs) = connection(1_000);
        theirs.write_all(&[GET, GET, b"GE"].concat()).await.unwrap();
        for _ in 0..2 {
            assert_eq!(read(&mut ours).await.unwrap(), GET);
            assert!(timeout(SOON, ours.read(&mut [0; 9])).await.is_err(), "nothing more before the answer");
            ours.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        }
        assert_eq!(read(&mut ours).await.unwrap(), b"GE");
        theirs.write_all(&GET[2..]).await.unwrap();
        assert_eq!(read(&mut ours).await.unwrap(), GET[2..]);
        theirs.write_all(b"early").await.unwrap();
        drop(theirs);
        assert_eq!(read(&mut ours).await.unwrap(), b"", "the end is seen while the answer is being made");
        assert_eq!(&ours.into_parts().1[..], b"early");
    }

    #[actix::test]
    async fn a_head_that_does_not_end_and_an_answer_that_is_not_read_end_the_connection() {
        let (mut ours, mut theirs) = connection(1_000);
        theirs.write_all(GET).await.unwrap();
        read(&mut ours).await.unwrap();
        ours.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        theirs.write_all(b"GET / HT").await.unwrap();
        assert_eq!(read(&mut ours).await.unwrap(), b"GET / HT");
        // Further bytes do not restart the limit.
        theirs.write_all(b"TP").await.unwrap();
        assert_eq!(read(&mut ours).await.unwrap(), b"TP");
        assert_eq!(read(&mut ours).await.unwrap_err().kind(), io::ErrorKind::TimedOut);

        let (mut ours, _theirs) = connection(10);
        let sent = timeout(Duration::from_secs(10), ours.write_all(&[0; 100])).await.expect("an end in time");
        assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
