//! What was missed, page by page, as fast as the socket takes it: first what became of the messages that a client had, then
//! the messages that it lacks. One that was sent and changed meanwhile comes once, as it is now.
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use actix::{ActorFutureExt as _, AsyncContext as _, Context, Handler, WrapFuture as _};
use log::{debug, warn};

use super::broadcast::{Broadcast, ProofWanted};
use super::changes::change_event;
use super::connecting::sent_by;
use super::event::Event;
use super::offsets::Since;
use super::ports::{FellBehind, Notice};
use super::server::ChatServer;
use super::tables::{CatchUp, CatchUpProgress};
use crate::engineio::{CloseReason, ConnectionKey};
use crate::meter::Metered as _;
use crate::model::{
    ChangesTold, ConversationId, ConversationKind, MODEL_USER, Message, MessageStatus, Offset, OffsetKind, Part, Profile, UserId,
};
use crate::store::{self, Had, Lacking, Membership, Received, Span, StoreError};

/// Rows of the first page; later ones grow as long as they stay small.
const FIRST_ROWS: usize = 16;
/// A page has at most so many messages.
const ROWS_MAX: usize = 200;
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
    /// Where it begins.
    from: CatchUpProgress,
    /// The user's receipts when the catch-up began, where they matter.
    received: Option<Arc<Received>>,
    /// Edited and deleted messages, with the positions of those changes.
    changes: Vec<(i64, Message)>,
    /// Once all changes are in.
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
    /// How much was handed over; `None`: nothing was.
    progress: Option<CatchUpProgress>,
    /// As of its beginning.
    received: Option<Arc<Received>>,
    unreceived_up_to: i64,
    up_to: i64,
    changes_up_to: i64,
    rows: usize,
    /// So many messages and changes, the newest, are caught up.
    newest: usize,
    /// With whom the user's direct conversations are.
    others: Vec<(ConversationId, UserId)>,
}

impl PageQuery {
    fn read(&self, conn: &mut store::AnyConnection) -> store::QueryResult<Page> {
        let (from, received) = match self.progress {
            Some(progress) => (progress, self.received.clone()),
            None => {
                // Of what was not received a client that was cut in its catch-up hears no changes, and gets it as it is now. Other
                // devices receive of it meanwhile: what counts is what was so before the first page of changes.
                let is_cut = self.since.is_some_and(|since| since.position < self.unreceived_up_to);
                let received = is_cut.then(|| store::load_received(conn, &self.user)).transpose()?.map(Arc::new);
                (self.start(conn, received.as_deref())?, received)
            }
        };
        let user = (&self.user, received.as_deref());
        let (mut changes, mut messages) = (Vec::new(), Vec::new());
        for (lacking, span) in self.lacking_after(from) {
            let left = self.rows.saturating_sub(changes.len() + messages.len());
            let rows = store::list_lacking(conn, user, lacking, span, left)?;
            match lacking {
                Lacking::Changes(_) => changes = rows,
                Lacking::Unreceived | Lacking::Messages { .. } => messages.extend(rows.into_iter().map(|(_, message)| message)),
            }
        }
        let all = changes.iter().map(|(_, message)| message).chain(&messages);
        let own: Vec<ConversationId> =
            all.filter(|message| message.sender.id == self.user).filter_map(|message| message.place.conversation()).collect();
        let others = self.others.iter().filter(|(id, _)| own.contains(id)).map(|(_, other)| other.clone()).collect::<Vec<_>>();
        let recipients = if others.is_empty() { Vec::new() } else { store::find_profiles(conn, &others)? };
        Ok(Page { from, received, changes, messages, recipients })
    }

    /// Lists what the client lacks behind that, in the order in which it is handed over.
    fn lacking_after(&self, from: CatchUpProgress) -> impl Iterator<Item = (Lacking, Span)> {
        let Self { sent_by, unreceived_up_to, up_to, changes_up_to, .. } = *self;
        // Who has not said what it had hears of no changes.
        let changes = self.since.map(|since| {
            let had = Had { up_to: since.position, received_up_to: unreceived_up_to, sent_by };
            (Lacking::Changes(had), Span { after: from.changes, up_to: changes_up_to })
        });
        let messages = [
            (Lacking::Unreceived, Span { after: from.messages, up_to: unreceived_up_to }),
            (Lacking::Messages { sent_by }, Span { after: from.messages.max(unreceived_up_to), up_to }),
        ];
        changes.into_iter().chain(messages)
    }

    /// Where the first page begins.
    fn start(&self, conn: &mut store::AnyConnection, received: Option<&Received>) -> store::QueryResult<CatchUpProgress> {
        let user = (&self.user, received);
        let mut first = CatchUpProgress {
            changes: self.since.map_or(self.changes_up_to, |since| since.changes_after()),
            messages: self.since.map_or(0, |since| since.after()),
        };
        let mut positions = Vec::new();
        for (lacking, span) in self.lacking_after(first) {
            let found = store::list_lacking_positions(conn, user, lacking, span, self.newest.saturating_add(1))?;
            // Where there are no changes the page need not look for them once more.
            if matches!(lacking, Lacking::Changes(_)) && found.is_empty() {
                first.changes = self.changes_up_to;
            }
            positions.extend(found);
        }
        positions.sort_unstable_by_key(|position| Reverse(*position));
        let skipped = positions.get(self.newest).copied().unwrap_or_default();
        Ok(CatchUpProgress { changes: first.changes.max(skipped), messages: first.messages.max(skipped) })
    }
}

impl CatchUp {
    /// A catch-up on all messages up to a position, and on all changes up to another.
    pub fn new(up_to: i64, changes_up_to: i64, since: Option<Since>, sent_by: Option<[u8; 32]>) -> Self {
        Self {
            up_to,
            changes_up_to,
            since,
            sent_by,
            progress: None,
            received: None,
            rows: FIRST_ROWS,
            is_reading: false,
            goes_on: false,
        }
    }

    /// One that goes on behind all that its client was told: on all messages and changes after these, up to those.
    fn going_on(after: (i64, ChangesTold), up_to: (i64, ChangesTold), sent_by: [u8; 32]) -> Self {
        let ((position, changes), (up_to, changes_up_to)) = (after, up_to);
        let since = Since { position, part: Part::ALL, unreceived_up_to: None, changes };
        let progress = Some(CatchUpProgress { changes: changes.up_to, messages: position });
        Self { progress, goes_on: true, ..Self::new(up_to, changes_up_to.up_to, Some(since), Some(sent_by)) }
    }

    /// Whether it will bring a message, if that is stored.
    pub fn brings(&self, position: i64) -> bool {
        position <= self.up_to && !(self.goes_on && self.progress.is_some_and(|progress| position <= progress.messages))
    }

    /// Whether nothing of it was read yet.
    fn is_at_its_start(&self) -> bool {
        let Some(progress) = self.progress else { return true };
        let start = self.since.map(|since| CatchUpProgress { changes: since.changes.up_to, messages: since.position });
        self.goes_on && start == Some(progress)
    }

    /// Up to this position it brings what the user had not received on any device, after it all.
    fn unreceived_up_to(&self) -> i64 {
        self.since.map_or(self.up_to, |since| since.unreceived_up_to.unwrap_or(-1).min(self.up_to))
    }

    /// The offset of a client to which nothing of it was sent.
    pub fn start(&self, present: Offset) -> Offset {
        let changes = ChangesTold::all(self.changes_up_to);
        let since = self.since.unwrap_or(Since { position: 0, part: Part::ALL, unreceived_up_to: None, changes });
        let Since { position, part, changes, unreceived_up_to: _ } = since;
        Offset { position, part, kind: self.kind_at(position), changes, ..present }
    }

    /// The place of a message of it, and the packets that its client had of that before.
    fn place_of(&self, message: &Message, present: Offset) -> (Offset, Option<Part>) {
        let position = message.position;
        let had = self.since.filter(|since| since.position == position && since.part != Part::ALL).map(|since| since.part);
        // One that goes on stands for live events, which say of changes no more than was told before them.
        let told_up_to = if self.goes_on { self.changes_up_to.min(position) } else { self.changes_up_to };
        let changes = ChangesTold::all(told_up_to);
        (Offset { position, part: Part::FIRST, kind: self.kind_at(position), changes, ..present }, had)
    }

    /// The place of a change, and the packets that its client had of that before.
    fn place_of_change(&self, position: i64, present: Offset) -> (Offset, Option<Part>) {
        let told = self.since.map(|since| since.changes);
        let had = told.filter(|told| told.up_to == position && told.part != Part::ALL).map(|told| told.part);
        (Offset { changes: ChangesTold::telling(position), ..self.start(present) }, had)
    }

    fn kind_at(&self, position: i64) -> OffsetKind {
        match self.unreceived_up_to() {
            up_to if position < up_to => OffsetKind::Unreceived { up_to },
            _ => OffsetKind::CaughtUp,
        }
    }
}

impl Handler<FellBehind> for ChatServer {
    type Result = ();

    fn handle(&mut self, FellBehind { connection, after, changes }: FellBehind, ctx: &mut Self::Context) {
        self.turn_of_counted::<FellBehind, _>(|broker| broker.go_on_with_catch_up(connection, after, changes, ctx));
    }
}

impl ChatServer {
    /// More waited at a socket than may: what was handed out after a position is read for it.
    fn go_on_with_catch_up(&mut self, connection: ConnectionKey, after: i64, changes: ChangesTold, ctx: &mut Context<Self>) {
        let (handed, serial) = (self.handed_position(), self.serial);
        let up_to = (handed, self.untold_changes.told_by(handed));
        let Some(session) = self.sessions.get_mut(&connection).filter(|session| session.catch_up.is_none()) else { return };
        session.left_out_up_to = serial;
        session.catch_up = Some(Box::new(CatchUp::going_on((after, changes), up_to, sent_by(&session.pid))));
        debug!(sid:% = session.socket, user:% = session.user, after, up_to = handed; "catch-up goes on");
        self.tell(connection, Notice::CatchUpGoesOn { serial });
        self.read_catch_up_page(connection, ctx);
    }

    /// Reads the next page for a socket that has taken the last one.
    pub(super) fn read_catch_up_page(&mut self, connection: ConnectionKey, ctx: &mut Context<Self>) {
        let newest = self.options.catch_up_max;
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        let (user, socket) = (session.user.clone(), session.socket);
        let Some(catch_up) = session.catch_up.as_mut().filter(|catch_up| !catch_up.is_reading) else { return };
        if self.page_reads.under_way >= self.options.catch_up_reads {
            return self.page_reads.waiting.push_back(connection);
        }
        self.page_reads.under_way += 1;
        catch_up.is_reading = true;
        let is_first = catch_up.is_at_its_start();
        let CatchUp { since, sent_by, progress, up_to, changes_up_to, rows, .. } = **catch_up;
        let (unreceived_up_to, received) = (catch_up.unreceived_up_to(), catch_up.received.clone());
        let others = self.others_of(&user, since.is_some());
        let query =
            PageQuery { user, since, sent_by, progress, received, unreceived_up_to, up_to, changes_up_to, rows, newest, others };
        let store = self.store.clone();
        let begun = Instant::now();
        let read = async move {
            let read = move |conn: &mut store::AnyConnection| query.read(conn);
            // The first page stands behind all that was admitted before; later ones find it stored.
            if is_first { store.read_after_writes(read).await } else { store.read(read).await }
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
        let present = self.present();
        let Some(session) = self.sessions.get_mut(&connection) else { return };
        let Some(catch_up) = session.catch_up.as_mut() else { return };
        catch_up.is_reading = false;
        let mut page = match page {
            Ok(page) => page,
            Err(error) => {
                warn!(sid:% = session.socket, user:% = user, cause:% = error; "catch-up failed");
                return self.tell(connection, Notice::Close(CloseReason::Unavailable));
            }
        };
        let (read, goes_on) = (page.len(), catch_up.goes_on);
        let bytes = page.cut(budget);
        let taken = page.len();
        catch_up.progress = Some(page.progress(catch_up.changes_up_to));
        catch_up.received = page.received.take();
        let of_changes = page.changes.iter().map(|(position, _)| catch_up.place_of_change(*position, present));
        let of_messages = page.messages.iter().map(|message| catch_up.place_of(message, present));
        let mut places: Vec<_> = of_changes.chain(of_messages).collect();
        let is_whole = taken == read && read < catch_up.rows;
        catch_up.rows = next_rows(catch_up.rows, taken, bytes, budget);
        if is_whole {
            session.catch_up = None;
        }
        let Page { changes, messages, recipients, from: _, received: _ } = page;
        if goes_on {
            for ((offset, _), message) in places.iter_mut().skip(changes.len()).zip(&messages) {
                offset.kind = self.kind_of_handed(message).unwrap_or(offset.kind);
            }
        }
        let changes = changes.into_iter().map(|(_, message)| self.missed_change(&user, Arc::new(message), &recipients));
        let mut events: Vec<Broadcast> = changes.collect();
        let messages: Vec<Arc<Message>> = messages.into_iter().map(Arc::new).collect();
        events.extend(messages.iter().map(|message| self.missed_event(&user, message, &recipients)));
        let wanted = if goes_on { ProofWanted::AtOnce } else { ProofWanted::No };
        let placed = events.into_iter().zip(places);
        let events: Vec<_> =
            placed.map(|(event, (offset, had))| Arc::new(event.placed(offset).behind(had).wanting(wanted))).collect();
        if !events.is_empty() {
            self.tell(connection, Notice::CatchUp(events));
            // One that goes on is proven as the live events are for which it stands.
            if !goes_on {
                self.note_page(connection, &messages);
            }
        }
        self.tell_received_soon(ctx);
        if is_whole {
            self.show_unseen(connection, ctx);
        }
    }

    /// The place in the order that a message had when it was handed out, where that is remembered.
    fn kind_of_handed(&self, message: &Message) -> Option<OffsetKind> {
        let cached = self.conversations.get(&message.place.conversation()?)?;
        let handed = cached.handed.find(message.seq).filter(|handed| handed.receipt.message == message.id)?;
        Some(OffsetKind::Event { serial: handed.serial, is_message: true })
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
}

impl Page {
    fn len(&self) -> usize {
        self.changes.len() + self.messages.len()
    }

    /// Keeps the first ones that fit into `budget` bytes as encoded, at least one; how many bytes those are.
    fn cut(&mut self, budget: usize) -> usize {
        let (mut bytes, mut count) = (0, 0);
        for message in self.changes.iter().map(|(_, message)| message).chain(&self.messages) {
            let size = message.content.len() + ENVELOPE_BYTES;
            if count > 0 && bytes + size > budget {
                break;
            }
            bytes += size;
            count += 1;
        }
        self.changes.truncate(count);
        self.messages.truncate(count.saturating_sub(self.changes.len()));
        bytes
    }

    /// How much was handed over with it.
    fn progress(&self, changes_up_to: i64) -> CatchUpProgress {
        let CatchUpProgress { changes, messages } = self.from;
        match (self.messages.last(), self.changes.last()) {
            (Some(last), _) => CatchUpProgress { changes: changes_up_to, messages: last.position },
            (None, Some((last, _))) => CatchUpProgress { changes: *last, messages },
            (None, None) => CatchUpProgress { changes, messages },
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

/// How many rows to ask for next: as many as would have filled the budget.
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
