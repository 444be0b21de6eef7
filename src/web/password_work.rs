//! Passwords are hashed and checked on threads that may block, a few at a time.
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::block;
use tokio::sync::Semaphore;

use super::Failure;
use crate::auth::{hash_password, verify_password};

/// So many may wait: at some 50 ms each on two cores that is a few seconds.
const WAITING_MAX: usize = 256;

/// Bounds how many passwords are worked on at once: each takes 19 MiB and a core for a while.
pub struct PasswordWork {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl PasswordWork {
    /// As many at once as the machine has cores.
    #[expect(clippy::new_without_default, reason = "one is shared by all")]
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self { running: Arc::new(Semaphore::new(cores)), waiting: Arc::new(Semaphore::new(cores + WAITING_MAX)) }
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// 429 where too many wait, 500 where it cannot be done.
    pub async fn hash(&self, password: String) -> Result<String, Failure> {
        self.run(move || hash_password(&password)).await?.map_err(Failure::internal)
    }

    /// Whether the password belongs to the hash; takes the same time without one.
    ///
    /// # Errors
    /// 429 where too many wait.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Failure> {
        self.run(move || verify_password(&password, hash.as_deref())).await
    }

    /// Does other such work: slow on purpose, and for anybody who asks.
    ///
    /// # Errors
    /// 429 where too many wait.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        let busy = || Failure::rate_limited(Duration::from_secs(2));
        let _waiting = self.waiting.try_acquire().map_err(|_| busy())?;
        let running = self.running.clone().acquire_owned().await.map_err(|_| busy())?;
        // The thread holds its place also when the asker has gone meanwhile.
        let worked = block(move || {
            let done = work();
            drop(running);
            done
        });
        worked.await.map_err(Failure::internal)
    }
}
