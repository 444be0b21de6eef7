//! Finds what a client missed in its user's conversations: messages, and changes of messages that it had.
//!
//! Each conversation is read through an index, from the first possible row on, and for one page at most: so the cost of
//! a page depends on its size, not on the length of the history.
use std::cmp::Reverse;
use std::collections::HashMap;

use diesel::prelude::*;

use super::messages::load_messages;
use crate::model::{Message, UserId};
use crate::store::connection::{AnyConnection, in_snapshot};
use crate::store::schema::{conversations, messages, participants};

/// The kind of rows that a client lacks.
#[expect(missing_docs, reason = "a variant's comment explains its fields")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacking {
    /// Messages by others that its user has not received.
    Unreceived,
    /// All messages, the user's own included, except those sent by the session with this hash.
    Messages { sent_by: Option<[u8; 32]> },
    /// The last edit or deletion of each message that it had.
    Changes(Had),
}

/// The messages that a client had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Had {
    /// All messages up to this position,
    pub up_to: i64,
    /// and up to this one those that the user had received or written, and those that are deleted now.
    pub received_up_to: i64,
    /// Also the messages sent by the session with this hash.
    pub sent_by: Option<[u8; 32]>,
}

/// Delivery progress of a user: conversation ids with `delivered_seq`.
pub type Received = HashMap<String, i64>;

/// Returns the delivery progress of a user.
pub fn load_received(conn: &mut AnyConnection, user: &UserId) -> QueryResult<Received> {
    let own = participants::table.filter(participants::user_id.eq(user.as_str()).and(participants::left_at.is_null()));
    Ok(own.select((participants::conversation, participants::delivered_seq)).load(conn)?.into_iter().collect())
}

/// The positions in (`after`, `up_to`], of messages or of their last changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Position before the first.
    pub after: i64,
    /// Last position.
    pub up_to: i64,
}

impl Span {
    /// Returns whether it contains no position.
    pub fn is_empty(self) -> bool {
        self.after >= self.up_to
    }
}

/// The end of a span to list from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Oldest,
    Newest,
}

/// The part of a user's conversation that can contain wanted rows.
#[derive(Debug, Queryable)]
struct Stretch {
    conversation: String,
    delivered_seq: i64,
    joined_position: i64,
    /// Position before which no row is wanted,
    first: Option<i64>,
    /// and position after which none is.
    last: Option<i64>,
}

impl Stretch {
    /// Returns the part of a span in which it can have rows.
    fn part_of(&self, span: Span) -> Span {
        let Some((first, last)) = self.first.zip(self.last) else { return Span { up_to: span.after, ..span } };
        Span { after: span.after.max(self.joined_position).max(first - 1), up_to: span.up_to.min(last) }
    }
}

/// Returns the messages that a client of `user` lacks, or the messages whose changes it lacks, in their present form.
/// Ascending by the position in `span` under which they are found, at most `limit`. New messages that were deleted are
/// left out. `received` gives the user's delivery progress at some earlier time; `None` means the present one.
pub fn list_lacking(
    conn: &mut AnyConnection,
    (user, received): (&UserId, Option<&Received>),
    lacking: Lacking,
    span: Span,
    limit: usize,
) -> QueryResult<Vec<(i64, Message)>> {
    // Otherwise a change between two queries could appear now and be sent again later, or leave a message without its
    // text.
    in_snapshot(conn, |conn| {
        // Ids come first, so that sorting need not carry the texts along.
        let rows = list_rows(conn, (user, received), lacking, span, limit, End::Oldest)?;
        let (positions, ids): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        Ok(positions.into_iter().zip(load_messages(conn, ids)?).collect())
    })
}

/// Returns the positions of the newest `limit` rows of [`list_lacking`], the newest first.
pub fn list_lacking_positions(
    conn: &mut AnyConnection,
    (user, received): (&UserId, Option<&Received>),
    lacking: Lacking,
    span: Span,
    limit: usize,
) -> QueryResult<Vec<i64>> {
    let rows = in_snapshot(conn, |conn| list_rows(conn, (user, received), lacking, span, limit, End::Newest))?;
    Ok(rows.into_iter().map(|(position, _)| position).collect())
}

/// Returns positions and message ids, `limit` from one end of a span.
fn list_rows(
    conn: &mut AnyConnection,
    (user, received): (&UserId, Option<&Received>),
    lacking: Lacking,
    span: Span,
    limit: usize,
    end: End,
) -> QueryResult<Vec<(i64, String)>> {
    let mut rows = Vec::new();
    if span.is_empty() || limit == 0 {
        return Ok(rows);
    }
    let mut stretches = list_stretches(conn, (user, received), lacking, span.after)?;
    // Conversations that can hold the wanted end come first: of those after them, ever shorter parts are read.
    match end {
        End::Oldest => stretches.sort_unstable_by_key(|stretch| stretch.first),
        End::Newest => stretches.sort_unstable_by_key(|stretch| Reverse(stretch.last)),
    }
    for stretch in stretches {
        let mut part = stretch.part_of(span);
        // Once there are enough rows, a later conversation matters only up to the farthest of them.
        match (rows.get(limit - 1), end) {
            (Some(&(farthest, _)), End::Oldest) => part.up_to = part.up_to.min(farthest),
            (Some(&(farthest, _)), End::Newest) => part.after = part.after.max(farthest),
            (None, _) => {}
        }
        if part.is_empty() {
            continue;
        }
        rows.extend(list_part(conn, user, lacking, &stretch, part, limit, end)?);
        match end {
            End::Oldest => rows.sort_unstable(),
            End::Newest => rows.sort_unstable_by(|one, other| other.cmp(one)),
        }
        rows.truncate(limit);
    }
    Ok(rows)
}

/// Selects the messages of the outer query's conversation.
macro_rules! said_there {
    () => {
        messages::table.filter(messages::place.eq(participants::conversation))
    };
}

/// Returns the conversations of a user that can have rows in the span.
fn list_stretches(
    conn: &mut AnyConnection,
    (user, received): (&UserId, Option<&Received>),
    lacking: Lacking,
    after: i64,
) -> QueryResult<Vec<Stretch>> {
    let own = participants::table
        .inner_join(conversations::table.on(conversations::id.eq(participants::conversation)))
        .filter(participants::user_id.eq(user.as_str()).and(participants::left_at.is_null()));
    let membership = (participants::conversation, participants::delivered_seq, participants::joined_position);
    let last = conversations::last_position.nullable();
    let mut stretches: Vec<Stretch> = match lacking {
        // A message not received then may be received by now, so it is found by its position.
        Lacking::Unreceived if received.is_none() => {
            let first = said_there!()
                .filter(messages::seq.gt(participants::delivered_seq))
                .order(messages::seq.asc())
                .select(messages::position)
                .limit(1);
            own.filter(conversations::last_seq.gt(participants::delivered_seq).and(conversations::last_position.gt(after)))
                .select((membership.0, membership.1, membership.2, first.single_value(), last))
                .load(conn)?
        }
        Lacking::Unreceived | Lacking::Messages { .. } => {
            let first = said_there!()
                .filter(messages::position.gt(after))
                .order(messages::position.asc())
                .select(messages::position)
                .limit(1);
            own.filter(conversations::last_position.gt(after))
                .select((membership.0, membership.1, membership.2, first.single_value(), last))
                .load(conn)?
        }
        Lacking::Changes(_) => {
            let changed = said_there!().filter(messages::changed_position.gt(after)).select(messages::changed_position);
            let first = changed.order(messages::changed_position.asc()).limit(1);
            let last = changed.order(messages::changed_position.desc()).limit(1);
            own.select((membership.0, membership.1, membership.2, first.single_value(), last.single_value())).load(conn)?
        }
    };
    for stretch in &mut stretches {
        let then = received.and_then(|received| received.get(&stretch.conversation));
        stretch.delivered_seq = then.copied().unwrap_or(stretch.delivered_seq);
    }
    Ok(stretches)
}

/// Returns the rows of one conversation.
fn list_part(
    conn: &mut AnyConnection,
    user: &UserId,
    lacking: Lacking,
    stretch: &Stretch,
    part: Span,
    limit: usize,
    end: End,
) -> QueryResult<Vec<(i64, String)>> {
    let there = messages::table.filter(messages::place.eq(&stretch.conversation)).limit(limit as i64);
    let said_within =
        messages::position.gt(part.after).and(messages::position.le(part.up_to)).and(messages::deleted_at.is_null());
    let mut said = there.filter(said_within).select((messages::position, messages::id)).into_boxed();
    match lacking {
        Lacking::Unreceived => {
            said = said.filter(messages::seq.gt(stretch.delivered_seq).and(messages::sender.ne(user.as_str())));
        }
        Lacking::Messages { sent_by: None } => {}
        Lacking::Messages { sent_by: Some(hash) } => {
            said = said.filter(messages::sent_by.is_null().or(messages::sent_by.ne(hash.to_vec())));
        }
        Lacking::Changes(had) => {
            // A deleted message is not sent again, and the client may have read it in the history.
            let was_received = messages::seq
                .le(stretch.delivered_seq)
                .or(messages::sender.eq(user.as_str()))
                .or(messages::deleted_at.is_not_null());
            let was_had = messages::position
                .le(had.up_to)
                .or(messages::sent_by.eq(had.sent_by.map_or_else(Vec::new, Vec::from)))
                .or(messages::position.le(had.received_up_to).and(was_received));
            let changed = there
                .filter(messages::changed_position.gt(part.after).and(messages::changed_position.le(part.up_to)))
                .filter(was_had)
                .select((messages::changed_position.assume_not_null(), messages::id));
            return match end {
                End::Oldest => changed.order(messages::changed_position.asc()).load(conn),
                End::Newest => changed.order(messages::changed_position.desc()).load(conn),
            };
        }
    }
    match end {
        End::Oldest => said.order(messages::position.asc()).load(conn),
        End::Newest => said.order(messages::position.desc()).load(conn),
    }
}
