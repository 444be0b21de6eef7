//! A store on a database of its own, whose writes a test can hold up.
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use parlance::store::{DatabaseUrl, Store, StoreOptions, Write};

/// A store and the folder that its database lives in.
pub struct TestStore {
    pub store: Store,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

/// While it lives nothing can be written.
pub struct Outage(#[expect(dead_code, reason = "its drop ends the lock")] SqliteConnection);

impl TestStore {
    pub async fn sqlite() -> Self {
        Self::sqlite_with(|_| {}).await
    }

    pub async fn sqlite_with(change: impl FnOnce(&mut StoreOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("parlance.db");
        let mut options = StoreOptions {
            url: DatabaseUrl::Sqlite(path.clone()),
            pool_size: 2,
            retry_for: Duration::from_secs(30),
            queue: 10_000,
        };
        change(&mut options);
        let store = Store::open(options).await.unwrap();
        Self { store, path, _folder: folder }
    }

    /// Takes the database's write lock.
    pub async fn hold_writes(&self) -> Outage {
        hold(&self.path)
    }

    /// Changes the database behind the store's back.
    pub fn execute(&self, sql: &str) {
        let mut connection = SqliteConnection::establish(&self.path.to_string_lossy()).unwrap();
        connection.batch_execute(&format!("PRAGMA busy_timeout = 10000; {sql}")).unwrap();
    }

    /// Waits until something can be stored again.
    pub async fn until_available(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.store.write(Write::Barrier).await.is_err() || self.store.is_failing() {
            assert!(Instant::now() < until, "the store did not come back");
            tokio::task::yield_now().await;
        }
    }
}

fn hold(path: &Path) -> Outage {
    let mut connection = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
    connection.batch_execute("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE").unwrap();
    Outage(connection)
}
