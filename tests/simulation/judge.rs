//! Judges a finished run by the promises. `tests/checker/judge.mjs` has the same rules for runs of real servers.
use std::collections::{BTreeMap, HashMap, HashSet};

use crate::dialects::Words;
use crate::history::{History, Members, Page, Record, Row};
use crate::script::{Place, Setup};

/// Refusals which mean that nobody has seen the message.
const UNSEEN: [&str; 7] =
    ["STORAGE_UNAVAILABLE", "FORBIDDEN", "NOT_FOUND", "TOO_LARGE", "INVALID_PAYLOAD", "RATE_LIMITED", "DRAINING"];

/// Something that broke a promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub text: String,
}

/// A message that pages sent, and what they were told of it.
#[derive(Debug)]
struct Send {
    user: usize,
    conversation: Option<String>,
    clients: HashSet<usize>,
    pages: HashSet<usize>,
    attempts: usize,
    first_sent_at: u64,
    acked_at: Option<u64>,
    id: Option<String>,
    refusals: Vec<String>,
    /// A page that is still there waits for an answer.
    is_open: bool,
    /// Page and connection of the first attempt.
    connection: (usize, usize),
    changes: Vec<Change>,
}

/// An edit, or the deletion, that a page asked for.
#[derive(Debug)]
struct Change {
    /// `None`: the deletion.
    version: Option<u32>,
    done_at: Option<u64>,
}

impl Send {
    fn was_refused(&self) -> bool {
        self.refusals.len() == self.attempts && self.refusals.iter().all(|code| UNSEEN.contains(&code.as_str()))
    }

    /// Returns whether an attempt was given up, or nobody knows.
    fn may_have_been_given_up(&self) -> bool {
        self.refusals.iter().any(|code| code == "NOT_STORED") || self.attempts > self.refusals.len() + 1
    }

    /// Returns whether a crash may have taken its first place: it was sent again afterwards.
    fn was_moved(&self, crashes: &[(u64, u64)]) -> bool {
        crashes.iter().any(|(at, until)| self.first_sent_at <= *until && self.acked_at.is_none_or(|acked_at| acked_at >= *at))
    }
}

struct Judge<'a> {
    setup: &'a Setup,
    history: &'a History,
    sends: BTreeMap<&'a str, Send>,
    by_id: HashMap<&'a str, &'a Row>,
    by_name: HashMap<&'a str, &'a Row>,
    violations: Vec<Violation>,
}

/// Returns all that broke a promise.
pub fn judge(setup: &Setup, history: &History) -> Vec<Violation> {
    let mut judge =
        Judge { setup, history, sends: BTreeMap::new(), by_id: HashMap::new(), by_name: HashMap::new(), violations: Vec::new() };
    judge.collect();
    judge.judge_stored();
    judge.judge_sends();
    judge.judge_order();
    for (number, page) in history.pages.iter().enumerate() {
        judge.judge_page(number, page);
        judge.judge_changes(page);
    }
    judge.judge_proofs();
    judge.judge_end();
    judge.violations
}

impl<'a> Judge<'a> {
    fn find(&mut self, rule: &'static str, text: String) {
        self.violations.push(Violation { rule, text });
    }

    fn conversation(&self, user: usize, place: Place) -> Option<String> {
        let is_it = |members: &Members| match place {
            Place::Direct(other) => !members.is_group && members.users.contains(&user) && members.users.contains(&other),
            Place::Group(group) => members.is_group && members.users == self.setup.groups[group],
            Place::Model => false,
        };
        let mut all = self.history.conversations.iter().filter(|(_, members)| is_it(members));
        // Groups may have the same members; they are listed in their order.
        let same = match place {
            Place::Group(group) => (0..group).filter(|other| self.setup.groups[*other] == self.setup.groups[group]).count(),
            Place::Direct(_) | Place::Model => 0,
        };
        all.nth(same).map(|(id, _)| id.clone())
    }

    fn collect(&mut self) {
        let history = self.history;
        for (number, page) in history.pages.iter().enumerate() {
            let mut connections = 0;
            for (at, record) in &page.records {
                match record {
                    Record::Connect { .. } => connections += 1,
                    Record::TurnedAway { code } => self.find("turned away", format!("{} at {at}: {code}", page.name)),
                    Record::Send { name, place } => {
                        let conversation = self.conversation(page.plan.user, *place);
                        let send = self.sends.entry(name).or_insert_with(|| Send {
                            user: page.plan.user,
                            conversation,
                            clients: HashSet::new(),
                            pages: HashSet::new(),
                            attempts: 0,
                            first_sent_at: *at,
                            acked_at: None,
                            id: None,
                            refusals: Vec::new(),
                            is_open: false,
                            connection: (number, connections),
                            changes: Vec::new(),
                        });
                        send.attempts += 1;
                        send.clients.insert(page.client);
                        send.pages.insert(number);
                        send.is_open |= !page.is_killed;
                    }
                    Record::Ack { name, id } => self.on_ack(name, *at, id.as_ref()),
                    Record::Refused { name, code } => {
                        if let Some(send) = self.sends.get_mut(name.as_str()) {
                            send.refusals.push(code.clone());
                        }
                    }
                    Record::Edit { name, version, .. } => self.add_change(name, Some(*version)),
                    Record::Delete { name, .. } => self.add_change(name, None),
                    Record::Changed { name, version } => {
                        if let Some(send) = self.sends.get_mut(name.as_str())
                            && let Some(change) = send.changes.iter_mut().find(|change| change.version == *version)
                        {
                            change.done_at = Some(*at);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn add_change(&mut self, name: &str, version: Option<u32>) {
        if let Some(send) = self.sends.get_mut(name) {
            send.changes.push(Change { version, done_at: None });
        }
    }

    fn on_ack(&mut self, name: &'a str, at: u64, id: Option<&String>) {
        let Some(send) = self.sends.get_mut(name) else { return };
        send.acked_at = Some(send.acked_at.map_or(at, |earlier| earlier.min(at)));
        let Some(id) = id else { return };
        let first = send.id.get_or_insert_with(|| id.clone());
        if first != id {
            let text = format!("{name} was acked as {first} and as {id}");
            self.find("two answers", text);
        }
    }

    // ---- stored ----

    fn judge_stored(&mut self) {
        let mut last: HashMap<&str, i64> = HashMap::new();
        for row in &self.history.rows {
            let before = last.insert(&row.place, row.seq).unwrap_or(0);
            if row.seq <= before {
                self.find("bad seq", format!("{}: {} comes after {before}", row.place, row.seq));
            }
            let Some(name) = &row.client_message_id else { continue };
            if self.by_name.contains_key(name.as_str()) || self.by_id.contains_key(row.id.as_str()) {
                self.find("stored twice", format!("{name} in {} at {}", row.place, row.seq));
            }
            self.by_name.insert(name, row);
            self.by_id.insert(&row.id, row);
            let Some(send) = self.sends.get(name.as_str()) else {
                self.find("ghost", format!("{name} is stored and was never sent"));
                continue;
            };
            let is_place = send.conversation.as_ref().is_none_or(|conversation| *conversation == row.place);
            let is_id = send.id.as_ref().is_none_or(|id| *id == row.id);
            if format!("u{}", send.user) != row.sender || !is_place || !is_id {
                self.find("altered", format!("{name} is stored as {row:?}"));
            }
        }
    }

    fn judge_sends(&mut self) {
        let mut found = Vec::new();
        for (name, send) in &self.sends {
            let row = self.by_name.get(name);
            if send.acked_at.is_some() {
                if row.is_none() {
                    found.push(("lost", format!("{name} was acked and is not stored")));
                }
            } else if !send.refusals.is_empty() {
                if row.is_some() && send.was_refused() {
                    found.push(("refused", format!("{name} was refused ({:?}) and is stored", send.refusals)));
                }
            } else if send.is_open {
                found.push(("unanswered", format!("{name}: {} attempts, no answer", send.attempts)));
            }
            let Some(row) = row else { continue };
            let is_gone = row.is_deleted;
            for change in send.changes.iter().filter(|change| change.done_at.is_some()) {
                match change.version {
                    None if !is_gone => found.push(("change lost", format!("{name} was answered as deleted"))),
                    Some(version) if !is_gone && crate::history::read_text(&row.content).1 < version => {
                        found.push(("change lost", format!("{name} was answered as edited to {version}: {}", row.content)));
                    }
                    _ => {}
                }
            }
        }
        for (rule, text) in found {
            self.find(rule, text);
        }
    }

    /// Checks what stands before what: what was acked before another was sent, and what one connection wrote once.
    fn judge_order(&mut self) {
        let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for row in &self.history.rows {
            if let Some(name) = &row.client_message_id {
                places.entry(&row.place).or_default().push(name);
            }
        }
        let mut found = Vec::new();
        for (place, names) in places {
            let mut earliest: Option<(&str, u64)> = None;
            for name in names.iter().rev() {
                let Some(send) = self.sends.get(name) else { continue };
                if let Some((other, acked_at)) = earliest
                    && acked_at < send.first_sent_at
                {
                    found.push(("overtaken", format!("{place}: {other} was acked before {name} was sent, and stands after it")));
                }
                if let Some(acked_at) = send.acked_at
                    && earliest.is_none_or(|(_, earliest)| acked_at < earliest)
                {
                    earliest = Some((name, acked_at));
                }
            }
            let mut latest: HashMap<(usize, usize), (&str, u64)> = HashMap::new();
            for name in names {
                let Some(send) = self.sends.get(name).filter(|send| send.attempts == 1) else { continue };
                match latest.get(&send.connection) {
                    Some((before, sent_at)) if *sent_at > send.first_sent_at => {
                        found.push(("sender order", format!("{place}: {before} was sent after {name} and stands before it")));
                    }
                    _ => drop(latest.insert(send.connection, (name, send.first_sent_at))),
                }
            }
        }
        for (rule, text) in found {
            self.find(rule, text);
        }
    }

    // ---- seen by pages ----

    fn judge_page(&mut self, number: usize, page: &'a Page) {
        let crashes = &self.history.crashes;
        let mut seen: HashMap<&str, (u64, usize)> = HashMap::new();
        let mut reached: HashMap<&str, &Row> = HashMap::new();
        let (mut loaded, mut arrived): (Option<&BTreeMap<String, i64>>, HashMap<&str, i64>) = (None, HashMap::new());
        // The number of its connection, and of the latest that was not the same session's.
        let (mut connection, mut anew) = (0, 0);
        let mut found = Vec::new();
        let confirms_by_event = matches!(page.plan.words, Words::Listing | Words::Agent);
        for (at, record) in &page.records {
            let (id, conversation, name, sender) = match record {
                Record::Connect { recovered } => {
                    connection += 1;
                    if !recovered {
                        anew = connection;
                    }
                    continue;
                }
                Record::Loaded { up_to } => {
                    loaded = Some(up_to);
                    continue;
                }
                Record::Got { id, conversation, name, sender, .. } => (id, conversation, name, sender),
                _ => continue,
            };
            let send = self.sends.get(name.as_str());
            let Some(send) = send.filter(|send| {
                let is_place = conversation.is_none() || send.conversation.is_none() || *conversation == send.conversation;
                format!("u{}", send.user) == *sender && is_place
            }) else {
                // What the model answers nobody sent.
                if sender.starts_with('u') {
                    found.push(("ghost", format!("{} saw {name} of {sender}, which was never sent", page.name)));
                }
                continue;
            };
            if send.was_refused() {
                found.push(("refused", format!("{} saw {name}, which was refused ({:?})", page.name, send.refusals)));
            }
            let moved = self.setup.is_live && send.was_moved(crashes);
            if let Some((first_at, first_connection)) = seen.get(id.as_str()) {
                // There the page's own copy is the answer to each repetition.
                let is_answer = confirms_by_event && send.pages.contains(&number);
                // Not promised (docs/promises.md, P3): who came anew between a try that was given up and its retry.
                let is_retry = send.may_have_been_given_up() && anew > *first_connection;
                if !(moved && *first_connection != connection || is_answer || is_retry) {
                    let text = format!(
                        "{} saw {name} at {first_at} (connection {first_connection}) and at {at} ({connection})",
                        page.name
                    );
                    found.push(("twice", text));
                }
                continue;
            }
            seen.insert(id, (*at, connection));
            let is_direct = send.conversation.as_ref().is_some_and(|id| !self.history.conversations[id].is_group);
            let hides_own = matches!(page.plan.words, Words::Messenger | Words::Conversation);
            if is_direct && hides_own && send.pages.len() == 1 && send.pages.contains(&number) {
                found.push(("echo", format!("{} was shown its own {name}", page.name)));
            }
            let Some(row) = self.by_id.get(id.as_str()) else {
                let crashed = crashes.iter().any(|(_, until)| send.first_sent_at <= *until && at <= until);
                let excused = send.refusals.iter().any(|code| code == "NOT_STORED") || self.setup.is_live && crashed;
                if !excused {
                    found.push(("unstored", format!("{} saw {name}, which is not stored", page.name)));
                }
                continue;
            };
            // A message that was given up and sent again has the position of its retry (P5), whether its page heard of it or not.
            if send.may_have_been_given_up() || confirms_by_event && send.attempts > 1 && send.pages.contains(&number) {
                continue;
            }
            match reached.get(row.place.as_str()) {
                Some(highest) if row.seq < highest.seq => {
                    let other = highest.client_message_id.as_deref().and_then(|name| self.sends.get(name));
                    let other_moved = self.setup.is_live && other.is_some_and(|send| send.was_moved(crashes));
                    if !moved && !other_moved {
                        let before = highest.client_message_id.as_deref().unwrap_or_default();
                        found.push((
                            "out of order",
                            format!("{} saw {before} ({}) before {name} ({})", page.name, highest.seq, row.seq),
                        ));
                    }
                }
                _ => drop(reached.insert(&row.place, row)),
            }
            if !moved {
                let highest = arrived.entry(&row.place).or_default();
                *highest = (*highest).max(row.seq);
            }
        }
        self.judge_view(page, loaded, &seen, &arrived, &mut found);
        for (rule, text) in found {
            self.find(rule, text);
        }
    }

    /// Checks that everything stored after the loading was seen. A killed page must have seen everything before the last
    /// message that it saw.
    fn judge_view(
        &self,
        page: &Page,
        loaded: Option<&BTreeMap<String, i64>>,
        seen: &HashMap<&str, (u64, usize)>,
        arrived: &HashMap<&str, i64>,
        found: &mut Vec<(&'static str, String)>,
    ) {
        let Some(loaded) = loaded else {
            if !page.is_killed {
                found.push((
                    "never came",
                    format!("{} was not there at the end: {:?}, {} records", page.name, page.plan, page.records.len()),
                ));
            }
            return;
        };
        for row in &self.history.rows {
            let Some(members) = self.history.conversations.get(&row.place) else { continue };
            let from = loaded.get(&row.place).copied().unwrap_or(0);
            let to = if page.is_killed { arrived.get(row.place.as_str()).copied().unwrap_or(0) } else { i64::MAX };
            let is_shown = if members.is_group { page.plan.words.has_groups() } else { page.plan.words.has_direct() };
            let Some(send) = row.client_message_id.as_deref().and_then(|name| self.sends.get(name)) else { continue };
            // What was deleted may never have been shown.
            if !members.users.contains(&page.plan.user) || !is_shown || row.seq <= from || row.seq > to || row.is_deleted {
                continue;
            }
            let is_own = send.user == page.plan.user;
            let has_to = !is_own || !send.clients.contains(&page.client) && page.plan.is_pinned;
            if has_to && !seen.contains_key(row.id.as_str()) {
                let name = row.client_message_id.as_deref().unwrap_or_default();
                found.push(("missed", format!("{} did not see {name} ({} {})", page.name, row.place, row.seq)));
            }
        }
    }

    /// Checks that a page which is still there was told of the last change of each message that it saw.
    fn judge_changes(&mut self, page: &'a Page) {
        let mut known: BTreeMap<&str, Option<u32>> = BTreeMap::new();
        let mut found = Vec::new();
        for (at, record) in &page.records {
            match record {
                Record::Got { id, version, .. } => {
                    known.entry(id).or_insert(Some(*version));
                }
                Record::ToldEdit { id, version } => match known.get_mut(id.as_str()) {
                    Some(Some(before)) if *before > *version => {
                        let text = format!("{} was told at {at} of edit {version} of {id}, which it knew as {before}", page.name);
                        found.push(("outdated", text));
                    }
                    Some(before) => *before = Some(*version),
                    None => {}
                },
                Record::ToldDeletion { id } => {
                    if let Some(version) = known.get_mut(id.as_str()) {
                        *version = None;
                    }
                }
                _ => {}
            }
        }
        for (id, version) in known.into_iter().filter(|_| !page.is_killed) {
            let Some(row) = self.by_id.get(id) else { continue };
            let last = (!row.is_deleted).then(|| crate::history::read_text(&row.content).1);
            if version != last {
                let name = row.client_message_id.as_deref().unwrap_or_default();
                found.push(("change untold", format!("{} knows {name} as {version:?}; it is stored as {last:?}", page.name)));
            }
        }
        for (rule, text) in found {
            self.find(rule, text);
        }
    }

    /// Checks that a sender is told "delivered" only of what a page of the recipient has seen.
    fn judge_proofs(&mut self) {
        let mut told: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        let mut seen: HashMap<(&str, String), u64> = HashMap::new();
        for page in &self.history.pages {
            let user = format!("u{}", page.plan.user);
            for (at, record) in &page.records {
                match record {
                    Record::Delivered { id, user } => {
                        let first = told.entry((id, user)).or_insert(*at);
                        *first = (*first).min(*at);
                    }
                    Record::Got { id, .. } => {
                        let first = seen.entry((id, user.clone())).or_insert(*at);
                        *first = (*first).min(*at);
                    }
                    _ => {}
                }
            }
        }
        for ((id, user), told_at) in told {
            let seen_at = seen.get(&(id, user.to_owned()));
            if seen_at.is_none_or(|seen_at| *seen_at > told_at) {
                self.find("unproven", format!("{id} was told to be delivered to {user} at {told_at}, and seen at {seen_at:?}"));
            }
        }
    }

    fn judge_end(&mut self) {
        if self.history.panics > 0 {
            self.find("panic", format!("{} steps of the broker", self.history.panics));
        }
        for (table, count) in &self.history.left {
            self.find("kept", format!("{count} {table} when nobody had been there for long"));
        }
        if let Some(text) = &self.history.endless {
            self.find("endless", text.clone());
        }
    }
}
