//! Keys of token issuers: read at the start, hourly, and when a token names an unknown key.
//!
//! Only requests and sessions with such a token wait here; known keys verify without it.
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, WrapFuture as _};
use log::{info, warn};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::auth::{Answer, Asking, News, TokenKeys};
use crate::chat::{Notice, ToWorker};
use crate::engineio::{ConnectionKey, Delivery};
use crate::http::header::{ACCEPT, HeaderMap, HeaderValue};
use crate::http::{Route, Trust, cause_of, http_client, read_up_to};
use crate::meter::Counted;
use crate::model::Timestamp;
use crate::session::KeysWanted;

/// Interval of looking for keys that are due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time limit of connecting to an issuer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit of reading an issuer's keys in all.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum length of an answer, in bytes; sets of keys have a few kilobytes.
const ANSWER_MAX_BYTES: usize = 1_024 * 1_024;

/// Reads the keys of an issuer.
///
/// # Errors
/// The reason in one line.
async fn read(asking: &Asking) -> Result<Answer, String> {
    let answer = async {
        let address = match asking.issuer {
            Some(_) => asking.discover(&get(&asking.address).await?)?,
            None => asking.address.clone(),
        };
        Answer::read(&get(&address).await?)
    };
    timeout(READ_TIMEOUT, answer).await.unwrap_or_else(|_| Err(format!("no answer within {} s", READ_TIMEOUT.as_secs())))
}

async fn get(address: &str) -> Result<String, String> {
    let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
    let client = http_client(address, (Trust::Certified, Route::AsTheMachineSays), headers, CONNECT_TIMEOUT)?;
    let response = client.get(address).send().await.map_err(cause_of)?;
    let status = response.status();
    if status.is_redirection() {
        return Err(format!("the answer leads elsewhere ({}), and is not followed: set the address itself", status.as_u16()));
    }
    if !status.is_success() {
        return Err(format!("the answer is {}", status.as_u16()));
    }
    read_up_to(response, ANSWER_MAX_BYTES).await
}

/// Reads all keys that are due, for a single look at a token; returns the unreadable ones, with the reasons.
pub async fn read_issuer_keys(tokens: &TokenKeys) -> Vec<(String, String)> {
    let mut failures = Vec::new();
    for asking in tokens.issuers_due(Timestamp::now()) {
        let answer = read(&asking).await;
        failures.extend(answer.as_ref().err().map(|cause| (asking.name.clone(), cause.clone())));
        tokens.issuer_answered(asking.source, answer, Timestamp::now());
    }
    failures
}

/// A client whose token names an unknown key.
enum Waiting {
    /// A client's session.
    Session(ConnectionKey),
    /// A request over HTTP.
    Request(oneshot::Sender<()>),
}

/// The actor that reads keys of issuers.
pub(super) struct IssuerKeys {
    tokens: Arc<TokenKeys>,
    workers: Vec<Option<Counted<ToWorker>>>,
    waiting: Vec<Waiting>,
}

/// Announces a worker thread that can be notified.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct WorkerReady {
    /// Its number, from 0.
    pub(super) worker: u16,
    /// Recipient of notices to its connections.
    pub(super) deliveries: Counted<ToWorker>,
}

/// Waits for keys on behalf of a request over HTTP. Each open request sends at most one at a time.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct AwaitKeys(pub(super) oneshot::Sender<()>);

impl IssuerKeys {
    /// Reads the keys of the issuers that `tokens` trusts.
    pub(super) fn new(tokens: Arc<TokenKeys>) -> Self {
        Self { tokens, workers: Vec::new(), waiting: Vec::new() }
    }

    fn read_due(&mut self, ctx: &mut Context<Self>) {
        for asking in self.tokens.issuers_due(Timestamp::now()) {
            let reading = async move {
                let answer = read(&asking).await;
                (asking, answer)
            };
            ctx.spawn(reading.into_actor(self).map(|(asking, answer), act, _| act.answered(&asking, answer)));
        }
    }

    fn answered(&mut self, asking: &Asking, answer: Result<Answer, String>) {
        let issuer = asking.name.as_str();
        match self.tokens.issuer_answered(asking.source, answer, Timestamp::now()) {
            News::Changed { keys, complaints } => {
                info!(issuer, keys; "keys of an issuer of tokens are read");
                complaints.iter().for_each(|complaint| warn!(issuer; "{complaint}"));
            }
            News::Back => info!(issuer; "an issuer of tokens is back"),
            News::Away(cause) => {
                warn!(issuer, cause; "an issuer of tokens gives no keys; those that are known stay good for a day");
            }
            News::Nothing => {}
        }
        self.release();
    }

    /// Lets all waiting clients verify again. A client whose key is still missing and asked for comes back.
    fn release(&mut self) {
        for waiting in self.waiting.drain(..) {
            match waiting {
                Waiting::Session(connection) => {
                    if let Some(Some(worker)) = self.workers.get(usize::from(connection.worker)) {
                        worker.do_send(Delivery::ToOne { to: connection.slot, notice: Notice::KeysRead });
                    }
                }
                // The requester may have gone away meanwhile.
                Waiting::Request(waiter) => drop(waiter.send(())),
            }
        }
    }

    fn wait(&mut self, waiting: Waiting, ctx: &mut Context<Self>) {
        self.waiting.push(waiting);
        self.read_due(ctx);
        // The keys may have arrived while the message was on its way.
        if !self.tokens.is_asking_issuers() {
            self.release();
        }
    }
}

impl Actor for IssuerKeys {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.read_due(ctx);
        ctx.run_interval(LOOK_EVERY, |act, ctx| act.read_due(ctx));
    }
}

impl Handler<WorkerReady> for IssuerKeys {
    type Result = ();

    fn handle(&mut self, WorkerReady { worker, deliveries }: WorkerReady, _: &mut Context<Self>) {
        let place = usize::from(worker);
        if self.workers.len() <= place {
            self.workers.resize_with(place + 1, || None);
        }
        if let Some(known) = self.workers.get_mut(place) {
            *known = Some(deliveries);
        }
    }
}

impl Handler<KeysWanted> for IssuerKeys {
    type Result = ();

    fn handle(&mut self, KeysWanted { connection }: KeysWanted, ctx: &mut Context<Self>) {
        self.wait(Waiting::Session(connection), ctx);
    }
}

impl Handler<AwaitKeys> for IssuerKeys {
    type Result = ();

    fn handle(&mut self, AwaitKeys(waiter): AwaitKeys, ctx: &mut Context<Self>) {
        self.wait(Waiting::Request(waiter), ctx);
    }
}
