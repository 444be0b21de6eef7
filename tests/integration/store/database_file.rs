//! The file of an SQLite database is removed or replaced while a store has it open.
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection};
use parlance::model::Place;
use parlance::store::{self, StoreError, Write};

use super::fixture::{Fixture, LIMIT, saying};

fn beside(path: &Path, suffix: &str) -> PathBuf {
    format!("{}{suffix}", path.display()).into()
}

/// Returns the names of all files in its folder but the claim.
fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn statements_are_not_planned_anew_for_each_value() {
    let mut conn = SqliteConnection::establish(":memory:").unwrap();
    let asked = diesel::dsl::sql::<diesel::sql_types::Integer>("SELECT sqlite_compileoption_used('ENABLE_QPSG')");
    assert_eq!(asked.get_result::<i32>(&mut conn), Ok(1), "LIBSQLITE3_FLAGS in .cargo/config.toml");
}

async fn is_given_up(fixture: &Fixture) {
    let begun = Instant::now();
    while fixture.store.has_room() {
        assert!(begun.elapsed() < LIMIT, "nobody looks without a commit");
        tokio::task::yield_now().await;
    }
    assert!(fixture.store.is_failing());
    assert_eq!(fixture.store.ping().await, Err(StoreError::Unavailable));
    assert_eq!(fixture.store.read(store::count_users).await, Err(StoreError::Unavailable));
    assert_eq!(fixture.write(Write::Barrier).await, Err(StoreError::Unavailable));
}

#[actix::test]
async fn what_goes_into_a_file_without_a_name_is_not_acked() {
    for suffix in ["", "-wal", "-shm"] {
        let fixture = Fixture::sqlite().await;
        fixture.say("ann", &Place::CommonChat, "before").await;
        fixture.ask(store::count_users).await;
        let name = beside(fixture.path(), suffix);
        fs::remove_file(&name).unwrap();
        let left = names(fixture.path());
        let message = fixture.message("ann", &Place::CommonChat, "gone");
        assert_eq!(fixture.write(saying(&message)).await, Err(StoreError::Unavailable), "{suffix} removed");
        is_given_up(&fixture).await;
        assert_eq!(names(fixture.path()), left, "nothing is made in its place");
    }
}

#[actix::test]
async fn another_file_is_not_written_to_nor_read() {
    let (fixture, other) = (Fixture::sqlite().await, Fixture::sqlite().await);
    fixture.say("ann", &Place::CommonChat, "before").await;
    fs::rename(fixture.path(), beside(fixture.path(), ".old")).unwrap();
    SqliteConnection::establish(other.path().to_str().unwrap())
        .unwrap()
        .batch_execute(&format!("VACUUM INTO '{}'", fixture.path().display()))
        .unwrap();
    let found = fs::read(fixture.path()).unwrap();
    let message = fixture.message("ann", &Place::CommonChat, "gone");
    assert_eq!(fixture.write(saying(&message)).await, Err(StoreError::Unavailable));
    is_given_up(&fixture).await;
    assert_eq!(fs::read(fixture.path()).unwrap(), found);
}

#[actix::test]
async fn a_file_that_is_gone_is_noticed_without_a_write() {
    let fixture = Fixture::sqlite().await;
    fs::remove_file(fixture.path()).unwrap();
    is_given_up(&fixture).await;
}

#[actix::test]
async fn a_reader_makes_no_database() {
    let fixture = Fixture::sqlite().await;
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(beside(fixture.path(), suffix)).unwrap();
    }
    // The readers connect at their first query.
    assert_eq!(fixture.store.read(store::count_users).await, Err(StoreError::Unavailable));
    assert_eq!(names(fixture.path()), Vec::<String>::new());
}
