//! Reads that commands and coming clients wait for.
use std::sync::Arc;

use super::Broker;
use crate::chat::ports::ChatError;
use crate::chat::query::{Load, LoadFor, LoadQuery, Loaded, Query};
use crate::chat::state::{Allowance, CachedConversation, Called, Handed, Pending, SentIds, User, pair_key};
use crate::model::{Account, Conversation, Listing, Timestamp};
use crate::store::{Membership, StoreError};

impl Broker {
    /// Starts a read; its waiter goes on when it is there.
    pub(super) fn start_load(&mut self, load: Load, waiter: LoadFor) {
        let now = self.now();
        let allowance = self.allow_made(&load, &waiter, now);
        self.work.reads += 1;
        let seen = (self.changes_of(&load), self.conversations.titles.changes);
        self.outside.read(Query::Load(Box::new(LoadQuery { load, waiter, allowance, seen, now })));
    }

    /// A read is there, or failed.
    pub(super) fn on_load(&mut self, query: LoadQuery, loaded: Result<Loaded, StoreError>) {
        let LoadQuery { load, waiter, allowance, seen: (seen, seen_titles), now: _ } = query;
        self.work.reads = self.work.reads.saturating_sub(1);
        if let (Some(left), LoadFor::Command(pending)) = (allowance, &waiter) {
            self.users.made.give_back(&pending.user, left);
        }
        if loaded.is_ok() && seen != self.changes_of(&load) {
            // What was read may be older than what has taken effect since.
            return self.start_load(load.again(), waiter);
        }
        if let (Load::Title(listing), Ok(Loaded::Title(title))) = (&load, &loaded)
            && seen_titles == self.conversations.titles.changes
        {
            self.conversations.titles.keep(listing.clone(), title.clone());
        }
        self.on_loaded(&load, loaded, waiter);
    }

    /// How many users a read may make; `None`: none are made.
    fn allow_made(&mut self, load: &Load, waiter: &LoadFor, now: Timestamp) -> Option<Allowance> {
        let LoadFor::Command(pending) = waiter else { return None };
        let wanted = match load {
            Load::Users(users) => users.len(),
            Load::Direct(..) => 1,
            _ => return None,
        };
        let (provision, max) = (self.options.auto_provision_users, self.options.made_users_max);
        provision.then(|| self.users.made.reserve(&pending.user, wanted, max, now))
    }

    /// Which change was the newest of what a read is about.
    fn changes_of(&self, load: &Load) -> u64 {
        match load {
            Load::Users(users) => self.users.changes.newest_of(users),
            Load::Provision(user) => self.users.changes.newest_of([&user.id]),
            Load::Described(user, _) => self.users.changes.newest_of([user]),
            Load::Direct(_, other) => self.users.changes.newest_of([other]),
            Load::Uploads(_) => self.work.files_dropped,
            Load::Called(user, _) => self.users.at_hand.get(user).map_or(0, |user| user.names_given),
            Load::Conversation(_)
            | Load::Overviews(_)
            | Load::Title(_)
            | Load::Notifications(..)
            | Load::Message(_)
            | Load::Answer(_)
            | Load::SentIds(_) => 0,
        }
    }

    fn on_loaded(&mut self, load: &Load, loaded: Result<Loaded, StoreError>, waiter: LoadFor) {
        match waiter {
            LoadFor::Command(mut pending) => {
                let outcome = match loaded {
                    Ok(Loaded::TooManyToMake) => {
                        let now = self.now();
                        Err(ChatError::RateLimited { retry_after: self.users.made.wait_of(&pending.user, now) })
                    }
                    Ok(loaded) => {
                        self.keep(load, loaded, Some(&mut pending));
                        Ok(())
                    }
                    Err(_) if matches!(load, Load::SentIds(_)) => {
                        pending.facts.sent_ids_unreadable = true;
                        Ok(())
                    }
                    Err(_) if let Load::Title(listing) = load => {
                        pending.facts.listing = Some(Listing { id: listing.clone(), title: None });
                        Ok(())
                    }
                    Err(error) => Err(error.into()),
                };
                self.resume(*pending, outcome);
            }
            LoadFor::Connect(connection) => {
                let is_known = matches!(load, Load::Described(..));
                let outcome = match loaded {
                    // Who is known comes in though the store is away.
                    Err(_) if is_known => Ok(()),
                    loaded => loaded.map(|loaded| self.keep(load, loaded, None)),
                };
                let may_describe = matches!(load, Load::Users(_));
                self.on_account_loaded(connection, outcome, may_describe);
            }
        }
    }

    /// Keeps what was read, in the caches or with the command. What a cache holds already is newer than any read.
    fn keep(&mut self, load: &Load, loaded: Loaded, pending: Option<&mut Pending>) {
        let now = self.now();
        match loaded {
            Loaded::Users(users) => {
                self.keep_users(users, now);
                if let (Some(pending), Load::Users(asked)) = (pending, load) {
                    pending.facts.users_read.extend(asked.iter().cloned());
                }
            }
            Loaded::Described(account) => account.into_iter().for_each(|account| self.follow(account)),
            Loaded::Conversation(found) => {
                found.into_iter().for_each(|(conversation, changed_at)| self.keep_conversation(conversation, changed_at, now));
                if let Some(pending) = pending {
                    pending.facts.conversation_read = true;
                }
            }
            Loaded::Direct(found, users) => {
                found.into_iter().for_each(|(conversation, changed_at)| self.keep_conversation(conversation, changed_at, now));
                self.keep_users(users, now);
                if let (Some(pending), Load::Direct(_, other)) = (pending, load) {
                    pending.facts.conversation_read = true;
                    pending.facts.users_read.push(other.clone());
                }
            }
            Loaded::Called(found) => {
                if let Some(pending) = pending {
                    let names_given = self.changes_of(load);
                    let conversation = found.as_ref().map(|(conversation, _)| conversation.id);
                    pending.facts.called = Some(Called { names_given, conversation });
                }
                found.into_iter().for_each(|(conversation, changed_at)| self.keep_conversation(conversation, changed_at, now));
            }
            // Its waiter is refused.
            Loaded::TooManyToMake => {}
            Loaded::Overviews(overviews) => {
                if let Some(pending) = pending {
                    pending.facts.overviews = Some(overviews);
                }
            }
            Loaded::Message(message) => {
                let message = message.map(Arc::from);
                match (pending, load) {
                    (Some(pending), Load::Answer(_)) => pending.facts.answer = Some(message),
                    (Some(pending), _) => pending.facts.message = Some(message),
                    (None, _) => {}
                }
            }
            Loaded::Title(title) => {
                if let (Some(pending), Load::Title(listing)) = (pending, load) {
                    pending.facts.listing = Some(Listing { id: listing.clone(), title });
                }
            }
            Loaded::Uploads(uploads) => {
                if let Some(pending) = pending {
                    pending.facts.uploads = Some((self.work.files_dropped, uploads));
                }
            }
            Loaded::Notifications(notifications) => {
                if let Some(pending) = pending {
                    pending.facts.notifications = Some(notifications);
                }
            }
            Loaded::SentIds(rows) => {
                let Load::SentIds(sender) = load else { return };
                let Some(user) = self.users.at_hand.get_mut(sender) else { return };
                user.sent.get_or_insert_with(|| Box::new(SentIds::of_rows(rows, now)));
            }
        }
    }

    pub(super) fn keep_users(&mut self, users: Vec<(Account, Vec<Membership>)>, now: Timestamp) {
        for (account, memberships) in users {
            let id = account.profile.id.clone();
            self.users.at_hand.entry(id).or_insert_with(|| {
                Box::new(User {
                    account: Arc::new(account),
                    has_names: memberships.iter().any(|membership| membership.name.is_some()),
                    names_given: 0,
                    memberships,
                    sessions: Default::default(),
                    parked: Vec::new(),
                    is_announced: false,
                    offline_at: None,
                    sent: None,
                    // Nobody knows what was stored before.
                    unseen_noted: 1,
                    unseen_shown: 0,
                    used_at: now,
                })
            });
        }
    }

    /// `changed_at`: when a message of it last changed, where that is not when it changed itself. Later changes come after
    /// both.
    pub(super) fn keep_conversation(&mut self, conversation: Conversation, changed_at: Option<Timestamp>, now: Timestamp) {
        if let Some(key) = pair_key(&conversation) {
            self.conversations.directs.insert(key, conversation.id);
        }
        self.conversations.at_hand.entry(conversation.id).or_insert_with(|| CachedConversation {
            updated_at: changed_at.unwrap_or_default().max(conversation.updated_at),
            handed: Handed::default(),
            in_flight: 0,
            is_progress_due: false,
            absent: None,
            used_at: now,
            conversation: Arc::new(conversation),
        });
    }
}
