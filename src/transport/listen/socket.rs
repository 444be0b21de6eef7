//! A client's socket, plain or with TLS.
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A socket on its thread. TLS is behind a pointer, so that a plain connection does not pay for it.
pub(in crate::transport) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<MovableSocket>>),
}

/// The socket under TLS; it can be taken out and put back on another thread.
pub(in crate::transport) struct MovableSocket(Option<TcpStream>);

/// A socket being moved to another thread.
pub(in crate::transport) enum Travelling {
    Plain(std::net::TcpStream),
    Tls(std::net::TcpStream, Box<TlsStream<MovableSocket>>),
}

impl Socket {
    /// Deregisters from this thread's reactor.
    pub(in crate::transport) fn depart(self) -> io::Result<Travelling> {
        match self {
            Self::Plain(socket) => socket.into_std().map(Travelling::Plain),
            Self::Tls(mut tls) => {
                let socket = tls.get_mut().0.0.take().ok_or(io::ErrorKind::NotConnected)?;
                Ok(Travelling::Tls(socket.into_std()?, tls))
            }
        }
    }
}

impl Travelling {
    /// Registers with this thread's reactor.
    pub(in crate::transport) fn arrive(self) -> io::Result<Socket> {
        match self {
            Self::Plain(socket) => TcpStream::from_std(socket).map(Socket::Plain),
            Self::Tls(socket, mut tls) => {
                tls.get_mut().0.0 = Some(TcpStream::from_std(socket)?);
                Ok(Socket::Tls(tls))
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Tls(tls) => match ready!(Pin::new(tls.as_mut()).poll_read(context, buffer)) {
                // Many clients close without saying so in TLS; the protocols above mark their own ends.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
                outcome => Poll::Ready(outcome),
            },
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(context),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(context),
        }
    }
}

impl From<TcpStream> for MovableSocket {
    fn from(socket: TcpStream) -> Self {
        Self(Some(socket))
    }
}

impl MovableSocket {
    /// Returns the socket; while it is taken out, TLS is never used.
    fn socket(self: Pin<&mut Self>) -> io::Result<Pin<&mut TcpStream>> {
        self.get_mut().0.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncRead for MovableSocket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for MovableSocket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.socket()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket()?.poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_connection_pays_no_memory_for_tls() {
        assert!(size_of::<Socket>() <= size_of::<TcpStream>() + size_of::<usize>(), "{}", size_of::<Socket>());
    }
}
