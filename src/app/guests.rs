//! Makes guests, and deletes those whom nobody has seen for `GUEST_TTL`.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use log::{info, warn};

use crate::auth::{TokenKeys, new_login_id};
use crate::config::Config;
use crate::model::{Timestamp, UserRole};
use crate::session::Guests;
use crate::store::{self, Store};
use crate::web::{Chat, HttpError, LoginLimit, Tried, delete_absent_guest};

/// New guests of one address in a minute, a tenth: an address has ten times as much as an account.
const NEW_GUESTS: usize = 2;

/// Rounds in the time after which a guest is gone.
const ROUNDS: u32 = 10;
/// Shortest and longest interval of the rounds.
const EVERY: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(60 * 60)];
/// Maximum number of guests of a step.
const STEP: i64 = 100;

/// Returns the functions that make guests.
pub(super) fn makers(tokens: &Arc<TokenKeys>) -> Guests {
    let (limit, tokens) = (LoginLimit::new(NEW_GUESTS), tokens.clone());
    Guests {
        may_come: Arc::new(move |address, now| limit.attempt(&Tried { account: None, address }, now).is_ok()),
        issue: Arc::new(move |user, now| tokens.issue(user, &new_login_id(), UserRole::User, None, now).0),
    }
}

/// Starts the rounds, if guests may come. They end when the server stops.
pub(super) fn begin(config: &Config, store: Store, chat: Chat, draining: Arc<AtomicBool>) {
    if !config.anonymous_users {
        return;
    }
    let ttl = config.guest_ttl;
    let [shortest, longest] = EVERY;
    actix::spawn(async move {
        while !draining.load(Ordering::Relaxed) {
            if let Err(error) = round(&store, &chat, ttl).await {
                warn!(cause:% = error; "could not delete all guests who are gone, continuing with the next round");
            }
            tokio::time::sleep((ttl / ROUNDS).clamp(shortest, longest)).await;
        }
    });
}

async fn round(store: &Store, chat: &Chat, ttl: Duration) -> Result<(), HttpError> {
    let before = Timestamp::now().plus_millis(-i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
    let (mut after, mut count) = (None, 0);
    loop {
        let start = after.clone();
        let guests = store.read(move |conn| store::list_old_guests(conn, start.as_ref(), before, STEP)).await?;
        let Some(last) = guests.last().cloned() else { break };
        for guest in &guests {
            count += usize::from(delete_absent_guest(store, chat, guest).await?);
        }
        after = Some(last);
    }
    if count > 0 {
        info!(count; "deleted guests who are gone");
    }
    Ok(())
}
