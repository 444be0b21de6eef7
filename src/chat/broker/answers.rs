//! Answers to reads: what was read is kept, and who waits for it goes on.
use std::sync::Arc;

use super::Broker;
use crate::chat::ports::ChatError;
use crate::chat::query::{Load, LoadFor, LoadQuery, Loaded};
use crate::chat::state::{Called, Running, SentIds};
use crate::model::Listing;
use crate::store::StoreError;

impl Broker {
    /// A read is there, or failed.
    pub(super) fn on_load(&mut self, query: LoadQuery, loaded: Result<Loaded, StoreError>) {
        let LoadQuery { load, waiter, allowance, seen: (seen, seen_titles), now: _ } = query;
        self.work.reads = self.work.reads.saturating_sub(1);
        if let (Some(left), LoadFor::Command(running)) = (allowance, &waiter) {
            self.users.made.give_back(&running.user, left);
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

    fn on_loaded(&mut self, load: &Load, loaded: Result<Loaded, StoreError>, waiter: LoadFor) {
        match waiter {
            LoadFor::Command(mut running) => {
                let outcome = match loaded {
                    Ok(Loaded::TooManyToMake) => {
                        let now = self.now();
                        Err(ChatError::RateLimited { retry_after: self.users.made.wait_of(&running.user, now) })
                    }
                    Ok(loaded) => {
                        self.keep(load, loaded, Some(&mut running));
                        Ok(())
                    }
                    Err(_) if matches!(load, Load::SentIds(_)) => {
                        running.prefetched.sent_ids_unreadable = true;
                        Ok(())
                    }
                    Err(_) if let Load::Title(listing) = load => {
                        running.prefetched.listing = Some(Listing { id: listing.clone(), title: None });
                        Ok(())
                    }
                    Err(error) => Err(error.into()),
                };
                self.resume(*running, outcome);
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
    pub(super) fn keep(&mut self, load: &Load, loaded: Loaded, running: Option<&mut Running>) {
        let now = self.now();
        match loaded {
            Loaded::Users(users) => {
                self.keep_users(users, now);
                if let (Some(running), Load::Users(asked)) = (running, load) {
                    running.prefetched.users_read.extend(asked.iter().cloned());
                }
            }
            Loaded::Described(account) => account.into_iter().for_each(|account| self.follow(account)),
            Loaded::Conversation(found) => {
                found.into_iter().for_each(|(conversation, changed_at)| self.keep_conversation(conversation, changed_at, now));
                if let Some(running) = running {
                    running.prefetched.conversation_read = true;
                }
            }
            Loaded::Direct(found, users) => {
                found.into_iter().for_each(|(conversation, changed_at)| self.keep_conversation(conversation, changed_at, now));
                self.keep_users(users, now);
                if let (Some(running), Load::Direct(_, other)) = (running, load) {
                    running.prefetched.conversation_read = true;
                    running.prefetched.users_read.push(other.clone());
                }
            }
            Loaded::Called(found) => {
                if let Some(running) = running {
                    let names_given = self.changes_of(load);
                    let conversation = found.as_ref().map(|(conversation, _)| conversation.id);
                    running.prefetched.called = Some(Called { names_given, conversation });
                }
                found.into_iter().for_each(|(conversation, changed_at)| self.keep_conversation(conversation, changed_at, now));
            }
            // Its waiter is refused.
            Loaded::TooManyToMake => {}
            Loaded::Overviews(overviews) => {
                if let Some(running) = running {
                    running.prefetched.overviews = Some(overviews);
                }
            }
            Loaded::Message(message) => {
                let message = message.map(Arc::from);
                match (running, load) {
                    (Some(running), Load::Answer(_)) => running.prefetched.answer = Some(message),
                    (Some(running), _) => running.prefetched.message = Some(message),
                    (None, _) => {}
                }
            }
            Loaded::Title(title) => {
                if let (Some(running), Load::Title(listing)) = (running, load) {
                    running.prefetched.listing = Some(Listing { id: listing.clone(), title });
                }
            }
            Loaded::Uploads(uploads) => {
                if let Some(running) = running {
                    running.prefetched.uploads = Some((self.work.files_dropped, uploads));
                }
            }
            Loaded::Notifications(notifications) => {
                if let Some(running) = running {
                    running.prefetched.notifications = Some(notifications);
                }
            }
            Loaded::SentIds(rows) => {
                let Load::SentIds(sender) = load else { return };
                let Some(user) = self.users.get_mut(sender) else { return };
                user.sent.get_or_insert_with(|| Box::new(SentIds::of_rows(rows, now)));
            }
        }
    }
}
