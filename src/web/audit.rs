//! Audit of actions with administrator rights: a log line and a database row each.
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;
use log::{info, warn};
use uuid::Uuid;

use crate::model::Timestamp;
use crate::store::{AuditEntry, Done, Store, Write};

/// Routine actions of servers: summed up into one entry a minute for each kind, with the number of times.
const ALL_DAY: [&str; 4] = ["POST /api/emit", "POST /api/messages", "POST /api/notifications", "PUT /api/listings/{id}"];
/// Maximum number of kinds that are summed up; beyond it, each action has its own entry.
const KINDS_MAX: usize = 1_000;

/// The acting party: `user:ID`, `key:NAME` or `admin-ui:NAME`. Stored in the extensions of a request that proves it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Actor(pub Arc<str>);

/// Object of a request, if its path does not name it. Stored in the request's extensions.
#[derive(Debug, Clone)]
pub struct ActsOn(pub String);

/// An action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// The acting party.
    pub actor: Actor,
    /// The route, or the request of the Admin UI.
    pub action: String,
    /// The object, if it has one.
    pub object: Option<String>,
    /// Address of the client.
    pub address: Option<IpAddr>,
}

/// Actor, action and address.
type Kind = (Actor, String, Option<IpAddr>);

/// Records actions. Shared by all threads.
pub struct Audit {
    store: Store,
    /// Kinds recorded within this minute, and how often each was repeated.
    repeated: Mutex<HashMap<Kind, i64>>,
}

impl Audit {
    /// Makes an audit that writes to this store.
    pub fn new(store: Store) -> Self {
        Self { store, repeated: Mutex::default() }
    }

    /// Records a completed action.
    pub fn note(&self, act: Act) {
        if ALL_DAY.contains(&act.action.as_str()) {
            let mut repeated = self.repeated.lock().unwrap_or_else(PoisonError::into_inner);
            let kind = (act.actor.clone(), act.action.clone(), act.address);
            if let Some(times) = repeated.get_mut(&kind) {
                *times += 1;
                return;
            }
            if repeated.len() < KINDS_MAX {
                repeated.insert(kind, 0);
            }
        }
        self.store_act(act, 1);
    }

    /// Writes the sums of repeated actions; called by a timer once a minute, and at the end.
    pub fn sum_up(&self) {
        let repeated = std::mem::take(&mut *self.repeated.lock().unwrap_or_else(PoisonError::into_inner));
        for ((actor, action, address), times) in repeated {
            if times > 0 {
                self.store_act(Act { actor, action, object: None, address }, times);
            }
        }
    }

    fn store_act(&self, act: Act, times: i64) {
        let Act { actor, action, object, address } = act;
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let address = address.map(|address| address.to_string());
        info!(actor:% = actor.0, action:%, object = shown(&object), address = shown(&address), times; "acted");
        let entry = audit_entry(&actor.0, action, object, address, times);
        if let Err(error) = self.store.try_write(Write::Audit(Box::new(entry)), Done::Nobody) {
            warn!(cause:% = error; "an audit entry is in the log only");
        }
    }
}

/// Returns an entry with the present time.
pub fn audit_entry(actor: &str, action: String, object: Option<String>, address: Option<String>, times: i64) -> AuditEntry {
    AuditEntry {
        id: Uuid::now_v7().to_string(),
        done_at: Timestamp::now(),
        actor: actor.to_owned(),
        action,
        object,
        address,
        times,
    }
}
