//! Looks for what other processes have written: changed accounts and revoked tokens count here within seconds.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::Addr;
use log::warn;

use crate::chat::{AccountsChanged, ChatServer};
use crate::store::{self, Store, StoreError, Write};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// Changes that are taken in one step.
const STEP: i64 = 1_000;

/// Begins. It ends when the server stops.
pub(super) fn begin(store: Store, chat: Addr<ChatServer>, draining: Arc<AtomicBool>) {
    actix::spawn(async move {
        let mut is_failing = false;
        while !draining.load(Ordering::Relaxed) {
            let outcome = look(&store, &chat).await;
            if let Err(error) = &outcome
                && !is_failing
            {
                warn!(cause:% = error; "what other processes write is not seen for now");
            }
            is_failing = outcome.is_err();
            tokio::time::sleep(EVERY).await;
        }
    });
}

/// Takes what is noted. A note goes only when what it tells counts: after a failure it is taken once more.
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
