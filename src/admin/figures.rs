//! All figures. JSON and Prometheus output are both made from them.
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use serde_json::json;

use crate::auth::IssuerFigures;
use crate::chat::BrokerStats;
use crate::dialect::{DialectSet, DialectState};
use crate::logging::{RefusalKind, Refusals};
use crate::meter::{ActorStats, Distribution};
use crate::model::Timestamp;
use crate::store::StoreStats;
use crate::web::{self, Admin, ForwardFigures, HttpError, ServerFigures, Traffic, WebState};

/// Minimum time over which a rate is measured, in seconds.
const RATE_OVER_SECONDS: f64 = 0.9;

/// Remembers earlier totals, so that rates can be computed.
pub(super) struct Sampler {
    started: Instant,
    last: Mutex<Sample>,
}

#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    messages: u64,
    per_second: f64,
}

impl Default for Sampler {
    fn default() -> Self {
        let now = Instant::now();
        Self { started: now, last: Mutex::new(Sample { at: now, messages: 0, per_second: 0.0 }) }
    }
}

impl Sampler {
    fn messages_per_second(&self, messages: u64, now: Instant) -> f64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = now.saturating_duration_since(last.at).as_secs_f64();
        if seconds >= RATE_OVER_SECONDS {
            let more = u32::try_from(messages.saturating_sub(last.messages)).unwrap_or(u32::MAX);
            *last = Sample { at: now, messages, per_second: f64::from(more) / seconds };
        }
        last.per_second
    }
}

/// All figures. Except for gauges, they count from the start of the server.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Figures {
    /// Time of the snapshot.
    pub time: Timestamp,
    /// Time since the start of the server.
    pub uptime_seconds: u64,
    /// Messages admitted per second, measured over the last second or longer.
    pub messages_per_second: f64,
    /// Load of each kind of actor.
    pub actors: Vec<ActorFigures>,
    /// Admitted sockets.
    pub sessions: SessionFigures,
    /// Users, rooms and messages.
    pub chat: ChatFigures,
    /// State of the database.
    pub store: StoreFigures,
    /// Traffic of the Engine.IO endpoint.
    pub connections: Traffic,
    /// Refusals to clients.
    pub refusals: Vec<RefusalFigures>,
    /// Token issuers that publish keys.
    pub issuers: Vec<KeyFigures>,
    /// The operator's hook; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<HookFigures>,
    /// Webhooks.
    pub webhooks: Vec<WebhookFigures>,
    /// Events that are handed on (`FORWARD_URL`); absent if none are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<ForwardFigures>,
}

/// The operator's hook (`HOOK_URL`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HookFigures {
    /// Numbers of questions by outcome: `allowed`, `changed`, `refused`, `failed`.
    pub answers: BTreeMap<&'static str, u64>,
    /// Questions that wait for their turn (`HOOK_CONCURRENCY`).
    pub waiting: u64,
    /// Set while nothing is asked, because it has failed five times in a row.
    pub paused: bool,
    /// Time to an answer, waiting included.
    pub answer_seconds: DistributionFigures,
}

/// A webhook.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WebhookFigures {
    /// Its name.
    pub name: String,
    /// Events that wait.
    pub waiting: usize,
    /// Seconds that the oldest of them has waited; `None`: none waits.
    pub oldest_seconds: Option<f64>,
    /// Events delivered.
    pub delivered: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Events that became dead letters.
    pub buried: u64,
}

/// A token issuer that publishes keys.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeyFigures {
    /// Its address, as configured.
    pub issuer: String,
    /// Number of valid keys.
    pub keys: usize,
    /// Seconds since they were read; `None`: never.
    pub age_seconds: Option<u64>,
    /// Number of attempts to read them.
    pub reads: u64,
    /// Number of failed ones.
    pub failures: u64,
}

/// Refusals to clients for one reason.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RefusalFigures {
    /// Kind of request: `event`, `http`, …
    pub kind: &'static str,
    /// The error code.
    pub code: &'static str,
    /// Number of refusals.
    pub count: u64,
}

/// One kind of actor.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ActorFigures {
    /// Its name.
    pub actor: &'static str,
    /// Messages waiting in its mailbox; `None` if that is not counted.
    pub mailbox: Option<u64>,
    /// Turns: messages handled, and its other work.
    pub handled: u64,
    /// Time spent in steps.
    pub busy_seconds: f64,
    /// The slowest step of the last ten minutes or so.
    pub slowest: Option<SlowestFigures>,
}

/// A slow step.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SlowestFigures {
    /// The message handled, or the other work done.
    pub message: &'static str,
    /// Duration of the step.
    pub seconds: f64,
    /// End of the step.
    pub at: Timestamp,
}

/// Admitted sockets, by several properties.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionFigures {
    /// Connections by transport, `polling` or `websocket`, including those not admitted yet.
    pub by_transport: BTreeMap<&'static str, u64>,
    /// Sockets by dialect as far as it is certain: a name, several joined with `+`, or `undetermined`.
    pub by_dialect: BTreeMap<String, u64>,
    /// Sockets by namespace.
    pub by_namespace: BTreeMap<&'static str, u64>,
}

/// The broker's figures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChatFigures {
    /// Time that the request for these figures waited in the broker's mailbox.
    pub mailbox_wait_micros: u64,
    /// Admitted sockets.
    pub sockets: usize,
    /// Users who are announced as online.
    pub online_users: usize,
    /// Users whose account is in memory.
    pub cached_users: usize,
    /// Rooms with at least one socket.
    pub rooms: usize,
    /// Conversations in memory.
    pub conversations: usize,
    /// Messages being stored.
    pub in_flight: usize,
    /// Sessions that lost their connection and can still be resumed.
    pub parked: usize,
    /// Sessions resumed.
    pub recovered: u64,
    /// Clients that asked to resume and got a new session instead, by reason.
    pub not_recovered: BTreeMap<&'static str, u64>,
    /// Memory used by recent events, kept for clients that resume.
    pub recovery_bytes: usize,
    /// Requests.
    pub requests: u64,
    /// Messages admitted.
    pub messages: u64,
    /// Requests refused by the broker.
    pub refused: u64,
    /// Commands that panicked.
    pub panics: u64,
}

/// The store's figures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoreFigures {
    /// Set while commits fail.
    pub failing: bool,
    /// Writes waiting.
    pub queued: usize,
    /// Reads running or waiting.
    pub reads_in_flight: usize,
    /// Reads.
    pub reads: u64,
    /// Writes stored.
    pub writes: u64,
    /// Commits that failed because the database was unreachable.
    pub failed_commits: u64,
    /// Writes that the database refused.
    pub refused: u64,
    /// Duration of commits.
    pub commit_seconds: DistributionFigures,
    /// Writes per commit.
    pub batch_writes: DistributionFigures,
    /// Time that the first write of a batch waited.
    pub queue_wait_seconds: DistributionFigures,
    /// Duration of reads, including the wait for a reader.
    pub read_seconds: DistributionFigures,
}

/// A distribution of values by size.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DistributionFigures {
    /// Number of values.
    pub count: u64,
    /// Sum of the values.
    pub sum: f64,
    /// Number of values up to each bound; values above the last bound are only in `count`.
    pub buckets: Vec<BucketFigures>,
}

/// One bucket of a distribution.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BucketFigures {
    /// Upper bound.
    pub up_to: f64,
    /// Number of values up to the bound.
    pub count: u64,
}

/// `GET /api/admin/stats`
pub(super) async fn stats(state: Data<WebState>, sampler: Data<Sampler>, _: Admin) -> Result<HttpResponse, HttpError> {
    Ok(HttpResponse::Ok().json(json!({"success": true, "stats": collect(&state, &sampler).await?})))
}

/// Collects the current figures.
///
/// # Errors
/// 500 or 503 if the broker is gone.
pub(super) async fn collect(state: &WebState, sampler: &Sampler) -> Result<Figures, HttpError> {
    let asked_at = Instant::now();
    let broker = state.chat.stats().await?;
    let now = Instant::now();
    let (server, store) = ((state.figures)(), state.store.stats());
    Ok(Figures {
        time: Timestamp::now(),
        uptime_seconds: now.saturating_duration_since(sampler.started).as_secs(),
        messages_per_second: sampler.messages_per_second(broker.messages, now),
        actors: actors(&server, &broker, &store),
        sessions: sessions(&server.traffic, &broker, state.settings.dialects),
        chat: chat(&broker, now.saturating_duration_since(asked_at)),
        store: stored(&store, state.store.is_failing()),
        hook: server.hook.as_ref().map(hook),
        forwarded: server.forwarded,
        connections: server.traffic,
        refusals: refusals(&state.refusals),
        issuers: state.tokens.issuer_figures(Timestamp::now()).into_iter().map(issuer).collect(),
        webhooks: state.webhooks.figures().into_iter().map(webhook).collect(),
    })
}

fn actors(server: &ServerFigures, broker: &BrokerStats, store: &StoreStats) -> Vec<ActorFigures> {
    let number = |count: usize| Some(count as u64);
    vec![
        actor("ChatServer", &server.broker, Some(server.broker.waiting)),
        actor("Hub", &server.worker_actors, Some(server.worker_actors.waiting)),
        actor("Connection", &server.connections, None),
        actor("Persister", &store.persister, number(store.queued)),
        actor("Reader", &store.readers, number(store.reads_in_flight)),
        actor("Model", &server.model, number(broker.questions)),
    ]
}

fn actor(name: &'static str, stats: &ActorStats, mailbox: Option<u64>) -> ActorFigures {
    let ActorStats { waiting: _, handled, busy, slowest } = stats;
    ActorFigures {
        actor: name,
        mailbox,
        handled: *handled,
        busy_seconds: busy.as_secs_f64(),
        slowest: slowest.map(|slowest| SlowestFigures {
            message: slowest.message,
            seconds: slowest.took.as_secs_f64(),
            at: Timestamp::now().plus_millis(-i64::try_from(slowest.ago.as_millis()).unwrap_or(i64::MAX)),
        }),
    }
}

fn sessions(traffic: &Traffic, broker: &BrokerStats, enabled: DialectSet) -> SessionFigures {
    let mut by_dialect = BTreeMap::new();
    for (client_dialects, count) in &broker.client_dialect_counts {
        let speaks = DialectState::of_client_dialects(enabled, *client_dialects).speaks();
        *by_dialect.entry(speaks.label()).or_default() += *count as u64;
    }
    SessionFigures {
        by_transport: BTreeMap::from([("polling", traffic.polling), ("websocket", traffic.websocket)]),
        by_dialect,
        by_namespace: BTreeMap::from([("/", broker.sockets as u64)]),
    }
}

fn chat(stats: &BrokerStats, mailbox_wait: Duration) -> ChatFigures {
    let BrokerStats {
        sockets,
        online_users,
        cached_users,
        rooms,
        conversations,
        in_flight,
        detached: parked,
        recovered,
        not_recovered,
        client_dialect_counts: _,
        questions: _,
        recovery_bytes,
        requests,
        messages,
        refused,
        panics,
    } = stats;
    ChatFigures {
        mailbox_wait_micros: u64::try_from(mailbox_wait.as_micros()).unwrap_or(u64::MAX),
        sockets: *sockets,
        online_users: *online_users,
        cached_users: *cached_users,
        rooms: *rooms,
        conversations: *conversations,
        in_flight: *in_flight,
        parked: *parked,
        recovered: *recovered,
        not_recovered: not_recovered.iter().map(|(reason, count)| (reason.as_str(), *count)).collect(),
        recovery_bytes: *recovery_bytes,
        requests: *requests,
        messages: *messages,
        refused: *refused,
        panics: *panics,
    }
}

fn stored(stats: &StoreStats, failing: bool) -> StoreFigures {
    let StoreStats {
        queued,
        reads_in_flight,
        reads,
        writes,
        failed_commits,
        refused,
        commits,
        batches,
        queue_waits,
        read_times,
        persister: _,
        readers: _,
    } = stats;
    StoreFigures {
        failing,
        queued: *queued,
        reads_in_flight: *reads_in_flight,
        reads: *reads,
        writes: *writes,
        failed_commits: *failed_commits,
        refused: *refused,
        commit_seconds: distribution(commits),
        batch_writes: distribution(batches),
        queue_wait_seconds: distribution(queue_waits),
        read_seconds: distribution(read_times),
    }
}

fn distribution(counted: &Distribution) -> DistributionFigures {
    let Distribution { buckets, count, sum } = counted;
    let buckets = buckets.iter().map(|(up_to, count)| BucketFigures { up_to: *up_to, count: *count }).collect();
    DistributionFigures { count: *count, sum: *sum, buckets }
}

fn hook(figures: &web::HookFigures) -> HookFigures {
    let web::HookFigures { answers, waiting, paused, times } = figures;
    HookFigures { answers: answers.clone(), waiting: *waiting, paused: *paused, answer_seconds: distribution(times) }
}

fn issuer(figures: IssuerFigures) -> KeyFigures {
    let IssuerFigures { name, keys, age_seconds, reads, failures } = figures;
    KeyFigures { issuer: name, keys, age_seconds, reads, failures }
}

fn webhook(figures: crate::webhooks::WebhookFigures) -> WebhookFigures {
    let crate::webhooks::WebhookFigures { name, waiting, waiting_since, delivered, failures, buried, .. } = figures;
    let age = |since: Timestamp| Timestamp::now().as_millis().saturating_sub(since.as_millis()).max(0) as f64 / 1e3;
    WebhookFigures { name, waiting, oldest_seconds: waiting_since.map(age), delivered, failures, buried }
}

fn refusals(refusals: &Refusals) -> Vec<RefusalFigures> {
    let figures = |(kind, code, count): (RefusalKind, &'static str, u64)| RefusalFigures { kind: kind.as_str(), code, count };
    refusals.totals().into_iter().map(figures).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_the_time_since_the_last_sample() {
        let sampler = Sampler::default();
        let start = sampler.started;
        let rate = |messages, millis| sampler.messages_per_second(messages, start + Duration::from_millis(millis));
        assert!((rate(20, 2_000) - 10.0).abs() < 0.01);
        assert!((rate(900, 2_100) - 10.0).abs() < 0.01, "too short to tell");
        assert!((rate(120, 3_000) - 100.0).abs() < 0.01);
        assert!(rate(120, 4_000) < 0.01);
    }
}
