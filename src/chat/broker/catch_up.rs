//! Pages of what was missed, as fast as the socket takes it: first what became of the messages that a client had, then
//! the messages that it lacks. One that was sent and changed meanwhile comes once, as it is now.
use std::sync::Arc;
use std::time::Duration;

use log::{debug, warn};

use super::Broker;
use crate::chat::outside::Callback;
use crate::chat::ports::{Broadcast, ConfirmationWanted, Event, Notice, change_event};
use crate::chat::query::{Destination, Page, PageQuery, Query};
use crate::chat::state::{CatchUp, sent_by};
use crate::engineio::{CloseReason, ConnectionKey};
use crate::model::{
    ChangesNotified, ConversationId, ConversationKind, MODEL_USER, Message, MessageStatus, OffsetKind, Profile, UserId,
};
use crate::store::{Membership, StoreError};

/// Maximum number of messages of a page.
const ROWS_MAX: usize = 200;

/// Pause before the next page while others wait, in multiples of the time that a reader was at the last one: many who
/// come back together take a part of a processor, and leave the rest to those who are here.
const REST: u32 = 3;

impl Broker {
    /// More waited at a socket than may: what was dispatched after a position is read for it.
    pub(in crate::chat) fn go_on_with_catch_up(&mut self, connection: ConnectionKey, after: i64, changes: ChangesNotified) {
        let (dispatched, event_seq) = (self.dispatched_position(), self.replay.event_seq());
        let up_to = (dispatched, self.replay.changes.notified_by(dispatched));
        let Some(session) = self.sessions.get_mut(&connection).filter(|session| session.catch_up.is_none()) else { return };
        session.progress.left_out_up_to = event_seq;
        session.catch_up = Some(Box::new(CatchUp::going_on((after, changes), up_to, sent_by(&session.pid))));
        debug!(sid:% = session.socket, user:% = session.user, after, up_to = dispatched; "catch-up goes on");
        self.notify(connection, Notice::CatchUpGoesOn { event_seq });
        self.read_catch_up_page(connection);
    }

    /// Reads the next page for a socket that has taken the last one.
    pub(in crate::chat) fn read_catch_up_page(&mut self, connection: ConnectionKey) {
        let newest = self.options.catch_up_max;
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        let (user, socket) = (session.user.clone(), session.socket);
        let Some(catch_up) = session.catch_up.as_mut().filter(|catch_up| !catch_up.is_reading) else { return };
        if !catch_up.is_settled {
            // Messages admitted before may still be on their way to the store. All who come meanwhile wait for one commit.
            catch_up.is_reading = true;
            if self.work.settling.add(connection, socket) {
                self.outside.read(Query::Settled);
            }
            return;
        }
        if !self.work.pages.begin(connection, self.options.catch_up_reads) {
            return;
        }
        catch_up.is_reading = true;
        let CatchUp { since, sent_by, progress, up_to, changes_up_to, rows, .. } = **catch_up;
        let (unreceived_up_to, received) = (catch_up.unreceived_up_to(), catch_up.received.clone());
        let others = self.others_of(&user, since.is_some());
        let query =
            PageQuery { user, since, sent_by, progress, received, unreceived_up_to, up_to, changes_up_to, rows, newest, others };
        self.outside.read(Query::Page { to: Destination { connection, socket }, query: Box::new(query) });
    }

    /// Begins the catch-ups that waited for what was admitted before: it is stored, or cannot be.
    pub(super) fn on_settled(&mut self, settled: Result<(), StoreError>) {
        let (sockets, more_wait) = self.work.settling.take();
        if more_wait {
            self.outside.read(Query::Settled);
        }
        for (connection, socket) in sockets {
            let session = self.sessions.get_mut(&connection).filter(|session| session.socket == socket);
            let Some(catch_up) = session.and_then(|session| session.catch_up.as_mut()) else { continue };
            catch_up.is_reading = false;
            match &settled {
                Ok(()) => {
                    catch_up.is_settled = true;
                    self.read_catch_up_page(connection);
                }
                Err(error) => self.give_up_catch_up(connection, error),
            }
        }
    }

    /// Ends the connection of a socket: to go on without a page would leave a hole. Its client comes back with its offset and
    /// begins anew.
    fn give_up_catch_up(&mut self, connection: ConnectionKey, error: &StoreError) {
        if let Some(session) = self.sessions.get(&connection) {
            warn!(sid:% = session.socket, user:% = session.user, cause:% = error; "catch-up failed");
        }
        self.notify(connection, Notice::Close(CloseReason::Unavailable));
    }

    /// A page is there, or could not be read.
    pub(super) fn on_page(&mut self, to: Destination, page: Result<Page, StoreError>, took: Duration) {
        let Destination { connection, socket } = to;
        if self.sessions.get(&connection).is_some_and(|session| session.socket == socket) {
            self.on_catch_up_page(connection, page);
        }
        if self.work.pages.has_waiting() {
            self.outside.call_back(Callback::PageRead, took * REST);
        } else {
            self.end_page_read();
        }
    }

    /// The next page may be read.
    pub(in crate::chat) fn end_page_read(&mut self) {
        self.work.pages.end();
        while let Some(next) = self.work.pages.next(self.options.catch_up_reads) {
            self.read_catch_up_page(next);
        }
    }

    fn on_catch_up_page(&mut self, connection: ConnectionKey, page: Result<Page, StoreError>) {
        let budget = self.options.catch_up_page_bytes;
        let Some(user) = self.sessions.get(&connection).map(|session| session.user.clone()) else { return };
        // What the user's other sockets have received meanwhile is no longer missed.
        self.note_progress_of(&user);
        let present = self.replay.present();
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        let Some(catch_up) = session.catch_up.as_mut() else { return };
        catch_up.is_reading = false;
        let mut page = match page {
            Ok(page) => page,
            Err(error) => return self.give_up_catch_up(connection, &error),
        };
        let (read, goes_on) = (page.len(), catch_up.goes_on);
        let bytes = page.cut(budget);
        let taken = page.len();
        catch_up.progress = Some(page.progress(catch_up.changes_up_to));
        catch_up.received = page.received.take();
        let of_changes = page.changes.iter().map(|(position, _)| catch_up.place_of_change(*position, present));
        let of_messages = page.messages.iter().map(|message| catch_up.place_of(message, present));
        let mut places: Vec<_> = of_changes.chain(of_messages).collect();
        // Fewer rows than were asked for, and none cut off: there are no more.
        let is_whole = taken == read && read < catch_up.rows;
        catch_up.rows = next_rows(catch_up.rows, taken, bytes, budget);
        if is_whole {
            session.catch_up = None;
        }
        let Page { changes, messages, recipients, from: _, received: _ } = page;
        // These stand for live events, and a client that leaves among them comes back by their numbers.
        if goes_on {
            for ((offset, _), message) in places.iter_mut().skip(changes.len()).zip(&messages) {
                offset.kind = self.kind_of_dispatched(message).unwrap_or(offset.kind);
            }
        }
        let changes = changes.into_iter().map(|(_, message)| self.missed_change(&user, Arc::new(message), &recipients));
        let mut events: Vec<Broadcast> = changes.collect();
        let messages: Vec<Arc<Message>> = messages.into_iter().map(Arc::new).collect();
        events.extend(messages.iter().map(|message| self.missed_event(&user, message, &recipients)));
        let wanted = if goes_on { ConfirmationWanted::AtOnce } else { ConfirmationWanted::No };
        let placed = events.into_iter().zip(places);
        let events: Vec<_> =
            placed.map(|(event, (offset, had))| Arc::new(event.placed(offset).behind(had).wanting(wanted))).collect();
        if !events.is_empty() {
            self.notify(connection, Notice::CatchUp(events));
            // One that goes on is confirmed as the live events are for which it stands.
            if !goes_on {
                self.note_page(connection, &messages);
            }
        }
        if is_whole {
            self.show_unseen(connection);
        }
    }

    /// The place in the order that a message had when it was dispatched, where that is remembered.
    fn kind_of_dispatched(&self, message: &Message) -> Option<OffsetKind> {
        let cached = self.conversations.get(&message.place.conversation()?)?;
        let dispatched = cached.dispatched.find(message.seq).filter(|dispatched| dispatched.receipt.message == message.id)?;
        Some(OffsetKind::Event { event_seq: dispatched.event_seq, is_message: true })
    }

    /// Lists a user's conversations of two, the model's among them, each with its other user; none if they are not wanted.
    fn others_of(&self, user: &UserId, is_wanted: bool) -> Vec<(ConversationId, UserId)> {
        let user = self.users.get(user).filter(|_| is_wanted);
        let memberships = user.map_or(&[][..], |user| &user.memberships);
        memberships.iter().filter_map(|membership| Some((membership.conversation, other_in(membership)?))).collect()
    }

    /// A missed message as the event that its recipient would have seen, or its sender's other devices.
    fn missed_event(&self, id: &UserId, message: &Arc<Message>, recipients: &[Arc<Profile>]) -> Broadcast {
        let mut shown = (**message).clone();
        let is_own = shown.sender.id == *id;
        if !is_own {
            shown.status = shown.status.max(MessageStatus::Delivered);
        }
        let (kind, recipient) = self.kind_and_recipient(id, &shown, recipients);
        let place = shown.place.conversation();
        let event = Event::Message { message: Arc::new(shown), kind, recipient };
        match place {
            Some(conversation) => self.event_for([id], conversation, event),
            None => Broadcast::new(event),
        }
    }

    /// A missed edit or deletion as the event that the user's other devices would have seen.
    fn missed_change(&self, id: &UserId, message: Arc<Message>, recipients: &[Arc<Profile>]) -> Broadcast {
        let (kind, recipient) = self.kind_and_recipient(id, &message, recipients);
        let place = message.place.conversation();
        let message = self.with_progress(message);
        match place {
            Some(conversation) => self.event_for([id], conversation, change_event(message, conversation, kind, recipient)),
            // Of public rooms nothing is missed.
            None => Broadcast::new(Event::MessageUpdated { message, kind, recipient }),
        }
    }

    /// Of the conversation of a missed message: its kind, and of one of two whom the message is for.
    fn kind_and_recipient(
        &self,
        id: &UserId,
        message: &Message,
        recipients: &[Arc<Profile>],
    ) -> (ConversationKind, Option<Arc<Profile>>) {
        let (user, place) = (self.users.get(id), message.place.conversation());
        let membership = user.and_then(|user| user.memberships.iter().find(|membership| Some(membership.conversation) == place));
        let kind = membership.map_or(ConversationKind::Group, |membership| membership.kind);
        let recipient = match membership.and_then(other_in) {
            None => None,
            Some(other) if message.sender.id == *id && other != *id => {
                recipients.iter().find(|profile| profile.id == other).cloned()
            }
            Some(_) => user.map(|user| user.profile().clone()),
        };
        (kind, recipient)
    }

    /// Position of the last message that was dispatched: later ones reach a socket that joins now by themselves.
    pub(super) fn dispatched_position(&self) -> i64 {
        self.sends.dispatched_position()
    }
}

/// Returns the user whom a member talks with, unless it is in a group.
fn other_in(membership: &Membership) -> Option<UserId> {
    match membership.kind {
        ConversationKind::Group => None,
        ConversationKind::Direct => membership.other.clone(),
        ConversationKind::Ai => UserId::parse(MODEL_USER).ok(),
    }
}

/// Returns the number of rows to ask for next: as many as would have filled the budget.
fn next_rows(rows: usize, taken: usize, bytes: usize, budget: usize) -> usize {
    let Some(average) = bytes.checked_div(taken.max(1)).filter(|average| *average > 0) else { return rows };
    (budget / average).clamp(1, ROWS_MAX).min(rows.saturating_mul(4))
}

#[cfg(test)]
mod tests {
    use super::next_rows;

    #[test]
    fn pages_grow_to_the_budget_and_no_further() {
        assert_eq!(next_rows(16, 16, 16 * 1_000, 262_144), 64);
        assert_eq!(next_rows(64, 64, 64 * 1_000, 262_144), 200);
        assert_eq!(next_rows(16, 12, 12 * 20_700, 262_144), 12);
        assert_eq!(next_rows(16, 1, 900_000, 262_144), 1);
        assert_eq!(next_rows(16, 0, 0, 262_144), 16);
    }
}
