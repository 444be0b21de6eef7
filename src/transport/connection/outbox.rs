//! The queue of packets waiting to be sent on one connection.
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use smallvec::SmallVec;
use tokio::io::AsyncWrite;

use crate::engineio::{CloseReason, Encoded, Output, join_payloads};
use crate::transport::codec::{Compressor, Deflate};
use crate::transport::listen::Socket;

/// Maximum number of buffers in one vectored write.
const MAX_SLICES: usize = 64;

/// An entry of the queue.
#[derive(Debug)]
pub(in crate::transport) enum Queued {
    /// Engine.IO packets.
    Packets(Encoded),
    /// Other bytes on a WebSocket: a response head, a control frame.
    Raw(Bytes),
}

impl Queued {
    fn frames(&self) -> &Bytes {
        match self {
            Self::Packets(packets) => packets.frames(),
            Self::Raw(bytes) => bytes,
        }
    }

    fn packets(&self) -> usize {
        match self {
            Self::Packets(packets) => packets.packets(),
            Self::Raw(_) => 1,
        }
    }
}

/// A queue of packets. It uses no heap while it holds at most one entry.
///
/// Entries are reference-counted within one thread. The bytes' own counter is atomic and shared by all threads: with
/// it, the members of a room would make the workers contend for its cache line.
#[derive(Debug, Default)]
pub(in crate::transport) struct Outbox {
    first: Option<Rc<Queued>>,
    rest: VecDeque<Rc<Queued>>,
    /// Bytes of the first entry that were already written.
    written: usize,
    bytes: usize,
    packets: usize,
}

impl Outbox {
    #[inline]
    pub(super) fn push(&mut self, queued: Rc<Queued>) {
        self.bytes += queued.frames().len();
        self.packets += queued.packets();
        match self.first {
            None => self.first = Some(queued),
            Some(_) => self.rest.push_back(queued),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn packets(&self) -> usize {
        self.packets
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Appends another queue, of which nothing was written yet.
    pub(super) fn append(&mut self, other: Self) {
        for queued in other.first.into_iter().chain(other.rest) {
            self.push(queued);
        }
    }

    /// Takes all packets as one polling body.
    pub(super) fn take_payload(&mut self) -> Bytes {
        let queue = std::mem::take(self);
        let payloads: SmallVec<[&Bytes; 16]> = queue
            .first
            .iter()
            .chain(&queue.rest)
            .filter_map(|queued| match &**queued {
                Queued::Packets(packets) => Some(packets.payload()),
                Queued::Raw(_) => None,
            })
            .collect();
        join_payloads(payloads.iter().copied())
    }

    /// Calls [`Outbox::poll_write`], compiled once for each kind of socket, so that a plain one need not choose at
    /// every write.
    pub(super) fn poll_write_to(&mut self, socket: &mut Socket, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match socket {
            Socket::Plain(socket) => self.poll_write(socket, context),
            Socket::Tls(socket) => self.poll_write(socket.as_mut(), context),
        }
    }

    /// Writes until nothing is left or the socket accepts no more, with as few calls as possible.
    pub(super) fn poll_write(&mut self, mut socket: impl AsyncWrite + Unpin, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(first) = &self.first {
            let head = first.frames().get(self.written..).unwrap_or_default();
            let socket = Pin::new(&mut socket);
            // A single entry is the usual case, and a plain write is cheaper than a vectored one.
            let written = if self.rest.is_empty() {
                ready!(socket.poll_write(context, head))?
            } else {
                let mut slices = SmallVec::<[IoSlice<'_>; MAX_SLICES]>::new();
                slices.push(IoSlice::new(head));
                slices.extend(self.rest.iter().take(MAX_SLICES - 1).map(|queued| IoSlice::new(queued.frames())));
                ready!(socket.poll_write_vectored(context, &slices))?
            };
            if written == 0 && !head.is_empty() {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        Pin::new(&mut socket).poll_flush(context)
    }

    fn advance(&mut self, written: usize) {
        self.bytes = self.bytes.saturating_sub(written);
        self.written += written;
        while let Some(first) = &self.first
            && self.written >= first.frames().len()
        {
            self.written -= first.frames().len();
            self.packets = self.packets.saturating_sub(first.packets());
            self.first = self.rest.pop_front();
        }
        // A connection with an empty queue keeps no buffer.
        if self.rest.is_empty() && self.rest.capacity() > 0 {
            self.rest = VecDeque::new();
        }
    }
}

impl From<Bytes> for Outbox {
    fn from(bytes: Bytes) -> Self {
        let mut outbox = Self::default();
        outbox.push(Rc::new(Queued::Raw(bytes)));
        outbox
    }
}

/// Maximum amount that may wait for one client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) packets: usize,
    pub(super) bytes: usize,
}

/// The packets queued last by this thread, so that a broadcast's receivers share one reference.
#[derive(Default)]
pub(in crate::transport) struct LastQueued {
    plain: RefCell<Option<Rc<Queued>>>,
    /// The latest compressed packets: a broadcast has one packet for each dialect, and clients use different windows.
    deflated: RefCell<VecDeque<Deflated>>,
    compressor: Compressor,
}

/// Compressed frames: the originals, the parameters, and the result.
struct Deflated {
    source: Bytes,
    agreed: Deflate,
    queued: Rc<Queued>,
}

/// Maximum number of compressed packets kept for reuse.
const DEFLATED_MAX: usize = 16;

impl LastQueued {
    fn share(&self, packets: &Encoded) -> Rc<Queued> {
        let mut last = self.plain.borrow_mut();
        if let Some(queued) = &*last
            && let Queued::Packets(other) = &**queued
            // the buffer is kept alive here, so the address identifies it
            && other.frames().as_ptr() == packets.frames().as_ptr()
            && other.frames().len() == packets.frames().len()
        {
            return queued.clone();
        }
        let queued = Rc::new(Queued::Packets(packets.clone()));
        *last = Some(queued.clone());
        queued
    }

    fn share_deflated(&self, packets: &Encoded, deflate: Deflate) -> Rc<Queued> {
        let mut last = self.deflated.borrow_mut();
        let is_same = |known: &&Deflated| {
            let (source, frames) = (&known.source, packets.frames());
            known.agreed == deflate && source.as_ptr() == frames.as_ptr() && source.len() == frames.len()
        };
        if let Some(known) = last.iter().find(is_same) {
            return known.queued.clone();
        }
        let queued = match packets.deflated(|payload| self.compressor.compress(deflate, payload)) {
            Some(deflated) => Rc::new(Queued::Packets(deflated)),
            None => self.share(packets),
        };
        if last.len() >= DEFLATED_MAX {
            last.pop_front();
        }
        last.push_back(Deflated { source: packets.frames().clone(), agreed: deflate, queued: queued.clone() });
        queued
    }

    /// Drops the packets.
    pub(in crate::transport) fn forget(&self) {
        self.plain.borrow_mut().take();
        self.deflated.borrow_mut().clear();
    }
}

/// Encoding that a client needs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Form {
    /// Binary messages as base64.
    pub(super) base64: bool,
    /// Compressed.
    pub(super) deflate: Option<Deflate>,
}

/// The output of a service during one call: the outbox with its limits.
pub(super) struct Outlet<'a> {
    outbox: &'a mut Outbox,
    last: &'a LastQueued,
    is_full: bool,
    is_half_full: bool,
    form: Form,
    close: Option<CloseReason>,
}

impl<'a> Outlet<'a> {
    /// Fullness is judged once, at the start, so that all packets of an event fit if less than the limit was waiting.
    pub(super) fn new(outbox: &'a mut Outbox, last: &'a LastQueued, limits: Limits, form: Form) -> Self {
        let is_full = outbox.packets >= limits.packets || outbox.bytes >= limits.bytes;
        let is_half_full = outbox.packets >= limits.packets / 2 || outbox.bytes >= limits.bytes / 2;
        Self { outbox, last, is_full, is_half_full, form, close: None }
    }

    /// Returns the reason to close the connection, if there is one.
    pub(super) fn close_reason(&self) -> Option<CloseReason> {
        self.close
    }
}

impl Output for Outlet<'_> {
    fn send(&mut self, packets: &Encoded) {
        if self.close.is_some() {
            return;
        }
        if self.is_full {
            self.close = Some(CloseReason::SlowConsumer);
            return;
        }
        let as_text = if self.form.base64 { packets.as_text_frames() } else { None };
        let queued = match (as_text, self.form.deflate) {
            (Some(as_text), _) => Rc::new(Queued::Packets(as_text)),
            (None, Some(deflate)) => self.last.share_deflated(packets, deflate),
            (None, None) => self.last.share(packets),
        };
        self.outbox.push(queued);
    }

    fn send_volatile(&mut self, packets: &Encoded) -> bool {
        if self.is_half_full || self.close.is_some() {
            return false;
        }
        self.send(packets);
        true
    }

    fn close(&mut self, reason: CloseReason) {
        self.close.get_or_insert(reason);
    }

    fn queued_bytes(&self) -> usize {
        self.outbox.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Accepts a number of bytes, then blocks.
    struct Pipe {
        taken: Vec<u8>,
        room: usize,
        calls: usize,
    }

    impl AsyncWrite for Pipe {
        fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(context, &[IoSlice::new(bytes)])
        }
        fn poll_write_vectored(self: Pin<&mut Self>, _: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
            let pipe = self.get_mut();
            pipe.calls += 1;
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).take(pipe.room).collect();
            if bytes.is_empty() {
                return Poll::Pending;
            }
            pipe.room -= bytes.len();
            pipe.taken.extend(&bytes);
            Poll::Ready(Ok(bytes.len()))
        }
        fn is_write_vectored(&self) -> bool {
            true
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    const LIMITS: Limits = Limits { packets: 4, bytes: 1000 };

    fn send(outbox: &mut Outbox, last: &LastQueued, text: &str) -> Option<CloseReason> {
        let mut outlet = Outlet::new(outbox, last, LIMITS, Form::default());
        outlet.send(&Encoded::text(text));
        outlet.close_reason()
    }

    #[test]
    fn what_waits_leaves_in_one_write_and_in_order() {
        let (mut outbox, last) = (Outbox::default(), LastQueued::default());
        for text in ["4a", "4bb", "4ccc"] {
            assert_eq!(send(&mut outbox, &last, text), None);
        }
        let mut context = Context::from_waker(Waker::noop());
        let mut pipe = Pipe { taken: Vec::new(), room: 6, calls: 0 };
        assert!(outbox.poll_write(&mut pipe, &mut context).is_pending());
        assert_eq!((outbox.bytes(), outbox.packets()), (9, 2), "the first has left, the second in part");
        pipe.room = 100;
        assert!(outbox.poll_write(&mut pipe, &mut context).is_ready());
        assert_eq!(pipe.taken, b"\x81\x024a\x81\x034bb\x81\x044ccc");
        assert_eq!(pipe.calls, 3, "one that blocked and one for the rest");
        assert!(outbox.is_empty() && outbox.bytes() == 0 && outbox.packets() == 0 && outbox.rest.capacity() == 0);
    }

    #[test]
    fn a_broadcast_is_shared_by_its_receivers() {
        let (mut one, mut other, last) = (Outbox::default(), Outbox::default(), LastQueued::default());
        let packets = Encoded::text("4a");
        for outbox in [&mut one, &mut other] {
            Outlet::new(outbox, &last, LIMITS, Form::default()).send(&packets);
        }
        assert!(Rc::ptr_eq(one.first.as_ref().unwrap(), other.first.as_ref().unwrap()));
        send(&mut one, &last, "4a");
        assert!(!Rc::ptr_eq(one.first.as_ref().unwrap(), one.rest.front().unwrap()), "equal bytes elsewhere are another entry");
    }

    #[test]
    fn full_is_judged_by_what_waited_before() {
        let (mut outbox, last) = (Outbox::default(), LastQueued::default());
        assert_eq!(send(&mut outbox, &last, &"x".repeat(5000)), None, "any event fits into an empty outbox");
        assert_eq!(send(&mut outbox, &last, "4a"), Some(CloseReason::SlowConsumer));
        outbox.clear();
        let mut outlet = Outlet::new(&mut outbox, &last, LIMITS, Form::default());
        for _ in 0..10 {
            outlet.send(&Encoded::text("4a"));
        }
        assert_eq!(outlet.close_reason(), None, "the packets of one event stay together");
    }

    #[test]
    fn volatile_packets_are_dropped_when_half_full() {
        let (mut outbox, last) = (Outbox::default(), LastQueued::default());
        let volatile = Encoded::text("4v");
        assert!(Outlet::new(&mut outbox, &last, LIMITS, Form::default()).send_volatile(&volatile));
        send(&mut outbox, &last, "4a");
        assert!(!Outlet::new(&mut outbox, &last, LIMITS, Form::default()).send_volatile(&volatile));
        assert_eq!(&outbox.take_payload()[..], b"4v\x1e4a");
    }

    #[test]
    fn binary_goes_as_base64_to_clients_that_ask_for_it() {
        let (mut outbox, last) = (Outbox::default(), LastQueued::default());
        Outlet::new(&mut outbox, &last, LIMITS, Form { base64: true, deflate: None })
            .send(&Encoded::binary(&Bytes::from_static(&[1])));
        let mut pipe = Pipe { taken: Vec::new(), room: 100, calls: 0 };
        assert!(outbox.poll_write(&mut pipe, &mut Context::from_waker(Waker::noop())).is_ready());
        assert_eq!(pipe.taken, b"\x81\x05bAQ==");
    }
}
