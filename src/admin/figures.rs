//! The figures that there are.
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::{Map, Value, json};

use crate::chat::BrokerStats;
use crate::model::Timestamp;
use crate::store::StoreStats;
use crate::web::{Admin, Failure, WebState};

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

/// `GET /api/admin/stats`
pub async fn stats(state: Data<WebState>, sampler: Data<Sampler>, _: Admin) -> Result<HttpResponse, Failure> {
    Ok(HttpResponse::Ok().json(json!({"success": true, "stats": collect(&state, &sampler).await?})))
}

/// All figures as one object.
pub async fn collect(state: &WebState, sampler: &Sampler) -> Result<Map<String, Value>, Failure> {
    let asked_at = Instant::now();
    let broker = state.chat.stats().await?;
    let now = Instant::now();
    let mut figures = Map::new();
    figures.insert("time".to_owned(), json!(Timestamp::now()));
    figures.insert("uptimeSeconds".to_owned(), json!(now.saturating_duration_since(sampler.started).as_secs()));
    figures.insert("messagesPerSecond".to_owned(), json!(sampler.messages_per_second(broker.messages, now)));
    // How long the broker's mailbox takes to come to a new entry.
    let waited = now.saturating_duration_since(asked_at);
    figures.insert("chat".to_owned(), broker_figures(&broker, waited.as_micros()));
    figures.insert("store".to_owned(), store_figures(&state.store.stats(), state.store.is_failing()));
    for (name, figure) in state.figures.iter() {
        figures.insert((*name).to_owned(), figure());
    }
    Ok(figures)
}

fn broker_figures(stats: &BrokerStats, mailbox_wait_micros: u128) -> Value {
    let BrokerStats {
        sockets,
        online_users,
        cached_users,
        rooms,
        conversations,
        in_flight,
        parked,
        recovered,
        recovery_bytes,
        requests,
        messages,
        refused,
        panics,
    } = stats;
    json!({
        "mailboxWaitMicros": u64::try_from(mailbox_wait_micros).unwrap_or(u64::MAX),
        "sockets": sockets,
        "onlineUsers": online_users,
        "cachedUsers": cached_users,
        "rooms": rooms,
        "conversations": conversations,
        "inFlight": in_flight,
        "parked": parked,
        "recovered": recovered,
        "recoveryBytes": recovery_bytes,
        "requests": requests,
        "messages": messages,
        "refused": refused,
        "panics": panics,
    })
}

fn store_figures(stats: &StoreStats, is_failing: bool) -> Value {
    let StoreStats { queued, reads_in_flight, reads, batches, writes, failed_commits, refused, commit_time, commit_time_buckets } =
        stats;
    let buckets: Vec<_> = commit_time_buckets
        .iter()
        .map(|(up_to, count)| json!({"upToMs": up_to.as_secs_f64() * 1_000.0, "count": count}))
        .collect();
    json!({
        "failing": is_failing,
        "queued": queued,
        "readsInFlight": reads_in_flight,
        "reads": reads,
        "batches": batches,
        "writes": writes,
        "failedCommits": failed_commits,
        "refused": refused,
        "commitSeconds": commit_time.as_secs_f64(),
        "commitTimes": buckets,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
