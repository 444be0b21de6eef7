//! What happened, as pages and the store tell it.
use std::collections::BTreeMap;

use crate::script::{ClientPlan, Place};

/// Something that a page did or was sent. Times are µs since the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    Connect {
        recovered: bool,
    },
    Disconnect,
    TurnedAway {
        code: String,
    },
    /// It read its histories up to these numbers.
    Loaded {
        up_to: BTreeMap<String, i64>,
    },
    Send {
        name: String,
        place: Place,
    },
    Ack {
        name: String,
        id: Option<String>,
    },
    Refused {
        name: String,
        code: String,
    },
    /// No answer came.
    Unknown {
        name: String,
    },
    Got {
        id: String,
        conversation: Option<String>,
        name: String,
        version: u32,
        sender: String,
    },
    Edit {
        name: String,
        id: String,
        version: u32,
    },
    Delete {
        name: String,
        id: String,
    },
    /// An edit, or without a version a deletion, was carried out.
    Changed {
        name: String,
        version: Option<u32>,
    },
    Unchanged {
        name: String,
        version: Option<u32>,
        code: String,
    },
    ToldEdit {
        id: String,
        version: u32,
    },
    ToldDeletion {
        id: String,
    },
    Delivered {
        id: String,
        user: String,
    },
}

/// One life of a front end: from its loading until it is killed or the run ends.
#[derive(Debug, Clone)]
pub struct Page {
    pub client: usize,
    pub plan: ClientPlan,
    pub name: String,
    pub is_killed: bool,
    pub records: Vec<(u64, Record)>,
}

/// A stored message.
#[derive(Debug, Clone, PartialEq, Eq, diesel::QueryableByName)]
pub struct Row {
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub id: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub place: String,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    pub seq: i64,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    pub position: i64,
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub sender: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub content: String,
    #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Text>)]
    pub client_message_id: Option<String>,
    #[diesel(sql_type = diesel::sql_types::Bool)]
    pub is_deleted: bool,
}

/// Numbers of what a run contained.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub clients: u64,
    pub dialects: u64,
    pub sent: u64,
    pub acked: u64,
    pub shown: u64,
    pub connects: u64,
    pub recovered: u64,
    pub cuts: u64,
    pub crashes: u64,
    pub outages: u64,
    pub changes: u64,
    pub events: u64,
}

impl Counts {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        self.clients += other.clients;
        self.dialects += other.dialects;
        self.sent += other.sent;
        self.acked += other.acked;
        self.shown += other.shown;
        self.connects += other.connects;
        self.recovered += other.recovered;
        self.cuts += other.cuts;
        self.crashes += other.crashes;
        self.outages += other.outages;
        self.changes += other.changes;
        self.events += other.events;
    }
}

/// A finished run.
#[derive(Debug, Default)]
pub struct History {
    pub pages: Vec<Page>,
    /// From each crash until the server listened again.
    pub crashes: Vec<(u64, u64)>,
    /// Ids of the direct conversations, by their users, and of the groups.
    pub conversations: BTreeMap<String, Members>,
    pub rows: Vec<Row>,
    /// Tables that were not empty at the end.
    pub left: Vec<(&'static str, usize)>,
    pub panics: u64,
    /// The run did not end by itself.
    pub endless: Option<String>,
    pub counts: Counts,
    pub digest: u64,
}

/// A conversation.
#[derive(Debug, Clone)]
pub struct Members {
    pub users: Vec<usize>,
    pub is_group: bool,
}

/// Returns the name and the version in a message's text.
pub fn read_text(text: &str) -> (&str, u32) {
    let name = text.split(' ').next().unwrap_or_default();
    match name.split_once('~') {
        Some((name, version)) => (name, version.parse().unwrap_or(0)),
        None => (name, 0),
    }
}

/// Returns the text of a message.
pub fn text_of(name: &str, version: u32) -> String {
    if version == 0 { format!("{name} says something to all who read it") } else { format!("{name}~{version} corrects itself") }
}
