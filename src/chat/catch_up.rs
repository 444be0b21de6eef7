//! What was missed, page by page, as fast as the socket takes it.
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use actix::{ActorFutureExt as _, AsyncContext as _, Context, WrapFuture as _};
use log::warn;

use super::broadcast::Broadcast;
use super::event::Event;
use super::ports::Notice;
use super::server::ChatServer;
use super::tables::CatchUp;
use crate::engineio::{CloseReason, ConnectionKey};
use crate::model::{ConversationKind, Message, MessageStatus, Place};
use crate::store::{self, StoreError};

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

impl CatchUp {
    /// A catch-up on all messages up to a position.
    pub fn new(up_to: i64) -> Self {
        Self { up_to, after: -1, rows: FIRST_ROWS, is_reading: false, behind: Vec::new() }
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
        let (after, up_to, rows) = (catch_up.after, catch_up.up_to, catch_up.rows);
        let store = self.store.clone();
        let begun = Instant::now();
        let read = async move {
            let query = move |conn: &mut store::AnyConnection| {
                let after = if after < 0 { store::missed_start(conn, &user, up_to, newest)? } else { after };
                store::list_missed(conn, &user, after, up_to, rows)
            };
            // The first page stands behind all that was admitted before; later ones find it stored.
            if after < 0 { store.read_after_writes(query).await } else { store.read(query).await }
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

    fn on_catch_up_page(&mut self, connection: ConnectionKey, page: Result<Vec<Message>, StoreError>, ctx: &mut Context<Self>) {
        let budget = self.options.catch_up_page_bytes;
        let Some(user) = self.sessions.get(&connection).map(|session| session.user.clone()) else { return };
        // What the user's other sockets were handed meanwhile is no longer missed.
        self.note_progress_of(&user);
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        let Some(catch_up) = session.catch_up.as_mut() else { return };
        catch_up.is_reading = false;
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                warn!("catch-up failed sid={} user={user} error={error}", session.socket);
                return self.tell(connection, Notice::Close(CloseReason::Unavailable));
            }
        };
        let read = page.len();
        let (page, bytes) = take_page(page, budget);
        if let Some(last) = page.last() {
            catch_up.after = last.position;
        }
        let is_whole = page.len() == read && (read as i64) < catch_up.rows;
        catch_up.rows = next_rows(catch_up.rows, page.len(), bytes, budget);
        let caught_up = if is_whole { session.catch_up.take() } else { None };
        let messages: Vec<Arc<Message>> = page.into_iter().map(Arc::new).collect();
        let events: Vec<_> = messages.iter().map(|message| self.missed_event(&user, message)).collect();
        if !events.is_empty() {
            self.tell(connection, Notice::CatchUp(events));
        }
        self.note_caught_up(connection, &messages);
        if let Some(caught_up) = caught_up {
            self.show_unseen(connection, ctx);
            self.note_caught_up_whole(connection, &caught_up.behind);
        }
    }

    /// A missed message as the event that its recipient would have seen.
    fn missed_event(&self, user: &crate::model::UserId, message: &Arc<Message>) -> Arc<Broadcast> {
        let mut shown = (**message).clone();
        shown.status = shown.status.max(MessageStatus::Delivered);
        let kind = match shown.place {
            Place::Conversation(id) => self
                .users
                .get(user)
                .and_then(|user| user.memberships.iter().find(|membership| membership.conversation == id))
                .map_or(ConversationKind::Group, |membership| membership.kind),
            _ => ConversationKind::Group,
        };
        let recipient =
            (kind != ConversationKind::Group).then(|| self.users.get(user).map(|user| user.profile().clone())).flatten();
        let place = shown.place.clone();
        let event = Event::Message { message: Arc::new(shown), kind, recipient };
        match place {
            Place::Conversation(id) => self.event_for([user], id, event),
            Place::Room(_) | Place::CommonChat => Arc::new(Broadcast::new(event)),
        }
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
