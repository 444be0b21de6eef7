//! Two processes on one port: directs new connections to one of them, so that none waits in the queue of a process that
//! is ending.
//!
//! Sockets that share a port by `SO_REUSEPORT` are numbered in order of arrival; when one closes, the last takes its
//! number. By default the kernel spreads connections over all of them, and resets those that it assigned to a socket
//! between its last accept and its close. A small BPF program, which the kernel runs for each connection, chooses the
//! socket instead.
use std::io;
use std::net::TcpListener;

use nix::libc::{BPF_K, BPF_RET, sock_filter, sock_fprog};
use nix::sys::socket::{setsockopt, sockopt};

/// Number of the process that was there first.
const ELDER: u32 = 0;
/// Number of its successor. While there is none, the kernel chooses among the existing ones.
const SUCCESSOR: u32 = 1;

/// Directs new connections to the process that was there first.
pub(super) fn prefer_elder(listener: &TcpListener) -> io::Result<()> {
    prefer(listener, ELDER)
}

/// Directs new connections to the process that came later, if there is one.
pub(in crate::transport) fn prefer_successor(listener: &TcpListener) -> io::Result<()> {
    prefer(listener, SUCCESSOR)
}

/// Returns whether a socket is listening.
pub(super) fn listens(socket: &TcpListener) -> io::Result<bool> {
    Ok(nix::sys::socket::getsockopt(socket, sockopt::AcceptConn)?)
}

fn prefer(listener: &TcpListener, place: u32) -> io::Result<()> {
    let mut answer = sock_filter { code: (BPF_RET | BPF_K) as u16, jt: 0, jf: 0, k: place };
    let program = sock_fprog { len: 1, filter: &raw mut answer };
    Ok(setsockopt(listener, sockopt::AttachReusePortCbpf, &program)?)
}
