//! The actor of one connection. It owns the socket, and stays the same when the transport changes.
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{self, Poll};
use std::time::Instant;

use actix::{Actor, ActorContext as _, ActorFuture, AsyncContext as _, Context, Handler, Message};
use bytes::{Bytes, BytesMut};
use log::debug;
use tokio::sync::oneshot;

use super::table::{ConnectionRef, Table};
use crate::engineio::{CloseReason, Service, Ticket};
use crate::meter::{Meter, Metered};
use crate::transport::codec::Deflate;
use crate::transport::connection::{Answering, ConnectionState, WorkerState, accept_and_close, dismiss};
use crate::transport::listen::Travelling;

/// A connection with a client.
pub(in crate::transport) struct Connection<S: Service> {
    table: Rc<Table<S>>,
    state: ConnectionRef<S>,
}

/// Asks for queued packets, at once or when there are some.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::transport) struct Get {
    pub(in crate::transport) ticket: Ticket,
    pub(in crate::transport) answering: Answering,
}

/// Brings the body of a POST.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::transport) struct Post {
    pub(in crate::transport) ticket: Ticket,
    pub(in crate::transport) body: Bytes,
    pub(in crate::transport) answering: Answering,
}

/// Claims the session for a POST whose body is still being received.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::transport) struct BeginPost {
    pub(in crate::transport) ticket: Ticket,
    pub(in crate::transport) answering: Answering,
    /// Receives the maximum size of the body in bytes.
    pub(in crate::transport) allowed: oneshot::Sender<usize>,
}

/// Reports that more of a POST's body has arrived.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::transport) struct PostGoesOn;

/// Releases the claim of a refused POST.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::transport) struct PostRefused {
    pub(in crate::transport) ticket: Ticket,
}

/// Reports that a request was aborted, or ends the session.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::transport) struct RequestFailed;

/// Brings a WebSocket that is to become the transport.
#[derive(Message)]
#[rtype(result = "()")]
pub(in crate::transport) struct TakeSocket {
    pub(in crate::transport) socket: Travelling,
    /// The 101.
    pub(in crate::transport) head: Bytes,
    /// Compression of its messages, if any.
    pub(in crate::transport) deflate: Option<Deflate>,
    /// Bytes that came with the request.
    pub(in crate::transport) early: BytesMut,
}

impl<S: Service> Connection<S> {
    /// Starts the actor of a connection that has its slot.
    pub(in crate::transport) fn run(table: Rc<Table<S>>, state: ConnectionRef<S>, context: Context<Self>) {
        context.run(Self { table, state });
    }

    /// Lets the connection's state handle a message of the mailbox; packets that it queues are sent once the mailbox is empty.
    fn react<M>(&mut self, react: impl FnOnce(&mut ConnectionState<S>, &WorkerState<S>, Instant)) {
        self.step::<M, _>(|connection| connection.react_now(react));
    }

    fn react_now(&self, react: impl FnOnce(&mut ConnectionState<S>, &WorkerState<S>, Instant)) {
        let (worker, mut state, now) = (&self.table.worker, self.state.borrow_mut(), Instant::now());
        // the timer may be late; a request must not profit from that
        if state.deadline(worker).is_some_and(|due| now >= due) {
            state.on_deadline(worker, now);
        }
        react(&mut state, worker, now);
    }
}

impl<S: Service> Metered for Connection<S> {
    fn meter(&self) -> &Meter {
        &self.table.worker.stats.connections
    }
}

impl<S: Service> Actor for Connection<S> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.spawn(Drive(PhantomData));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        let mut state = self.state.borrow_mut();
        state.close(&self.table.worker, CloseReason::Shutdown, Instant::now());
        state.finish(&self.table.worker);
        self.table.free_slot(&state);
    }
}

/// The connection's share of its task: both directions of the socket. Polled after the mailbox, until the connection
/// ends.
struct Drive<S>(PhantomData<fn() -> S>);

impl<S: Service> ActorFuture<Connection<S>> for Drive<S> {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        connection: &mut Connection<S>,
        actor: &mut Context<Connection<S>>,
        task: &mut task::Context<'_>,
    ) -> Poll<()> {
        let Connection { table, state } = connection;
        let (worker, mut state, now) = (&table.worker, state.borrow_mut(), Instant::now());
        state.keep_waker(task.waker());
        // it limits itself, and a write that only seems to block would make the client look slow
        let step = std::future::poll_fn(|task| {
            state.read(worker, task, now);
            state.flush(worker, task, now);
            Poll::Ready(())
        });
        let _ = std::pin::pin!(tokio::task::unconstrained(step)).poll(task);
        worker.last.forget();
        table.arm(&mut state);
        worker.note_step(now);
        if state.is_finished() {
            actor.stop();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl<S: Service> Handler<Get> for Connection<S> {
    type Result = ();

    fn handle(&mut self, Get { ticket, answering }: Get, _: &mut Self::Context) {
        self.react::<Get>(|state, worker, now| state.on_get(worker, ticket, answering, now));
    }
}

impl<S: Service> Handler<Post> for Connection<S> {
    type Result = ();

    fn handle(&mut self, Post { ticket, body, answering }: Post, _: &mut Self::Context) {
        self.react::<Post>(|state, worker, now| state.on_post(worker, ticket, &body, answering, now));
    }
}

impl<S: Service> Handler<BeginPost> for Connection<S> {
    type Result = ();

    fn handle(&mut self, BeginPost { ticket, answering, allowed }: BeginPost, _: &mut Self::Context) {
        self.react::<BeginPost>(|state, worker, now| {
            // The request may have been dropped.
            let _ = allowed.send(state.max_message_bytes(worker));
            state.on_post_begun(worker, ticket, answering, now);
        });
    }
}

impl<S: Service> Handler<PostGoesOn> for Connection<S> {
    type Result = ();

    fn handle(&mut self, _: PostGoesOn, _: &mut Self::Context) {
        self.react::<PostGoesOn>(|state, _, _| state.on_bytes());
    }
}

impl<S: Service> Handler<PostRefused> for Connection<S> {
    type Result = ();

    fn handle(&mut self, PostRefused { ticket }: PostRefused, _: &mut Self::Context) {
        self.react::<PostRefused>(|state, _, _| state.on_post_refused(ticket));
    }
}

impl<S: Service> Handler<RequestFailed> for Connection<S> {
    type Result = ();

    fn handle(&mut self, _: RequestFailed, _: &mut Self::Context) {
        self.react::<RequestFailed>(|state, worker, now| state.on_request_failed(worker, now));
    }
}

impl<S: Service> Handler<TakeSocket> for Connection<S> {
    type Result = ();

    fn handle(&mut self, TakeSocket { socket, head, deflate, mut early }: TakeSocket, _: &mut Self::Context) {
        let socket = match socket.arrive() {
            Ok(socket) => socket,
            Err(error) => return debug!(cause:% = error; "a socket could not be taken over"),
        };
        self.react::<TakeSocket>(|state, worker, now| match state.begin_upgrade(worker, socket, head.clone(), deflate, now) {
            None => state.take_in(worker, &mut early, now),
            Some(socket) => {
                actix::spawn(dismiss(socket, accept_and_close(head, None)));
            }
        });
    }
}
