//! Finds messages that have not reached everybody.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use log::warn;
use tokio::time::{sleep, timeout};

use crate::model::Timestamp;
use crate::store::{self, DueChecks, Store, StoreError, Write};

/// Maximum number of messages looked at in one step.
const STEP: usize = 50;
/// Time by which a check is late: the broker stores every second who has received what.
const SLACK: Duration = Duration::from_secs(2);
/// Minimum time between two rounds.
const PAUSE: Duration = Duration::from_secs(1);
/// Maximum time for which a round waits for messages.
const IDLE: Duration = Duration::from_secs(60);

/// Makes checks as they become due, until the server stops. The first are made once everybody who was connected before
/// the start has had the whole time to come back.
pub(super) async fn watch(store: Store, unreached_after: Duration, draining: Arc<AtomicBool>) {
    let mut events = store.webhook_events();
    sleep(unreached_after + SLACK).await;
    while !draining.load(Ordering::Relaxed) {
        let next_due = match round(&store).await {
            Ok(next_due) => next_due,
            Err(error) => {
                warn!(cause:% = error; "cannot find out whom messages have not reached for now");
                Some(Timestamp::now())
            }
        };
        sleep(PAUSE).await;
        match next_due {
            Some(due) => sleep(until(due)).await,
            // Those of other webhooks' events wake it, too, which costs one query.
            None => drop(timeout(IDLE, events.changed()).await),
        }
    }
}

fn until(due: Timestamp) -> Duration {
    let wait = due.as_millis().saturating_sub(Timestamp::now().as_millis());
    (Duration::from_millis(u64::try_from(wait).unwrap_or(0)) + SLACK).min(IDLE)
}

/// Makes all checks that are due. Returns when the next one is.
async fn round(store: &Store) -> Result<Option<Timestamp>, StoreError> {
    loop {
        let slack = i64::try_from(SLACK.as_millis()).unwrap_or(i64::MAX);
        let by = Timestamp::now().plus_millis(-slack);
        let limit = i64::try_from(STEP).unwrap_or(i64::MAX);
        let DueChecks { numbers, unreached, next_due } =
            store.read_after_writes(move |conn| store::make_due_checks(conn, by, limit)).await?;
        if numbers.is_empty() {
            return Ok(next_due);
        }
        store.write(Write::Unreached { checks: numbers, unreached }).await?;
    }
}
