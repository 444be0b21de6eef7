//! What was missed, page by page, as fast as the socket takes it.
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use actix::{ActorFutureExt as _, AsyncContext as _, Context, WrapFuture as _};
use log::warn;

use super::broadcast::Broadcast;
use super::event::Event;
use super::offsets::Since;
use super::ports::Notice;
use super::server::ChatServer;
use super::tables::CatchUp;
use crate::engineio::{CloseReason, ConnectionKey};
use crate::model::{
    ConversationId, ConversationKind, MODEL_USER, Message, MessageStatus, Offset, OffsetKind, Part, Profile, UserId,
};
use crate::store::{self, Membership, StoreError};

/// Rows of the first page; later ones grow as long as they stay small.
const FIRST_ROWS: i64 = 16;
/// A page has at most so many messages.
const ROWS_MAX: i64 = 200;
/// What a message's packet has beside its content, about.
const ENVELOPE_BYTES: usize = 700;
/// Where others wait, the next page is read after so many times the time that this one took: many who come back
/// together take a part of a processor, and leave the rest to those who are here.
const REST: u32 = 3;

/// Who waits for a page, first come first served.
#[derive(Debug, Default)]
pub struct PageReads {
    under_way: usize,
    waiting: VecDeque<ConnectionKey>,
}

/// What a page is read from the store as.
#[derive(Debug)]
struct Page {
    messages: Vec<Message>,
    /// Whom the user's own messages in it were for.
    recipients: Vec<Arc<Profile>>,
}

/// What a page asks the store for.
#[derive(Debug)]
struct PageQuery {
    user: UserId,
    since: Option<Since>,
    sent_by: Option<[u8; 32]>,
    /// The position of the last message that was handed over; `None`: nothing was.
    after: Option<i64>,
    unreceived_up_to: i64,
    up_to: i64,
    rows: i64,
    /// So many messages, the newest, are caught up.
    newest: i64,
    /// With whom the user's direct conversations are.
    others: Vec<(ConversationId, UserId)>,
}

impl PageQuery {
    fn read(&self, conn: &mut store::AnyConnection) -> store::QueryResult<Page> {
        let after = match self.after {
            Some(after) => after,
            None => self.start(conn)?,
        };
        let mut messages = Vec::new();
        if after < self.unreceived_up_to {
            messages = store::list_missed(conn, &self.user, after, self.unreceived_up_to, self.rows)?;
        }
        let left = self.rows.saturating_sub_unsigned(messages.len() as u64);
        if left > 0 && self.unreceived_up_to < self.up_to {
            let after = after.max(self.unreceived_up_to);
            messages.extend(store::list_since(conn, &self.user, self.sent_by.as_ref(), after, self.up_to, left)?);
        }
        let own = messages.iter().filter(|message| message.sender.id == self.user);
        let own: Vec<ConversationId> = own.filter_map(|message| message.place.conversation()).collect();
        let others = self.others.iter().filter(|(id, _)| own.contains(id)).map(|(_, other)| other.clone()).collect::<Vec<_>>();
        let recipients = if others.is_empty() { Vec::new() } else { store::find_profiles(conn, &others)? };
        Ok(Page { messages, recipients })
    }

    /// The position after which the first page begins.
    fn start(&self, conn: &mut store::AnyConnection) -> store::QueryResult<i64> {
        let Some(since) = self.since else { return store::missed_start(conn, &self.user, self.up_to, self.newest) };
        let after = since.after();
        let first = after.max(self.unreceived_up_to);
        if let Some(start) = store::since_start(conn, &self.user, self.sent_by.as_ref(), first, self.up_to, self.newest)? {
            return Ok(start);
        }
        if after >= self.unreceived_up_to {
            return Ok(after);
        }
        Ok(store::missed_start(conn, &self.user, self.unreceived_up_to, self.newest)?.max(after))
    }
}

impl CatchUp {
    /// A catch-up on all messages up to a position.
    pub fn new(up_to: i64, since: Option<Since>, sent_by: Option<[u8; 32]>) -> Self {
        Self { up_to, since, sent_by, after: None, rows: FIRST_ROWS, is_reading: false }
    }

    /// Up to this position it brings what the user had not received on any device, after it all.
    fn unreceived_up_to(&self) -> i64 {
        self.since.map_or(self.up_to, |since| since.unreceived_up_to.unwrap_or(-1).min(self.up_to))
    }

    /// The offset of a client to which nothing of it was sent.
    pub fn start(&self, present: Offset) -> Offset {
        let since = self.since.unwrap_or(Since { position: 0, part: Part::ALL, unreceived_up_to: None });
        Offset { position: since.position, part: since.part, kind: self.kind_at(since.position), ..present }
    }

    /// The packets that its client had of a message before.
    fn had_of(&self, message: &Message) -> Option<Part> {
        self.since.filter(|since| since.position == message.position && since.part != Part::ALL).map(|since| since.part)
    }

    fn kind_at(&self, position: i64) -> OffsetKind {
        match self.unreceived_up_to() {
            up_to if position < up_to => OffsetKind::Unreceived { up_to },
            _ => OffsetKind::CaughtUp,
        }
    }
}

impl ChatServer {
    /// Reads the next page for a socket that has taken the last one.
    pub(super) fn read_catch_up_page(&mut self, connection: ConnectionKey, ctx: &mut Context<Self>) {
        let newest = i64::try_from(self.options.catch_up_max).unwrap_or(i64::MAX);
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        let (user, socket) = (session.user.clone(), session.socket);
        let Some(catch_up) = session.catch_up.as_mut().filter(|catch_up| !catch_up.is_reading) else { return };
        if self.page_reads.under_way >= self.options.catch_up_reads {
            return self.page_reads.waiting.push_back(connection);
        }
        self.page_reads.under_way += 1;
        catch_up.is_reading = true;
        let CatchUp { since, sent_by, after, up_to, rows, .. } = **catch_up;
        let unreceived_up_to = catch_up.unreceived_up_to();
        let others = self.others_of(&user, since.is_some());
        let query = PageQuery { user, since, sent_by, after, unreceived_up_to, up_to, rows, newest, others };
        let store = self.store.clone();
        let begun = Instant::now();
        let read = async move {
            let read = move |conn: &mut store::AnyConnection| query.read(conn);
            // The first page stands behind all that was admitted before; later ones find it stored.
            if after.is_none() { store.read_after_writes(read).await } else { store.read(read).await }
        };
        ctx.spawn(read.into_actor(self).map(move |page, broker, ctx| {
            // A connection may have left and come again meanwhile.
            if broker.sessions.get(&connection).is_some_and(|session| session.socket == socket) {
                broker.on_catch_up_page(connection, page, ctx);
            }
            if broker.page_reads.waiting.is_empty() {
                Self::end_page_read(broker, ctx);
            } else {
                ctx.run_later(begun.elapsed() * REST, Self::end_page_read);
            }
        }));
    }

    fn end_page_read(&mut self, ctx: &mut Context<Self>) {
        self.page_reads.under_way -= 1;
        while self.page_reads.under_way < self.options.catch_up_reads
            && let Some(next) = self.page_reads.waiting.pop_front()
        {
            self.read_catch_up_page(next, ctx);
        }
    }

    fn on_catch_up_page(&mut self, connection: ConnectionKey, page: Result<Page, StoreError>, ctx: &mut Context<Self>) {
        let budget = self.options.catch_up_page_bytes;
        let Some(user) = self.sessions.get(&connection).map(|session| session.user.clone()) else { return };
        // What the user's other sockets have received meanwhile is no longer missed.
        self.note_progress_of(&user);
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        let Some(catch_up) = session.catch_up.as_mut() else { return };
        catch_up.is_reading = false;
        let Page { messages: page, recipients } = match page {
            Ok(page) => page,
            Err(error) => {
                warn!(sid:% = session.socket, user:% = user, cause:% = error; "catch-up failed");
                return self.tell(connection, Notice::Close(CloseReason::Unavailable));
            }
        };
        let read = page.len();
        let (page, bytes) = take_page(page, budget);
        catch_up.after = page.last().map(|last| last.position).or(catch_up.after);
        let places: Vec<_> = page.iter().map(|message| (catch_up.kind_at(message.position), catch_up.had_of(message))).collect();
        let is_whole = page.len() == read && (read as i64) < catch_up.rows;
        catch_up.rows = next_rows(catch_up.rows, page.len(), bytes, budget);
        if is_whole {
            session.catch_up = None;
        }
        let messages: Vec<Arc<Message>> = page.into_iter().map(Arc::new).collect();
        let events: Vec<_> = messages
            .iter()
            .zip(places)
            .map(|(message, (kind, had))| {
                let offset = Offset { position: message.position, part: Part::FIRST, kind, ..self.present() };
                Arc::new(self.missed_event(&user, message, &recipients).placed(offset).behind(had))
            })
            .collect();
        if !events.is_empty() {
            self.tell(connection, Notice::CatchUp(events));
            self.note_page(connection, &messages);
        }
        self.tell_received_soon(ctx);
        if is_whole {
            self.show_unseen(connection, ctx);
        }
    }

    /// With whom a user's direct conversations are, and those with the model, where that is wanted.
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
        let (user, place) = (self.users.get(id), shown.place.conversation());
        let membership = user.and_then(|user| user.memberships.iter().find(|membership| Some(membership.conversation) == place));
        let kind = membership.map_or(ConversationKind::Group, |membership| membership.kind);
        let recipient = match membership.and_then(other_in) {
            None => None,
            Some(other) if is_own && other != *id => recipients.iter().find(|profile| profile.id == other).cloned(),
            Some(_) => user.map(|user| user.profile().clone()),
        };
        let event = Event::Message { message: Arc::new(shown), kind, recipient };
        match place {
            Some(conversation) => self.event_for([id], conversation, event),
            None => Broadcast::new(event),
        }
    }
}

/// Whom a member talks with, where that is one.
fn other_in(membership: &Membership) -> Option<UserId> {
    match membership.kind {
        ConversationKind::Group => None,
        ConversationKind::Direct => membership.other.clone(),
        ConversationKind::Ai => UserId::parse(MODEL_USER).ok(),
    }
}

/// The first messages that fit into `budget` bytes as encoded, at least one.
fn take_page(mut page: Vec<Message>, budget: usize) -> (Vec<Message>, usize) {
    let (mut bytes, mut count) = (0, 0);
    for message in &page {
        let size = message.content.len() + ENVELOPE_BYTES;
        if count > 0 && bytes + size > budget {
            break;
        }
        bytes += size;
        count += 1;
    }
    page.truncate(count);
    (page, bytes)
}

/// How many rows to ask for next: as many as would have filled the budget.
fn next_rows(rows: i64, taken: usize, bytes: usize, budget: usize) -> i64 {
    let Some(average) = bytes.checked_div(taken.max(1)).filter(|average| *average > 0) else { return rows };
    let fitting = i64::try_from(budget / average).unwrap_or(ROWS_MAX);
    fitting.clamp(1, ROWS_MAX).min(rows.saturating_mul(4))
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
