//! A store on a database of its own, whose writes a test can block.
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use parlance::store::{DatabaseUrl, Store, StoreOptions, Write};

use super::postgres::Postgres;

/// A store, and the folder of its database.
pub struct TestStore {
    pub store: Store,
    /// Set for a file.
    file: Option<(PathBuf, tempfile::TempDir)>,
}

/// While it exists, nothing can be written.
pub struct Outage(#[expect(dead_code, reason = "its drop ends the lock")] SqliteConnection);

impl TestStore {
    pub async fn sqlite() -> Self {
        Self::sqlite_with(|_| {}).await
    }

    pub async fn sqlite_with(change: impl FnOnce(&mut StoreOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("parlance.db");
        let store = open(DatabaseUrl::Sqlite(path.clone()), change).await;
        Self { store, file: Some((path, folder)) }
    }

    /// Returns the store of a server that restarts on the same file.
    pub async fn reopened(self) -> Self {
        let (path, folder) = self.file.expect("a database in a file");
        let store = open(DatabaseUrl::Sqlite(path.clone()), |_| {}).await;
        Self { store, file: Some((path, folder)) }
    }

    pub async fn postgres() -> Self {
        let url = DatabaseUrl::parse(&Postgres::shared().database(), &PathBuf::new()).unwrap();
        Self { store: open(url, |_| {}).await, file: None }
    }

    /// Takes the database's write lock.
    pub async fn hold_writes(&self) -> Outage {
        let (path, _) = self.file.as_ref().expect("a database in a file");
        hold(path)
    }

    /// Changes the database without the store.
    pub fn execute(&self, sql: &str) {
        let (path, _) = self.file.as_ref().expect("a database in a file");
        let mut connection = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
        connection.batch_execute(&format!("PRAGMA busy_timeout = 10000; {sql}")).unwrap();
    }

    /// Waits until a commit has failed.
    pub async fn until_failing(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        while !self.store.is_failing() {
            assert!(Instant::now() < until, "the store does not notice");
            tokio::task::yield_now().await;
        }
    }

    /// Waits until writes succeed again.
    pub async fn until_available(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.store.write(Write::Barrier).await.is_err() || self.store.is_failing() {
            assert!(Instant::now() < until, "the store did not come back");
            tokio::task::yield_now().await;
        }
    }
}

async fn open(url: DatabaseUrl, change: impl FnOnce(&mut StoreOptions)) -> Store {
    let mut options =
        StoreOptions { url, pool_size: 2, retry_for: Duration::from_secs(30), queue: 10_000, webhooks: Default::default() };
    change(&mut options);
    Store::open(options).await.unwrap()
}

fn hold(path: &Path) -> Outage {
    let mut connection = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
    connection.batch_execute("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE").unwrap();
    Outage(connection)
}
