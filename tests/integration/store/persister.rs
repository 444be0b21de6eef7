//! The writer: order, shared commits, isolation of faults, bounds; and the readers beside it.
use std::os::unix::fs::PermissionsExt as _;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use parlance::model::Place;
use parlance::store::{self, AnyConnection, Done, QueryResult, Store, StoreError, TestFault, Write, Written};

use super::fixture::{Fixture, LIMIT, heard, new_user, outcome, saying};

on_both_databases!(
    reports_come_in_order,
    writes_that_wait_share_a_commit,
    a_poisoned_row_is_refused_alone,
    a_panic_is_answered_alone,
    a_full_queue_refuses_at_once,
    a_read_behind_writes_sees_them,
    a_panicking_or_failing_question_is_its_own,
    each_start_has_a_higher_number,
    what_was_admitted_is_stored_at_the_end,
    the_writer_confirms_only_what_is_on_the_disk,
    reads_have_a_bound,
);

/// Blocks the writer until the sender is dropped.
async fn hold_writer(store: &Store) -> std::sync::mpsc::Sender<()> {
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let (tell, told) = tokio::sync::oneshot::channel();
    let store = store.clone();
    actix_rt::spawn(async move {
        let holding = store.ask_writer(move |_| {
            let _ = tell.send(());
            let _ = held.recv_timeout(LIMIT);
            Ok(())
        });
        let _ = holding.await;
    });
    told.await.unwrap();
    hold
}

async fn reports_come_in_order(fixture: Fixture) {
    let group = fixture.group(&["ann", "bob"]).await;
    let mut reports = fixture.listen();
    for tag in 0..500 {
        let write = match tag % 5 {
            0 => Write::Barrier,
            1 => Write::TestFault(TestFault::Poison),
            2 => Write::CreateUser(Box::new(new_user(&format!("u{tag}")))),
            _ => saying(&fixture.message("ann", &group, &tag.to_string())),
        };
        fixture.store.try_write(write, Done::Tagged(tag)).unwrap();
        fixture.store.try_write(Write::Barrier, Done::Nobody).unwrap();
    }
    let mut outcomes = Vec::new();
    while outcomes.len() < 500 {
        outcomes.extend(heard(&mut reports).await);
    }
    assert_eq!(outcomes.iter().map(|(tag, _)| *tag).collect::<Vec<_>>(), (0..500).collect::<Vec<_>>());
    let mut last_seq = 0;
    for (tag, outcome) in outcomes {
        match (tag % 5, outcome) {
            (0, Ok(Written::Done)) | (1, Err(StoreError::Refused)) | (2, Ok(Written::User(_))) => {}
            (3 | 4, Ok(Written::Message { seq, .. })) => {
                assert_eq!(seq, last_seq + 1);
                last_seq = seq;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fixture.store.stats().queued, 0);
}

async fn writes_that_wait_share_a_commit(fixture: Fixture) {
    let group = fixture.group(&["ann", "bob"]).await;
    let before = fixture.store.stats();
    let hold = hold_writer(&fixture.store).await;
    let answers: Vec<_> =
        (0..900).map(|number| fixture.begin(saying(&fixture.message("ann", &group, &number.to_string())))).collect();
    assert_eq!(fixture.store.stats().queued, 900);
    drop(hold);
    for answer in answers {
        outcome(answer).await.unwrap();
    }
    let after = fixture.store.stats();
    assert_eq!((after.batches.count - before.batches.count, after.writes - before.writes), (1, 900));
    assert!(after.commits.sum > before.commits.sum);
    assert_eq!(after.queue_waits.count - before.queue_waits.count, 1);
    assert!(after.persister.handled > before.persister.handled);
    assert_eq!(fixture.contents(&group).await, (0..900).map(|number| number.to_string()).collect::<Vec<_>>());
}

async fn a_fault_stays_alone(fixture: Fixture, fault: TestFault, expected: StoreError) {
    let group = fixture.group(&["ann", "bob"]).await;
    let hold = hold_writer(&fixture.store).await;
    let mut answers = Vec::new();
    for number in 0..100 {
        answers.push(fixture.begin(saying(&fixture.message("ann", &group, &number.to_string()))));
        if number % 40 == 7 {
            answers.push(fixture.begin(Write::TestFault(fault)));
        }
    }
    drop(hold);
    let mut refused = 0;
    for answer in answers {
        match outcome(answer).await {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error, expected);
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 3);
    assert_eq!(fixture.store.stats().refused, 3);
    assert!(!fixture.store.is_failing());
    assert_eq!(fixture.contents(&group).await, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
}

async fn a_poisoned_row_is_refused_alone(fixture: Fixture) {
    a_fault_stays_alone(fixture, TestFault::Poison, StoreError::Refused).await;
}

async fn a_panic_is_answered_alone(fixture: Fixture) {
    a_fault_stays_alone(fixture, TestFault::Panic, StoreError::Internal).await;
}

#[actix::test]
async fn a_row_that_only_postgres_refuses_fails_alone() {
    let fixture = Fixture::postgres().await;
    let group = fixture.group(&["ann", "bob"]).await;
    let hold = hold_writer(&fixture.store).await;
    let answers: Vec<_> =
        ["before", "with \0 in it", "after"].map(|text| fixture.begin(saying(&fixture.message("ann", &group, text)))).into();
    drop(hold);
    let mut outcomes = Vec::new();
    for answer in answers {
        outcomes.push(outcome(answer).await);
    }
    assert_eq!(
        outcomes,
        [
            Ok(Written::Message { seq: 1, is_repeat: false }),
            Err(StoreError::Refused),
            Ok(Written::Message { seq: 2, is_repeat: false })
        ]
    );
    assert!(!fixture.store.is_failing());
}

async fn a_full_queue_refuses_at_once(fixture: Fixture) {
    let hold = hold_writer(&fixture.store).await;
    let limit = fixture.options.queue;
    for number in 0..limit {
        assert!(fixture.store.has_room(), "{number}");
        fixture.store.try_write(Write::Barrier, Done::Nobody).unwrap();
    }
    assert!(!fixture.store.has_room());
    assert_eq!(fixture.store.try_write(Write::Barrier, Done::Nobody), Err(StoreError::Unavailable));
    drop(hold);
    fixture.until("room", Store::has_room).await;
    fixture.done(Write::Barrier).await;
}

async fn a_read_behind_writes_sees_them(fixture: Fixture) {
    let group = fixture.group(&["ann", "bob"]).await;
    for number in 1..50 {
        fixture.store.try_write(saying(&fixture.message("ann", &group, &number.to_string())), Done::Nobody).unwrap();
        assert_eq!(fixture.contents(&group).await.len(), number);
    }
}

async fn a_panicking_or_failing_question_is_its_own(fixture: Fixture) {
    for _ in 0..5 {
        let panicking = fixture.store.read(|_| -> QueryResult<()> { panic!("a test asks for it") });
        assert_eq!(panicking.await, Err(StoreError::Internal));
        let failing = fixture.store.read(|conn| diesel::sql_query("SELECT nonsense").execute(conn));
        assert_eq!(failing.await, Err(StoreError::Internal));
        assert_eq!(fixture.store.read(store::count_users).await, Ok(4));
    }
    let writing = fixture.store.read(|conn| diesel::sql_query("DELETE FROM users").execute(conn));
    assert!(writing.await.is_err(), "a reader does not write");
    assert_eq!(fixture.store.stats().reads_in_flight, 0);
}

async fn each_start_has_a_higher_number(fixture: Fixture) {
    assert_eq!((fixture.store.epoch(), fixture.store.last_position()), (1, 0));
    fixture.say("ann", &Place::CommonChat, "hello").await;
    let again = Store::open(fixture.options.clone()).await.unwrap();
    assert_eq!((again.epoch(), again.last_position()), (2, 1));
    assert_eq!(again.ping().await, Ok(()));
}

async fn what_was_admitted_is_stored_at_the_end(fixture: Fixture) {
    let group = fixture.group(&["ann", "bob"]).await;
    let hold = hold_writer(&fixture.store).await;
    for number in 0..fixture.options.queue {
        fixture.store.try_write(saying(&fixture.message("ann", &group, &number.to_string())), Done::Nobody).unwrap();
    }
    drop(hold);
    tokio::time::timeout(LIMIT, fixture.store.finish()).await.unwrap();
    assert_eq!(fixture.store.stats().queued, 0);
    assert_eq!(fixture.find_conversation(&group).await.unwrap().last_seq, 10_000);
}

#[derive(QueryableByName)]
struct Setting {
    #[diesel(sql_type = Text)]
    value: String,
}

fn settings(conn: &mut AnyConnection) -> QueryResult<Vec<String>> {
    let questions = match conn {
        AnyConnection::Sqlite(_) => vec![
            "SELECT journal_mode AS value FROM pragma_journal_mode",
            "SELECT CAST(synchronous AS TEXT) AS value FROM pragma_synchronous",
            "SELECT CAST(foreign_keys AS TEXT) AS value FROM pragma_foreign_keys",
        ],
        AnyConnection::Postgres(_) => vec!["SELECT current_setting('synchronous_commit') AS value"],
    };
    questions.into_iter().map(|sql| diesel::sql_query(sql).get_result::<Setting>(conn).map(|setting| setting.value)).collect()
}

async fn the_writer_confirms_only_what_is_on_the_disk(fixture: Fixture) {
    let found = fixture.store.ask_writer(settings).await.unwrap();
    match &fixture.options.url {
        store::DatabaseUrl::Sqlite(path) => {
            // 2 means FULL.
            assert_eq!(found, ["wal", "2", "1"]);
            for file in [path.clone(), path.with_extension("db-wal"), path.with_extension("db-shm")] {
                assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
            }
        }
        store::DatabaseUrl::Postgres(_) => {
            assert_eq!(found, ["on"]);
            // Even if the database's own default is different.
            let default = fixture.store.ask_writer(|conn| {
                diesel::sql_query(
                    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$",
                )
                .execute(conn)
            });
            default.await.unwrap();
            let again = Store::open(fixture.options.clone()).await.unwrap();
            assert_eq!(again.ask_writer(settings).await.unwrap(), ["on"]);
        }
    }
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[actix::test]
async fn postgres_counts_one_commit_for_all_that_waited() {
    let fixture = Fixture::postgres().await;
    let group = fixture.group(&["ann", "bob"]).await;
    let commits = async || {
        // A session's work is counted at the latest when it ends or is asked for it.
        let found = fixture.store.ask_writer(|conn| {
            diesel::sql_query("SELECT pg_stat_force_next_flush()").execute(conn)?;
            diesel::sql_query("SELECT xact_commit AS count FROM pg_stat_database WHERE datname = current_database()")
                .get_result::<Count>(conn)
        });
        found.await.unwrap().count
    };
    let before = commits().await;
    let hold = hold_writer(&fixture.store).await;
    let answers: Vec<_> = (0..500).map(|_| fixture.begin(saying(&fixture.message("ann", &group, "x")))).collect();
    drop(hold);
    for answer in answers {
        outcome(answer).await.unwrap();
    }
    let spent = commits().await - before;
    assert!(spent < 20, "500 messages took {spent} commits");
}

async fn reads_have_a_bound(fixture: Fixture) {
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Arc::new(std::sync::Mutex::new(held));
    let mut holding = Vec::new();
    for _ in 0..fixture.options.pool_size {
        let (store, held) = (fixture.store.clone(), held.clone());
        holding.push(actix_rt::spawn(async move {
            let question = store.read(move |_| {
                let _ = held.lock().unwrap().recv_timeout(LIMIT);
                Ok(())
            });
            question.await
        }));
    }
    fixture.until("all readers are busy", |store| store.stats().reads_in_flight == 2).await;
    let begun = std::time::Instant::now();
    assert_eq!(fixture.store.read(store::count_users).await, Err(StoreError::Unavailable), "within its time");
    assert!(begun.elapsed() < std::time::Duration::from_secs(6));
    drop(hold);
    for reader in holding {
        let _ = reader.await.unwrap();
    }
    assert_eq!(fixture.store.read(store::count_users).await, Ok(4));
}

#[actix::test]
async fn what_cannot_be_opened_says_why_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no.db");
    std::fs::write(&path, "this is no database, but long enough to be taken for one".repeat(100)).unwrap();
    let options = store::StoreOptions {
        url: store::DatabaseUrl::Sqlite(path),
        pool_size: 1,
        retry_for: std::time::Duration::from_millis(10),
        queue: 10,
        webhooks: store::Subscribers::default(),
    };
    let error = Store::open(options.clone()).await.err().unwrap().to_string();
    assert!(error.contains("not a database") && error.lines().count() == 1, "{error}");
    let url = store::DatabaseUrl::parse("postgres://user:secret@127.0.0.1:1/db", folder.path()).unwrap();
    let error = Store::open(store::StoreOptions { url, ..options }).await.err().unwrap().to_string();
    assert!(error.contains("cannot be reached") && !error.contains("secret") && error.lines().count() == 1, "{error}");
}

#[actix::test]
async fn tls_that_is_not_compiled_in_is_not_waited_for() {
    let url = store::DatabaseUrl::parse("postgres://127.0.0.1:1/db?sslmode=require", "/".as_ref()).unwrap();
    let options = store::StoreOptions { url, pool_size: 1, retry_for: LIMIT, queue: 10, webhooks: Default::default() };
    let hopeless = Store::open(options).await.err();
    assert!(matches!(hopeless, Some(store::OpenError::Unusable(_))), "{hopeless:?}");
}
