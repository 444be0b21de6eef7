//! The figures that there are. One source for JSON and for Prometheus.
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use serde_json::json;

use crate::chat::BrokerStats;
use crate::dialect::{DialectSet, Voice};
use crate::logging::{RefusalKind, Refusals};
use crate::meter::{ActorStats, Distribution};
use crate::model::Timestamp;
use crate::store::StoreStats;
use crate::web::{Admin, Failure, ServerFigures, Traffic, WebState};

/// A rate is measured over at least so long, in seconds.
const RATE_OVER_SECONDS: f64 = 0.9;

/// Remembers what was counted when, so that totals become rates.
pub struct Sampler {
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

/// All figures. What is no gauge counts since the start.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// When they were taken.
    pub time: Timestamp,
    /// For how long the server runs.
    pub uptime_seconds: u64,
    /// Messages admitted a second, over the last second or longer.
    pub messages_per_second: f64,
    /// How busy each kind of actor is.
    pub actors: Vec<ActorFigures>,
    /// Admitted sockets.
    pub sessions: SessionFigures,
    /// Who is here and what is said.
    pub chat: ChatFigures,
    /// How the database is doing.
    pub store: StoreFigures,
    /// Traffic of the Engine.IO endpoint.
    pub connections: Traffic,
    /// Refusals to clients.
    pub refusals: Vec<RefusalFigures>,
}

/// Refusals to clients for one reason.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusalFigures {
    /// Kind of what was refused: `event`, `http`, …
    pub kind: &'static str,
    /// Why.
    pub code: &'static str,
    /// How often.
    pub count: u64,
}

/// One kind of actor.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActorFigures {
    /// Its name.
    pub actor: &'static str,
    /// Messages that wait for it; `None` where that is not counted.
    pub mailbox: Option<u64>,
    /// Turns: messages handled, and what else it did.
    pub handled: u64,
    /// Time spent in them.
    pub busy_seconds: f64,
    /// The slowest turn of the last ten minutes or so.
    pub slowest: Option<SlowestFigures>,
}

/// A turn that took long.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlowestFigures {
    /// The message that was handled, or what else was done.
    pub message: &'static str,
    /// How long it took.
    pub seconds: f64,
    /// When it ended.
    pub at: Timestamp,
}

/// Admitted sockets, by what they have in common.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionFigures {
    /// Connections by transport: `polling`, `websocket`. Also those that are not admitted yet.
    pub by_transport: BTreeMap<&'static str, u64>,
    /// Sockets by what they speak for sure: a dialect's name, several with `+` between them, or `undetermined`.
    pub by_dialect: BTreeMap<String, u64>,
    /// Sockets by namespace.
    pub by_namespace: BTreeMap<&'static str, u64>,
}

/// The broker's figures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChatFigures {
    /// How long its mailbox took to come to the question for these figures.
    pub mailbox_wait_micros: u64,
    /// Admitted sockets.
    pub sockets: usize,
    /// Users who were announced as online.
    pub online_users: usize,
    /// Users whose account is at hand.
    pub cached_users: usize,
    /// Rooms with somebody in them.
    pub rooms: usize,
    /// Conversations at hand.
    pub conversations: usize,
    /// Messages that are being stored.
    pub in_flight: usize,
    /// Sessions whose connection was lost and that may come back.
    pub parked: usize,
    /// Sessions that came back.
    pub recovered: u64,
    /// Clients that wanted to come back and came anew, by why.
    pub not_recovered: BTreeMap<&'static str, u64>,
    /// Memory for what was said lately, for those who come back.
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
pub struct StoreFigures {
    /// Tells whether commits fail.
    pub failing: bool,
    /// Writes that wait.
    pub queued: usize,
    /// Reads being answered, or waiting.
    pub reads_in_flight: usize,
    /// Reads.
    pub reads: u64,
    /// Writes stored.
    pub writes: u64,
    /// Commits that failed because the database was away.
    pub failed_commits: u64,
    /// Writes that the database refused.
    pub refused: u64,
    /// How long commits took.
    pub commit_seconds: DistributionFigures,
    /// Writes that shared a commit.
    pub batch_writes: DistributionFigures,
    /// How long the first write of a batch had waited.
    pub queue_wait_seconds: DistributionFigures,
    /// How long reads took, the wait for a reader included.
    pub read_seconds: DistributionFigures,
}

/// How many values there were of which size.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DistributionFigures {
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// How many were no larger than each bound; larger ones count in none.
    pub buckets: Vec<BucketFigures>,
}

/// One bound of a distribution.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BucketFigures {
    /// The bound.
    pub up_to: f64,
    /// How many values were no larger.
    pub count: u64,
}

/// `GET /api/admin/stats`
pub async fn stats(state: Data<WebState>, sampler: Data<Sampler>, _: Admin) -> Result<HttpResponse, Failure> {
    Ok(HttpResponse::Ok().json(json!({"success": true, "stats": collect(&state, &sampler).await?})))
}

/// All figures as they are now.
///
/// # Errors
/// 500 or 503 where the broker is gone.
pub async fn collect(state: &WebState, sampler: &Sampler) -> Result<Figures, Failure> {
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
        connections: server.traffic,
        refusals: refusals(&state.refusals),
    })
}

fn actors(server: &ServerFigures, broker: &BrokerStats, store: &StoreStats) -> Vec<ActorFigures> {
    let number = |count: usize| Some(count as u64);
    vec![
        actor("ChatServer", &server.broker, Some(server.broker.waiting)),
        actor("Hub", &server.hubs, Some(server.hubs.waiting)),
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
    for (manner, count) in &broker.manners {
        let spoken = Voice::of_manner(enabled, *manner).spoken();
        *by_dialect.entry(spoken.label()).or_default() += *count as u64;
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
        parked,
        recovered,
        not_recovered,
        manners: _,
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
