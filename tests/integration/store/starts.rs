//! State that a start finds from the one before, and opening that is not a start.
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use parlance::model::{Place, Timestamp};
use parlance::store::{self, AnyConnection, QueryResult, Store, StoreError, StoreOptions, Write, Written};

use super::fixture::{Fixture, LIMIT, at, conversation_of, new_user, outcome, saying, user};
use crate::support::postgres::Postgres;

on_both_databases!(
    a_command_beside_the_server_is_no_start,
    a_command_makes_no_database_unasked,
    a_deleted_group_changes_nothing_of_earlier_starts,
    who_was_online_at_a_crash_was_seen_then,
    who_was_not_online_at_a_crash_stays_as_they_were,
);

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn count(conn: &mut AnyConnection, what: &str) -> QueryResult<i64> {
    diesel::sql_query(format!("SELECT count(*) AS count FROM {what}")).get_result::<Count>(conn).map(|row| row.count)
}

async fn a_command_beside_the_server_is_no_start(fixture: Fixture) {
    let group = fixture.group(&["ann", "bob"]).await;
    fixture.say("ann", &group, "not told of yet").await;
    let beside = Store::open_beside(fixture.options.clone()).await.unwrap();
    assert_eq!(beside.read(store::count_users).await, Ok(4));
    beside.write(Write::CreateUser(Box::new(new_user("dan")))).await.unwrap();
    let found = fixture.ask(|conn| Ok((count(conn, "boots")?, count(conn, "notifications")?, store::count_users(conn)?))).await;
    assert_eq!(found, (1, 0, 5));
    // It runs beside the server, and both continue.
    fixture.say("ann", &group, "more").await;
    beside.write(Write::CreateUser(Box::new(new_user("eve")))).await.unwrap();
    drop(beside);
    let again = Store::open(fixture.options.clone()).await.unwrap();
    assert_eq!((again.epoch(), again.starts().len()), (2, 2));
}

async fn a_command_makes_no_database_unasked(fixture: Fixture) {
    let empty = StoreOptions { url: empty_beside(&fixture.options.url), ..fixture.options.clone() };
    let refused = Store::open_beside(empty.clone()).await.err().unwrap().to_string();
    assert!(refused.contains("parlance migrate up"), "{refused}");
    if let store::DatabaseUrl::Sqlite(path) = &empty.url {
        assert!(!path.exists());
    }
    let made = Store::open_or_make_beside(empty).await.unwrap();
    assert_eq!(made.read(|conn| Ok((count(conn, "boots")?, store::count_users(conn)?))).await, Ok((0, 1)));
}

/// Returns the address of a database without tables.
fn empty_beside(url: &store::DatabaseUrl) -> store::DatabaseUrl {
    match url {
        store::DatabaseUrl::Sqlite(path) => store::DatabaseUrl::Sqlite(path.with_extension("other")),
        store::DatabaseUrl::Postgres(_) => store::DatabaseUrl::parse(&Postgres::shared().database(), "".as_ref()).unwrap(),
    }
}

async fn a_deleted_group_changes_nothing_of_earlier_starts(fixture: Fixture) {
    let (group, other) = (fixture.group(&["ann", "bob"]).await, fixture.group(&["ann", "bob"]).await);
    fixture.say("ann", &group, "stored").await;
    // The crash lost the message at the next position, so the following start assigns that position again.
    let second = Store::open(fixture.options.clone()).await.unwrap();
    assert_eq!(second.last_position(), 1);
    fixture.say("ann", &group, "has the position of another").await;
    fixture.say("ann", &other, "goes").await;
    fixture.done(Write::DeleteConversation { conversation: conversation_of(&other) }).await;
    let third = Store::open(fixture.options.clone()).await.unwrap();
    let positions: Vec<_> = third.starts().iter().map(|start| start.last_position).collect();
    assert_eq!(positions, [0, 1, 3], "of the first start's time one message is stored; no position is given twice");
    // Positions given up stay so.
    let fourth = Store::open(fixture.options.clone()).await.unwrap();
    assert_eq!(fourth.last_position(), 3);
}

async fn last_seen(store: &Store, name: &'static str) -> Option<Timestamp> {
    store.read(move |conn| store::find_account(conn, &user(name))).await.unwrap().unwrap().last_seen
}

async fn who_was_online_at_a_crash_was_seen_then(fixture: Fixture) {
    fixture.done(Write::SetLastSeen { user: user("bob"), last_seen: at(1) }).await;
    fixture.done(Write::Online { came: vec![user("ann"), user("bob"), user("nobody")], gone: vec![], at: at(2) }).await;
    // Recorded once, together with the time at which the server was alive.
    fixture.done(Write::Online { came: vec![user("ann")], gone: vec![], at: at(30_000) }).await;
    for _ in 0..2 {
        let again = Store::open(fixture.options.clone()).await.unwrap();
        for name in ["ann", "bob"] {
            assert_eq!(last_seen(&again, name).await, Some(at(30_000)), "{name}");
        }
        assert_eq!(last_seen(&again, "cid").await, None);
    }
}

async fn who_was_not_online_at_a_crash_stays_as_they_were(fixture: Fixture) {
    let came = vec![user("ann"), user("bob"), user("cid")];
    fixture.done(Write::Online { came, gone: vec![], at: at(1) }).await;
    fixture.done(Write::SetLastSeen { user: user("ann"), last_seen: at(2) }).await;
    fixture.done(Write::SetLastSeen { user: user("bob"), last_seen: at(70_000) }).await;
    fixture.done(Write::Online { came: vec![], gone: vec![user("ann")], at: at(60_000) }).await;
    fixture.done(Write::DeleteUser { user: user("cid"), deleted_at: at(60_001), keeps_name: false }).await;
    let again = Store::open(fixture.options.clone()).await.unwrap();
    assert_eq!(last_seen(&again, "ann").await, Some(at(2)), "left before");
    assert_eq!(last_seen(&again, "bob").await, Some(at(70_000)), "seen later than that");
    assert_eq!(last_seen(&again, "cid").await, None, "deleted");
}

/// Blocks inserts of messages in Postgres, but not reads.
fn hold_inserts(options: &StoreOptions) -> PgConnection {
    let store::DatabaseUrl::Postgres(url) = &options.url else { panic!("it is not Postgres") };
    let mut conn = PgConnection::establish(url).unwrap();
    conn.batch_execute("BEGIN; LOCK TABLE messages IN SHARE MODE").unwrap();
    conn
}

async fn until(conn: &mut PgConnection, what: &str, condition: &str) {
    let begun = std::time::Instant::now();
    while diesel::sql_query(format!("SELECT count(*) AS count FROM {condition}")).get_result::<Count>(conn).unwrap().count == 0 {
        assert!(begun.elapsed() < LIMIT, "waited in vain: {what}");
        tokio::task::yield_now().await;
    }
}

#[actix::test]
async fn what_a_dead_server_left_running_is_stored_before_the_next_start_or_never() {
    let fixture = Fixture::postgres().await;
    fixture.say("ann", &Place::CommonChat, "before").await;
    let mut hold = hold_inserts(&fixture.options);
    let late = fixture.message("ann", &Place::CommonChat, "late");
    let answer = fixture.begin(saying(&late));
    let waiting = "pg_locks WHERE NOT granted AND relation = 'messages'::regclass";
    until(&mut hold, "the insert hangs", waiting).await;
    // As with a killed server: its session goes on, and nobody retries its statement.
    let Fixture { store, options, .. } = fixture;
    drop(store);
    let next = Store::open(options).await.unwrap();
    hold.batch_execute("COMMIT").unwrap();
    assert_eq!(outcome(answer).await, Err(StoreError::Unknown));
    next.write(Write::Barrier).await.unwrap();
    let said = next.read(|conn| store::list_history(conn, &Place::CommonChat, store::HistoryRange::Newest, 9)).await.unwrap();
    assert_eq!(said.into_iter().map(|message| message.content).collect::<Vec<_>>(), ["before"]);
}

#[actix::test]
async fn a_start_leaves_the_writers_of_other_schemas_and_commands_alone() {
    let fixture = Fixture::postgres().await;
    let store::DatabaseUrl::Postgres(url) = &fixture.options.url else { panic!("it is not Postgres") };
    PgConnection::establish(url).unwrap().batch_execute("CREATE SCHEMA other").unwrap();
    let url = store::DatabaseUrl::parse(&format!("{url}&options=-csearch_path%3Dother"), "".as_ref()).unwrap();
    let pid = |conn: &mut AnyConnection| diesel::sql_query("SELECT pg_backend_pid()::bigint AS count").get_result::<Count>(conn);
    let before = fixture.store.ask_writer(pid).await.unwrap().count;
    let command = Store::open_beside(fixture.options.clone()).await.unwrap();
    let of_command = command.ask_writer(pid).await.unwrap().count;
    let neighbour = Store::open(StoreOptions { url, ..fixture.options.clone() }).await.unwrap();
    assert_eq!(neighbour.epoch(), 1);
    assert_eq!(fixture.store.ask_writer(pid).await.unwrap().count, before);
    let _next = Store::open(fixture.options.clone()).await.unwrap();
    assert_eq!(command.ask_writer(pid).await.unwrap().count, of_command);
    assert!(fixture.store.ask_writer(pid).await.is_err(), "the one of the start before is ended");
}

#[actix::test]
async fn what_the_database_was_given_and_did_not_answer_is_in_doubt() {
    let fixture = Fixture::postgres_with(|options| options.retry_for = std::time::Duration::from_millis(300)).await;
    let mut hold = hold_inserts(&fixture.options);
    let given = fixture.message("ann", &Place::CommonChat, "given");
    let answer = fixture.begin(saying(&given));
    let waiting = "pg_locks WHERE NOT granted AND relation = 'messages'::regclass";
    until(&mut hold, "the insert hangs", waiting).await;
    let waits = fixture.begin(saying(&fixture.message("ann", &Place::CommonChat, "waits")));
    assert_eq!(outcome(answer).await, Err(StoreError::Unknown));
    assert_eq!(outcome(waits).await, Err(StoreError::Unavailable));
    hold.batch_execute("COMMIT").unwrap();
    fixture.until_available().await;
    assert_eq!(fixture.contents(&Place::CommonChat).await, ["given"], "as it may be, and the other must not");
    // A repetition is the same message.
    assert!(matches!(fixture.write(saying(&given)).await, Ok(Written::Message { seq: 1, .. })));
}
