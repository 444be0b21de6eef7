//! Messages that are not unread to a member: `participants.not_unread` counts those after `read_seq` that are the member's
//! own, deleted or pruned, so that the unread ones are the difference of two numbers, however many there are.
//!
//! It is null where it was never counted; what is added to null stays null. Whoever reads as far as the newest message has
//! it set anew.
use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::store::connection::AnyConnection;
use crate::store::schema::participants;

/// Maximum number of rows in one statement.
const MEMBERS_AT_ONCE: usize = 1_000;

/// A message that is about to be deleted from its table.
#[derive(Debug, Clone)]
pub(super) struct Pruned {
    pub seq: i64,
    pub sender: String,
}

/// Notes that a message is about to be marked as deleted; has no effect if it is marked already.
pub(super) fn note_deletion(conn: &mut AnyConnection, message: &str) -> QueryResult<()> {
    diesel::sql_query(
        "UPDATE participants SET not_unread = not_unread + 1 FROM messages \
         WHERE messages.id = $1 AND messages.deleted_at IS NULL AND participants.conversation = messages.place \
         AND participants.user_id <> messages.sender AND participants.read_seq < messages.seq",
    )
    .bind::<Text, _>(message)
    .execute(conn)
    .map(drop)
}

/// Notes that messages of a conversation, none of them marked as deleted, are about to be pruned.
pub(super) fn note_pruning(conn: &mut AnyConnection, conversation: &str, pruned: &[Pruned]) -> QueryResult<()> {
    let Some(newest) = pruned.iter().map(|message| message.seq).max() else { return Ok(()) };
    let members: Vec<(String, i64)> = participants::table
        .filter(participants::conversation.eq(conversation).and(participants::read_seq.lt(newest)))
        .select((participants::user_id, participants::read_seq))
        .load(conn)?;
    let mut by_count: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for (user, read_seq) in members {
        let counts = |message: &&Pruned| message.seq > read_seq && message.sender != user;
        let count = pruned.iter().filter(counts).count();
        by_count.entry(i64::try_from(count).unwrap_or(i64::MAX)).or_default().push(user);
    }
    for (count, users) in by_count {
        for users in users.chunks(MEMBERS_AT_ONCE) {
            let members =
                participants::table.filter(participants::conversation.eq(conversation).and(participants::user_id.eq_any(users)));
            diesel::update(members).set(participants::not_unread.eq(participants::not_unread + count)).execute(conn)?;
        }
    }
    Ok(())
}
