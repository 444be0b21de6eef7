//! Notifications: of messages to those without a socket, and of what else concerns a user.
//!
//! A message that is stored owes a notification to every member who had no socket when it was dispatched. What is owed is
//! gathered, the newest of each user and conversation, and stored within a second, or at once for a user who comes or
//! asks. What a crash takes is made up for at the next start, from the messages themselves (see `store`). It goes with its
//! message: the store takes away what is deleted or read, and stores none of it that comes late.
//!
//! All others are shown to their user's sockets in the step in which they are given to the store. So each is either known
//! there as seen, or unseen and shown when the next socket with a word for it comes.
use std::sync::Arc;

use log::warn;

use super::Broker;
use super::step::Outcome;
use crate::chat::ports::{Broadcast, Capabilities, ChatError, Command, Event, Notice, Reply};
use crate::chat::query::{Destination, Lookup, Query};
use crate::chat::state::{AfterCommit, Owed, Running, Unseen};
use crate::engineio::ConnectionKey;
use crate::model::{Conversation, ConversationId, MODEL_USER, Notification, NotificationId, Place, Timestamp, UserId};
use crate::store::{NewNotification, NotificationSubject, StoreError, Write};

/// Bytes of a notification's packet beside its texts, about.
const ENVELOPE_BYTES: usize = 200;

impl Broker {
    // ---- of messages ----

    /// The members of a conversation who have no socket. Looked up once for as long as nothing changes: a big group pays
    /// for it when somebody comes or goes, not with each message.
    pub(super) fn absent_in(&mut self, place: &Place) -> Arc<[UserId]> {
        let (conversations, users) = (&mut self.conversations, &self.users);
        let Place::Conversation(id) = place else { return Arc::default() };
        let Some(cached) = conversations.get_mut(id) else { return Arc::default() };
        let members = &cached.conversation.participants;
        let is_absent =
            |member: &&UserId| member.as_str() != MODEL_USER && users.get(*member).is_none_or(|user| user.sessions.is_empty());
        cached.absent.get_or_insert_with(|| members.iter().filter(is_absent).cloned().collect()).clone()
    }

    /// A user's first socket came, or the last one went.
    pub(super) fn forget_absent(&mut self, user: &UserId) {
        let memberships = self.users.get(user).map_or(&[][..], |user| &user.memberships);
        for membership in memberships {
            if let Some(cached) = self.conversations.get_mut(&membership.conversation) {
                cached.absent = None;
            }
        }
    }

    /// Stores all that is gathered. Who has come meanwhile had it from the catch-up.
    pub(in crate::chat) fn save_notifications(&mut self) {
        let owed = self.due.gathered.take_all();
        self.store_owed(owed, Self::is_absent);
    }

    /// Stores what is gathered in a conversation. Before one of its messages is deleted: the store knows which one a
    /// notification tells of instead, what is gathered knows the newest alone.
    pub(super) fn save_notifications_in(&mut self, conversation: ConversationId) {
        let owed = self.due.gathered.take_in(conversation);
        self.store_owed(owed, Self::is_absent);
    }

    fn is_absent(user: &UserId, broker: &Self) -> bool {
        broker.sockets_of(user).is_empty()
    }

    /// Stores what is gathered for one user.
    pub(in crate::chat) fn save_notifications_of(&mut self, user: &UserId) {
        let memberships = self.users.get(user).map_or(&[][..], |user| &user.memberships);
        let owed = self.due.gathered.take_of(user, memberships.iter().map(|membership| membership.conversation));
        self.store_owed(owed, |_, _| true);
    }

    fn store_owed(&mut self, owed: Vec<Owed>, is_due: impl Fn(&UserId, &Self) -> bool) {
        let mut new = Vec::new();
        for one in &owed {
            for user in one.users() {
                if !is_due(user, self) {
                    continue;
                }
                let id = NotificationId::from_uuid(self.new_id());
                let notification = Arc::new(Notification::of_message(id, user.clone(), &one.message, one.conversation));
                let subject = NotificationSubject::Message { conversation: one.conversation, message: one.message.id };
                new.push(NewNotification { notification, subject, is_seen: false });
                self.note_unseen(user);
            }
        }
        if new.is_empty() {
            return;
        }
        if let Err(refused) = self.store_or_return(Write::Notify(new), AfterCommit::Gathered(owed))
            && let AfterCommit::Gathered(owed) = refused.1
        {
            self.due.gathered.put_back(owed);
        }
    }

    // ---- of all else ----

    /// Notifies those whom `by` has added to a group.
    pub(super) fn notify_added<'a>(
        &mut self,
        group: &Conversation,
        added: impl IntoIterator<Item = &'a UserId>,
        by: &UserId,
        at: Timestamp,
    ) {
        let Some(by) = self.users.get(by).map(|user| user.profile().clone()) else { return };
        let mut notifications = Vec::new();
        for user in added {
            let id = NotificationId::from_uuid(self.new_id());
            notifications.push(Arc::new(Notification::of_joining(id, user.clone(), group, &by, at)));
        }
        if notifications.is_empty() {
            return;
        }
        let new = notifications
            .iter()
            .map(|notification| self.stamped(notification, NotificationSubject::Membership(group.id)))
            .collect();
        if self.store(Write::Notify(new), AfterCommit::Nothing).is_err() {
            return warn!(conversation:% = group.id, users = notifications.len(); "notifications not stored");
        }
        for notification in notifications {
            let user = notification.user.clone();
            self.fan_out_to_users([&user], Event::Notification(notification));
        }
    }

    /// For the store, with whether it will have been seen once it is shown to the user's sockets.
    fn stamped(&mut self, notification: &Arc<Notification>, subject: NotificationSubject) -> NewNotification {
        let is_seen =
            self.capabilities_of(&notification.user).any(|capabilities| capabilities.notification && !capabilities.unconfirmed);
        if !is_seen {
            self.note_unseen(&notification.user);
        }
        NewNotification { notification: notification.clone(), subject, is_seen }
    }

    /// Returns the capabilities of each of a user's sockets.
    fn capabilities_of(&self, user: &UserId) -> impl Iterator<Item = Capabilities> {
        self.sockets_of(user).iter().filter_map(|socket| self.sessions.get(socket)).map(|session| session.capabilities)
    }

    fn note_unseen(&mut self, user: &UserId) {
        if let Some(user) = self.users.get_mut(user) {
            user.unseen_noted = user.unseen_noted.wrapping_add(1);
        }
    }

    /// Carries [`Command::Notify`] out.
    pub(super) fn notify_as_asked(&mut self, running: &Running) -> Outcome {
        let Command::Notify { kind, message, data, emitted } = running.command.clone() else {
            return Err(ChatError::Internal.into());
        };
        let (user, reply_to) = (running.user.clone(), running.reply_to);
        let id = NotificationId::from_uuid(self.new_id());
        let created_at = self.now();
        let notification = Arc::new(Notification { id, user, kind, message, data, read: false, created_at });
        let mut new = self.stamped(&notification, NotificationSubject::Other);
        let mut sockets = self.capabilities_of(&notification.user).filter(|capabilities| capabilities.notification).count();
        if emitted.is_some() {
            // It goes out in no dialect's words: every socket gets it.
            sockets = self.sockets_of(&notification.user).len();
            new.is_seen = sockets > 0;
        }
        let after = AfterCommit::Notified { notification: notification.clone(), sockets, reply_to };
        self.store(Write::Notify(vec![new]), after)?;
        let user = notification.user.clone();
        self.fan_out_to_users([&user], emitted.map_or(Event::Notification(notification), Event::Emitted));
        Ok(None)
    }

    // ---- shown to who comes ----

    /// Returns whether a socket that comes may have to be shown some.
    pub(super) fn is_owed_notifications(&self, user: &UserId, capabilities: Capabilities) -> bool {
        capabilities.notification && self.users.get(user).is_some_and(|user| user.unseen_noted != user.unseen_shown)
    }

    /// A socket has caught up: what its user was not shown follows, and then all that has waited.
    pub(super) fn show_unseen(&mut self, connection: ConnectionKey) {
        let Some(session) = self.sessions.get(&connection) else { return };
        if session.unseen.is_none() {
            return self.notify(connection, Notice::CatchUpDone);
        }
        let (user, socket) = (session.user.clone(), session.socket);
        let noted = self.users.get(&user).map_or(0, |user| user.unseen_noted);
        self.outside.read(Query::Unseen { to: Destination { connection, socket }, user, noted });
    }

    /// The store was asked when notifications had been `noted` so often.
    pub(super) fn on_unseen(&mut self, to: Destination, found: Result<Vec<Notification>, StoreError>, noted: u32) {
        let Destination { connection, socket } = to;
        if self.sessions.get(&connection).is_none_or(|session| session.socket != socket) {
            return;
        }
        let Some((user, capabilities)) =
            self.sessions.get(&connection).map(|session| (session.user.clone(), session.capabilities))
        else {
            return;
        };
        // Its client may have turned out to have no word for them.
        let confirms = capabilities.notification && !capabilities.unconfirmed;
        let are_all_seen = match &found {
            Ok(found) if found.is_empty() => true,
            Ok(_) if confirms => {
                let seen = Write::NotificationsSeen { user: user.clone(), ids: None, seen_at: self.now() };
                self.store(seen, AfterCommit::Nothing).is_ok()
            }
            Ok(_) => false,
            Err(error) => {
                warn!(user:% = user, cause:% = error; "notifications not read");
                false
            }
        };
        if are_all_seen && let Some(user) = self.users.get_mut(&user) {
            user.unseen_shown = noted;
        }
        let found = if capabilities.notification { found.unwrap_or_default() } else { Vec::new() };
        if let Some(session) = self.sessions.get_mut(&connection)
            && let Some(Unseen::Due(offset) | Unseen::Waiting(_, offset)) = session.unseen.as_deref()
        {
            let waiting = Unseen::Waiting(found.into_iter().rev().map(Arc::new).collect(), *offset);
            session.unseen = Some(Box::new(waiting));
        }
        self.show_unseen_page(connection);
    }

    /// Shows as many as a page holds, once the socket has taken what came before.
    pub(in crate::chat) fn show_unseen_page(&mut self, connection: ConnectionKey) {
        let budget = self.options.catch_up_page_bytes;
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        let Some(Unseen::Waiting(waiting, offset)) = session.unseen.as_deref_mut() else { return };
        let (mut page, mut bytes) = (Vec::new(), 0);
        while let Some(next) = waiting.front() {
            bytes += next.message.len() + next.data.as_ref().map_or(0, String::len) + ENVELOPE_BYTES;
            if !page.is_empty() && bytes > budget {
                break;
            }
            let shown = waiting.pop_front().map(|next| Broadcast::new(Event::Notification(next)).with_initial_offset(*offset));
            page.extend(shown.map(Arc::new));
        }
        let is_last = waiting.is_empty();
        if is_last {
            session.unseen = None;
        }
        if !page.is_empty() {
            self.notify(connection, Notice::CatchUp(page));
        }
        if is_last {
            self.notify(connection, Notice::CatchUpDone);
        }
    }

    // ---- asked for ----

    /// One's own: what was answered counts as seen.
    pub(super) fn list_notifications(&mut self, running: &mut Running, limit: i64) -> Outcome {
        let Some(found) = running.prefetched.notifications.take() else {
            self.save_notifications_of(&running.user);
            return Err(Lookup::Notifications(running.user.clone(), limit).into());
        };
        let (user, seen_at) = (running.user.clone(), self.now());
        let ids: Vec<_> = found.iter().map(|notification| notification.id).collect();
        // Refused only while the store is away: then they come once more.
        if !ids.is_empty()
            && self.store(Write::NotificationsSeen { user, ids: Some(ids), seen_at }, AfterCommit::Nothing).is_err()
        {
            warn!("notifications not marked as seen");
        }
        Ok(Some(Reply::Notifications(found)))
    }
}
