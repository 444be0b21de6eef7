//! Polls for changes by other processes: changed accounts and revoked tokens take effect here within seconds.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::Addr;
use log::warn;

use crate::chat::{AccountsChanged, ChatServer};
use crate::store::{self, Store, StoreError, Write};

/// Polling interval.
const EVERY: Duration = Duration::from_secs(1);
/// Maximum number of changes taken in one step.
const STEP: i64 = 1_000;

/// Starts polling; ends when the server stops.
pub(super) fn begin(store: Store, chat: Addr<ChatServer>, draining: Arc<AtomicBool>) {
    actix::spawn(async move {
        let mut is_failing = false;
        while !draining.load(Ordering::Relaxed) {
            let outcome = look(&store, &chat).await;
            if let Err(error) = &outcome
                && !is_failing
            {
                warn!(cause:% = error; "cannot see the changes of other processes for now");
            }
            is_failing = outcome.is_err();
            tokio::time::sleep(EVERY).await;
        }
    });
}

/// Applies the noted changes. A note is deleted only once its change is in effect, so after a failure it is applied
/// again.
async fn look(store: &Store, chat: &Addr<ChatServer>) -> Result<(), StoreError> {
    loop {
        let changed = store.read(|conn| store::list_changed_accounts(conn, STEP)).await?;
        if changed.ids.is_empty() {
            return Ok(());
        }
        let store::ChangedAccounts { ids, users, revoked } = changed;
        chat.send(AccountsChanged { users, revoked }).await.map_err(|_| StoreError::Internal)??;
        store.write(Write::ForgetAccountChanges { ids }).await?;
    }
}
