//! Answers to reads: what was read is kept, and who waits for it goes on.
use std::sync::Arc;

use super::Broker;
use crate::chat::ports::ChatError;
use crate::chat::query::{LookedUp, Lookup, LookupFor, LookupQuery};
use crate::chat::state::{ResolvedAlias, Running, SentIds};
use crate::model::Listing;
use crate::store::StoreError;

impl Broker {
    /// A read is there, or failed.
    pub(super) fn on_lookup(&mut self, query: LookupQuery, looked_up: Result<LookedUp, StoreError>) {
        let LookupQuery { lookup, waiter, allowance, seen: (seen, seen_titles), now: _ } = query;
        self.work.reads = self.work.reads.saturating_sub(1);
        if let (Some(left), LookupFor::Command(running)) = (allowance, &waiter) {
            self.users.made.give_back(&running.user, left);
        }
        if looked_up.is_ok() && seen != self.changes_of(&lookup) {
            // What was read may be older than what has taken effect since.
            return self.start_lookup(lookup.again(), waiter);
        }
        if let (Lookup::Title(listing), Ok(LookedUp::Title(title))) = (&lookup, &looked_up)
            && seen_titles == self.conversations.titles.changes
        {
            self.conversations.titles.keep(listing.clone(), title.clone());
        }
        self.on_looked_up(&lookup, looked_up, waiter);
    }

    fn on_looked_up(&mut self, lookup: &Lookup, looked_up: Result<LookedUp, StoreError>, waiter: LookupFor) {
        match waiter {
            LookupFor::Command(mut running) => {
                let outcome = match looked_up {
                    Ok(LookedUp::TooManyToMake) => {
                        let now = self.now();
                        Err(ChatError::RateLimited { retry_after: self.users.made.wait_of(&running.user, now) })
                    }
                    Ok(looked_up) => {
                        self.keep(lookup, looked_up, Some(&mut running));
                        Ok(())
                    }
                    Err(_) if matches!(lookup, Lookup::SentIds(_)) => {
                        running.prefetched.sent_ids_unreadable = true;
                        Ok(())
                    }
                    Err(_) if let Lookup::Title(listing) = lookup => {
                        running.prefetched.listing = Some(Listing { id: listing.clone(), title: None });
                        Ok(())
                    }
                    Err(error) => Err(error.into()),
                };
                self.resume(*running, outcome);
            }
            LookupFor::Connect(connection) => {
                let is_known = matches!(lookup, Lookup::Described(..));
                let outcome = match looked_up {
                    // Who is known comes in though the store is away.
                    Err(_) if is_known => Ok(()),
                    looked_up => looked_up.map(|looked_up| self.keep(lookup, looked_up, None)),
                };
                let may_describe = matches!(lookup, Lookup::Users(_));
                self.on_account_looked_up(connection, outcome, may_describe);
            }
        }
    }

    /// Keeps what was read, in the caches or with the command. What a cache holds already is newer than any read.
    pub(super) fn keep(&mut self, lookup: &Lookup, looked_up: LookedUp, running: Option<&mut Running>) {
        let now = self.now();
        match looked_up {
            LookedUp::Users(users) => {
                self.keep_users(users, now);
                if let (Some(running), Lookup::Users(asked)) = (running, lookup) {
                    running.prefetched.users_read.extend(asked.iter().cloned());
                }
            }
            LookedUp::Described(account) => {
                if let Some(running) = running {
                    running.prefetched.is_described = true;
                }
                account.into_iter().for_each(|account| self.follow(account));
            }
            LookedUp::Conversation(found) => {
                found.into_iter().for_each(|(conversation, changed_at)| self.keep_conversation(conversation, changed_at, now));
                if let Some(running) = running {
                    running.prefetched.conversation_read = true;
                }
            }
            LookedUp::Direct(found, users) => {
                found.into_iter().for_each(|(conversation, changed_at)| self.keep_conversation(conversation, changed_at, now));
                self.keep_users(users, now);
                if let (Some(running), Lookup::Direct(_, other)) = (running, lookup) {
                    running.prefetched.conversation_read = true;
                    running.prefetched.users_read.push(other.clone());
                }
            }
            LookedUp::Alias(found) => {
                if let Some(running) = running {
                    let names_given = self.changes_of(lookup);
                    let conversation = found.as_ref().map(|(conversation, _)| conversation.id);
                    running.prefetched.alias = Some(ResolvedAlias { names_given, conversation });
                }
                found.into_iter().for_each(|(conversation, changed_at)| self.keep_conversation(conversation, changed_at, now));
            }
            // Its waiter is refused.
            LookedUp::TooManyToMake => {}
            LookedUp::Overviews(overviews) => {
                if let Some(running) = running {
                    running.prefetched.overviews = Some(overviews);
                }
            }
            LookedUp::Message(message) => {
                let message = message.map(Arc::from);
                match (running, lookup) {
                    (Some(running), Lookup::Answer(_)) => running.prefetched.answer = Some(message),
                    (Some(running), _) => running.prefetched.message = Some(message),
                    (None, _) => {}
                }
            }
            LookedUp::Title(title) => {
                if let (Some(running), Lookup::Title(listing)) = (running, lookup) {
                    running.prefetched.listing = Some(Listing { id: listing.clone(), title });
                }
            }
            LookedUp::Uploads(uploads) => {
                if let Some(running) = running {
                    running.prefetched.uploads = Some((self.work.files_dropped, uploads));
                }
            }
            LookedUp::History(messages) => {
                if let Some(running) = running {
                    running.prefetched.history = Some(messages);
                }
            }
            LookedUp::Notifications(notifications) => {
                if let Some(running) = running {
                    running.prefetched.notifications = Some(notifications);
                }
            }
            LookedUp::SentIds(rows) => {
                let Lookup::SentIds(sender) = lookup else { return };
                let Some(user) = self.users.get_mut(sender) else { return };
                user.sent.get_or_insert_with(|| Box::new(SentIds::of_rows(rows, now)));
            }
        }
    }
}
