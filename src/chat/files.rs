//! Uploads that nothing names any more.
//!
//! A send looks its files up, and is given to the store behind the answer. What is dropped in between would be lost to its
//! message. So the broker gives the dropping to the store itself, and counts it: a send whose look was before it looks again,
//! and one that was given to the store before it has named its files there.
use actix::{Context, Handler, Message, ResponseFuture};
use tokio::sync::oneshot;

use super::server::ChatServer;
use crate::meter::Metered as _;
use crate::store::{Done, StoreError, Write, Written};

/// Takes away the uploads among these files, which are to be looked at, that nothing names. Answers which files are to be removed.
#[derive(Message, Debug)]
#[rtype(result = "Result<Vec<String>, StoreError>")]
pub struct DropFiles {
    /// Their addresses.
    pub urls: Vec<String>,
}

impl Handler<DropFiles> for ChatServer {
    type Result = ResponseFuture<Result<Vec<String>, StoreError>>;

    fn handle(&mut self, message: DropFiles, _: &mut Context<Self>) -> Self::Result {
        self.turn::<DropFiles, _>(|broker| {
            let (answer, outcome) = oneshot::channel();
            // In this very turn: what the broker looks up from here on is read behind it.
            let admitted = broker.store.try_write(Write::DropFiles { urls: message.urls }, Done::Answer(answer));
            broker.files_dropped += 1;
            Box::pin(async move {
                admitted?;
                match outcome.await.unwrap_or(Err(StoreError::Unavailable))? {
                    Written::Unnamed { urls } => Ok(urls),
                    _ => Err(StoreError::Internal),
                }
            })
        })
    }
}
