//! Reads as values: what the broker asks the store, and what it is answered.
mod lookup;
mod page;
mod turns;

use std::time::Duration;

use crate::chat::state::Question;
use crate::engineio::ConnectionKey;
use crate::model::{Message, MessageId, Notification, SocketId, UserId};
use crate::store::{self, AnyConnection, QueryResult, Store, StoreError};

pub(crate) use self::lookup::{LookedUp, Lookup, LookupFor, LookupQuery, describe, find_users};
pub(crate) use self::page::{Page, PageQuery};
pub(crate) use self::turns::{FoundTurns, find_turns};

/// Maximum number of unseen notifications that are shown at a connect, the newest; the rest counts as seen.
const UNSEEN_MAX: i64 = 100;

/// A read that the broker has begun. It runs outside; the broker goes on with the [`Answer`].
#[derive(Debug)]
pub(super) enum Query {
    /// Read that commands and coming clients wait for.
    Lookup(Box<LookupQuery>),
    /// A page of what a socket has missed.
    Page {
        /// Socket that is shown it.
        to: Destination,
        /// Bounds of the page.
        query: Box<PageQuery>,
    },
    /// That all that was admitted before is stored.
    Settled,
    /// Notifications that a user was not shown.
    Unseen {
        /// The socket that is shown them.
        to: Destination,
        /// The user.
        user: UserId,
        /// Number of times that the store had been given some by then.
        noted: u32,
    },
    /// Turns that the model is sent.
    Turns {
        /// The question's number.
        ticket: u64,
        /// The question.
        question: Box<Question>,
    },
    /// A message that the store has already, and the answer to it.
    Known {
        /// The number under which its send waits.
        ticket: u64,
        /// The message.
        message: MessageId,
        /// The answer, where it is a question.
        answer: Option<MessageId>,
    },
    /// Messages of which nobody knows whether a change of them is stored.
    Doubted(Vec<MessageId>),
}

/// The socket for which something is read. Its connection's place may be another's by then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Destination {
    /// Its connection.
    pub connection: ConnectionKey,
    /// Its id.
    pub socket: SocketId,
}

/// A message as it is stored with the hash of its request, and the answer to it.
pub(super) type KnownMessage = (Option<(Message, Option<[u8; 32]>)>, Option<Message>);

/// The answer to a [`Query`].
#[derive(Debug)]
pub(super) enum Answer {
    /// To [`Query::Lookup`].
    Lookup(Box<LookupQuery>, Result<LookedUp, StoreError>),
    /// To [`Query::Page`], and how long a reader was at it.
    Page(Destination, Result<Page, StoreError>, Duration),
    /// To [`Query::Settled`].
    Settled(Result<(), StoreError>),
    /// To [`Query::Unseen`].
    Unseen(Destination, Result<Vec<Notification>, StoreError>, u32),
    /// To [`Query::Turns`].
    Turns(u64, Result<FoundTurns, StoreError>),
    /// To [`Query::Known`].
    Known(u64, Box<Result<KnownMessage, StoreError>>),
    /// To [`Query::Doubted`], in its order.
    Doubted(Result<Vec<Option<Message>>, StoreError>),
}

impl Query {
    /// Asks the store.
    pub(super) async fn run(self, store: Store) -> Answer {
        match self {
            Self::Lookup(mut query) => {
                let looked_up = query.read(store).await;
                Answer::Lookup(query, looked_up)
            }
            Self::Page { to, query } => {
                // While it waits for a reader it is no work for anybody.
                let clock = store.clock().clone();
                let read = move |conn: &mut AnyConnection| {
                    let begun = clock.now();
                    Ok((query.read(conn)?, clock.since(begun)))
                };
                match store.read(read).await {
                    Ok((page, took)) => Answer::Page(to, Ok(page), took),
                    Err(error) => Answer::Page(to, Err(error), Duration::ZERO),
                }
            }
            Self::Settled => Answer::Settled(store.read_after_writes(|_| Ok(())).await),
            Self::Unseen { to, user, noted } => {
                let found = store.read_after_writes(move |conn| store::list_unseen(conn, &user, UNSEEN_MAX)).await;
                Answer::Unseen(to, found, noted)
            }
            Self::Turns { ticket, question } => {
                Answer::Turns(ticket, store.read_after_writes(move |conn| find_turns(conn, &question)).await)
            }
            Self::Known { ticket, message, answer } => {
                let found = store.read(move |conn| find_known(conn, message, answer)).await;
                Answer::Known(ticket, Box::new(found))
            }
            Self::Doubted(messages) => {
                let find = move |conn: &mut AnyConnection| {
                    messages.into_iter().map(|id| store::find_stored(conn, id)).collect::<QueryResult<Vec<_>>>()
                };
                Answer::Doubted(store.read_after_writes(find).await)
            }
        }
    }
}

fn find_known(conn: &mut AnyConnection, message: MessageId, answer: Option<MessageId>) -> QueryResult<KnownMessage> {
    let answer = answer.map(|answer| store::find_message(conn, answer)).transpose()?.flatten();
    Ok((store::find_stored(conn, message)?.zip(store::find_request_hash(conn, message)?), answer))
}
