//! The database goes away, hangs, and comes back.
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use parlance::store::{self, Done, Store, StoreError};

use super::fixture::{Fixture, outcome, saying};
use crate::support::postgres::Postgres;

/// Ways to make a database unavailable.
enum Outage {
    Locked(String),
    Killed(Postgres),
    Frozen(Postgres),
}

/// Ends the outage.
enum Away<'a> {
    Locked(#[expect(dead_code, reason = "its drop ends the lock")] SqliteConnection),
    Killed(&'a Postgres),
    Frozen(&'a Postgres),
}

impl Outage {
    fn begin(&self) -> Away<'_> {
        match self {
            Self::Locked(path) => {
                let mut connection = SqliteConnection::establish(path).unwrap();
                connection.batch_execute("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE").unwrap();
                Away::Locked(connection)
            }
            Self::Killed(server) => {
                server.kill();
                Away::Killed(server)
            }
            Self::Frozen(server) => {
                server.freeze();
                Away::Frozen(server)
            }
        }
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        match self {
            Self::Locked(_) => {}
            Self::Killed(server) => server.restart(),
            Self::Frozen(server) => server.thaw(),
        }
    }
}

/// Sets a queue that is soon full.
fn limited(options: &mut store::StoreOptions, retry_for: Duration) {
    options.queue = 1_500;
    options.retry_for = retry_for;
}

async fn locked(retry_for: Duration) -> (Fixture, Outage) {
    let fixture = Fixture::sqlite_with(|options| limited(options, retry_for)).await;
    let path = fixture.path().to_str().unwrap().to_owned();
    (fixture, Outage::Locked(path))
}

async fn killed(retry_for: Duration) -> (Fixture, Outage) {
    let server = Postgres::start();
    (Fixture::on(&server, |options| limited(options, retry_for)).await, Outage::Killed(server))
}

async fn frozen(retry_for: Duration) -> (Fixture, Outage) {
    let server = Postgres::start();
    (Fixture::on(&server, |options| limited(options, retry_for)).await, Outage::Frozen(server))
}

/// Short outage: everything admitted meanwhile is stored, once and in order; the queue's bound holds.
async fn all_is_stored_after_a_short_outage((fixture, outage): (Fixture, Outage)) {
    let group = fixture.group(&["ann", "bob"]).await;
    fixture.say("ann", &group, "0").await;
    let away = outage.begin();
    let first = fixture.begin(saying(&fixture.message("ann", &group, "1")));
    fixture.until("commits fail", Store::is_failing).await;
    let mut answers = vec![first];
    let mut expected = vec!["0".to_owned(), "1".to_owned()];
    while fixture.store.has_room() {
        let text = expected.len().to_string();
        answers.push(fixture.begin(saying(&fixture.message("ann", &group, &text))));
        expected.push(text);
    }
    assert_eq!(answers.len(), fixture.options.queue);
    assert_eq!(
        fixture.store.try_write(saying(&fixture.message("ann", &group, "no")), Done::Nobody),
        Err(StoreError::Unavailable)
    );
    let begun = Instant::now();
    assert_eq!(fixture.store.read_after_writes(store::count_users).await, Err(StoreError::Unavailable));
    assert!(begun.elapsed() < Duration::from_secs(6), "nothing hangs");
    drop(away);
    for answer in answers {
        outcome(answer).await.unwrap();
    }
    assert!(!fixture.store.is_failing());
    assert!(fixture.contents(&group).await == expected, "all, in order");
    fixture.until_readable().await;
    assert!(fixture.store.stats().failed_commits > 0 || matches!(outage, Outage::Frozen(_)));
}

/// Long outage: waiting callers are answered in time, sends are refused at once, and everything works afterwards.
async fn a_long_outage_is_answered((fixture, outage): (Fixture, Outage)) {
    let group = fixture.group(&["ann", "bob"]).await;
    fixture.say("ann", &group, "before").await;
    let away = outage.begin();
    let begun = Instant::now();
    let answers: Vec<_> = (0..10)
        .map(|number| {
            let text = format!("lost {number}");
            (fixture.begin(saying(&fixture.message("ann", &group, &text))), text)
        })
        .collect();
    let mut in_doubt = Vec::new();
    for (answer, text) in answers {
        match outcome(answer).await {
            Err(StoreError::Unavailable) => {}
            // The writes in progress when the server froze or died may have been stored.
            Err(StoreError::Unknown) if !matches!(outage, Outage::Locked(_)) => in_doubt.push(text),
            other => panic!("{other:?}"),
        }
    }
    let waited = begun.elapsed();
    assert!(waited >= fixture.options.retry_for && waited < fixture.options.retry_for + Duration::from_secs(8), "{waited:?}");
    assert!(!fixture.store.has_room() && fixture.store.is_failing());
    assert_eq!(
        fixture.store.try_write(saying(&fixture.message("ann", &group, "no")), Done::Nobody),
        Err(StoreError::Unavailable)
    );
    assert_eq!(fixture.store.stats().queued, 0);
    let begun = Instant::now();
    assert_eq!(fixture.store.ping().await, Err(StoreError::Unavailable));
    assert_eq!(fixture.store.read_after_writes(store::count_users).await, Err(StoreError::Unavailable));
    fixture.store.finish().await;
    assert!(begun.elapsed() < Duration::from_secs(6), "nothing hangs");
    drop(away);
    fixture.until_available().await;
    fixture.until_readable().await;
    fixture.say("ann", &group, "after").await;
    let contents = fixture.contents(&group).await;
    assert_eq!((contents.first().map(String::as_str), contents.last().map(String::as_str)), (Some("before"), Some("after")));
    // Writes that the database held when it froze may have been stored after all; writes that never reached it were
    // not.
    let lost = contents.iter().filter(|text| text.starts_with("lost"));
    assert!(lost.clone().all(|text| in_doubt.contains(text)), "{contents:?}, in doubt {in_doubt:?}");
    assert_eq!(contents.len() - lost.count(), 2, "{contents:?}");
}

macro_rules! outages {
    ($scenario:ident, $options:expr) => {
        mod $scenario {
            use super::*;

            #[actix::test]
            async fn of_a_locked_file() {
                super::$scenario(locked($options).await).await;
            }

            #[actix::test]
            async fn of_a_killed_server() {
                super::$scenario(killed($options).await).await;
            }

            #[actix::test]
            async fn of_a_frozen_server() {
                super::$scenario(frozen($options).await).await;
            }
        }
    };
}

outages!(all_is_stored_after_a_short_outage, Duration::from_secs(60));
outages!(a_long_outage_is_answered, Duration::from_millis(1_500));

#[actix::test]
async fn an_idle_connection_that_died_is_not_noticed_by_readers() {
    let server = Postgres::start();
    let fixture = Fixture::on(&server, |_| {}).await;
    for _ in 0..4 {
        fixture.store.read(store::count_users).await.unwrap();
    }
    server.kill();
    server.restart();
    // One reader may learn by its own failure; it warns the others.
    let mut failures = 0;
    for _ in 0..8 {
        failures += u32::from(fixture.store.read(store::count_users).await.is_err());
    }
    assert!(failures <= 1, "{failures} reads failed");
    fixture.say("ann", &parlance::model::Place::CommonChat, "the writer, too").await;
}

#[actix::test]
async fn the_database_is_waited_for_at_the_start() {
    let server = Postgres::start();
    let fixture = Fixture::on(&server, |_| {}).await;
    server.kill();
    let opening = actix_rt::spawn(Store::open(fixture.options.clone()));
    server.restart();
    assert_eq!(opening.await.unwrap().unwrap().epoch(), 2);
}
