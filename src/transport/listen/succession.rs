//! Two processes on one port: who comes goes to one of them, so that nobody waits in the queue of a process that ends.
//!
//! Sockets that share a port by `SO_REUSEPORT` stand in the order in which they came; one that closes leaves its place to the
//! last. The kernel would spread the connections over all; a program that it runs for each says instead which one gets it.
//! Without that, connections which the kernel gave to a socket between its last accept and its close would be reset.
use std::io;
use std::net::TcpListener;

use nix::libc::{BPF_K, BPF_RET, sock_filter, sock_fprog};
use nix::sys::socket::{setsockopt, sockopt};

/// The place of the process that was there first.
const ELDER: u32 = 0;
/// The place of its successor. While there is none the kernel chooses among those that are there.
const SUCCESSOR: u32 = 1;

/// Sends new connections to the process that was there first.
pub(super) fn prefer_elder(listener: &TcpListener) -> io::Result<()> {
    prefer(listener, ELDER)
}

/// Sends new connections to the process that came later, if there is one.
pub(in crate::transport) fn prefer_successor(listener: &TcpListener) -> io::Result<()> {
    prefer(listener, SUCCESSOR)
}

/// Tells whether a socket listens.
pub(super) fn listens(socket: &TcpListener) -> io::Result<bool> {
    Ok(nix::sys::socket::getsockopt(socket, sockopt::AcceptConn)?)
}

fn prefer(listener: &TcpListener, place: u32) -> io::Result<()> {
    let mut answer = sock_filter { code: (BPF_RET | BPF_K) as u16, jt: 0, jf: 0, k: place };
    let program = sock_fprog { len: 1, filter: &raw mut answer };
    Ok(setsockopt(listener, sockopt::AttachReusePortCbpf, &program)?)
}
