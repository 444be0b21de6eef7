//! Who did what with an administrator's rights: a line of the log and a row of the database each.
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;
use log::{info, warn};
use uuid::Uuid;

use crate::model::Timestamp;
use crate::store::{AuditEntry, Done, Store, Write};

/// Acts that servers do all day: of each kind a server has one entry a minute, with how often.
const ALL_DAY: [&str; 4] = ["POST /api/emit", "POST /api/messages", "POST /api/notifications", "PUT /api/listings/{id}"];
/// So many kinds are summed up at most; beyond, each act has an entry.
const KINDS_MAX: usize = 1_000;

/// Who acts: `user:ID`, `key:NAME`, `admin-ui:NAME`. In the extensions of a request that proves it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Actor(pub Arc<str>);

/// Object of a request, where its path does not say so. In the request's extensions.
#[derive(Debug, Clone)]
pub struct ActsOn(pub String);

/// An act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Who.
    pub actor: Actor,
    /// Route, or request of the Admin UI.
    pub action: String,
    /// To what.
    pub object: Option<String>,
    /// From where.
    pub address: Option<IpAddr>,
}

/// Who, what and from where.
type Kind = (Actor, String, Option<IpAddr>);

/// Takes note of acts. Shared by all threads.
pub struct Audit {
    store: Store,
    /// Of this minute: those that were noted, and how often they came again.
    repeated: Mutex<HashMap<Kind, i64>>,
}

impl Audit {
    /// Notes into this store.
    pub fn new(store: Store) -> Self {
        Self { store, repeated: Mutex::default() }
    }

    /// Notes an act that was done.
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

    /// Notes what has come again; for a timer, once a minute, and for the end.
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
            warn!(cause:% = error; "an act is in the log only");
        }
    }
}

/// An entry of now.
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
