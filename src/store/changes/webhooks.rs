//! Events for webhooks: written with the changes that they tell of, given up, and forgotten.
use std::collections::{HashMap, HashSet};

use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Nullable, Text};

use crate::config::WebhookEvent;
use crate::model::{ConversationKind, Timestamp, UserId};
use crate::store::connection::AnyConnection;
use crate::store::rows::{is_room, place_key};
use crate::store::schema::{
    conversations, message_reads, messages, online_users, participants, users, webhook_checks, webhook_dead_letters,
    webhook_events,
};
use crate::store::subscribers::Subscribers;
use crate::store::webhook_event::{EventDetail, EventRow, user_lane};
use crate::store::write::{NewMessage, Unreached, Write};

/// Maximum number of rows in one statement; SQLite binds only some thousands of values.
const ROWS_AT_ONCE: usize = 1_000;
/// Maximum number of dead letters; the oldest are deleted.
const DEAD_LETTERS_MAX: i64 = 1_000_000;

/// An event of a batch, before its rows are made: one for each webhook that wants it.
#[derive(Debug)]
pub(super) struct NewEvent {
    event: WebhookEvent,
    lane: String,
    subject: String,
    detail: Option<EventDetail>,
    at: Timestamp,
}

/// Adds the events of messages that were stored, and notes those whose arrival is to be checked.
pub(super) fn note_messages(
    conn: &mut AnyConnection,
    wanted: &Subscribers,
    stored: &[&NewMessage],
    events: &mut Vec<NewEvent>,
) -> QueryResult<()> {
    events.extend(of_messages(stored));
    if wanted.want(WebhookEvent::MessageUnreached) { insert_checks(conn, wanted, stored) } else { Ok(()) }
}

fn of_messages(stored: &[&NewMessage]) -> Vec<NewEvent> {
    let event = |new: &&NewMessage| NewEvent {
        event: WebhookEvent::MessageCreated,
        lane: place_key(&new.message.place),
        subject: new.message.id.to_string(),
        detail: None,
        at: new.message.created_at,
    };
    stored.iter().map(event).collect()
}

/// Returns the events of changes to stored messages that took effect.
pub(super) fn of_changed_messages(
    conn: &mut AnyConnection,
    wanted: &Subscribers,
    changes: &[&Write],
) -> QueryResult<Vec<NewEvent>> {
    let mut events = Vec::new();
    for change in changes {
        let (event, message, at, detail) = match change {
            Write::EditMessage { message, updated_at, .. } => (WebhookEvent::MessageEdited, *message, *updated_at, None),
            Write::DeleteMessage { message, deleted_at, .. } => (WebhookEvent::MessageDeleted, *message, *deleted_at, None),
            Write::MarkRead { message, conversation: _, reader, read_at } => {
                let detail = EventDetail { users: vec![reader.to_string()], ..EventDetail::default() };
                (WebhookEvent::MessageRead, *message, *read_at, Some(detail))
            }
            _ => continue,
        };
        if wanted.want(event) {
            events.push(NewEvent { event, lane: String::new(), subject: message.to_string(), detail, at });
        }
    }
    if events.is_empty() {
        return Ok(events);
    }
    let ids: Vec<&str> = events.iter().map(|event| event.subject.as_str()).collect();
    let lanes: HashMap<String, String> = load_pairs(conn, &ids)?;
    let first_receipts = load_receipts(conn, &events)?;
    events.retain_mut(|event| {
        let Some(lane) = lanes.get(&event.subject) else { return false };
        event.lane.clone_from(lane);
        // Only the first receipt of a reader is stored.
        let reader = event.detail.as_ref().and_then(|detail| detail.users.first());
        reader.is_none_or(|reader| first_receipts.contains(&(event.subject.clone(), reader.clone(), event.at.as_millis())))
    });
    Ok(events)
}

/// Returns where each message stands.
fn load_pairs(conn: &mut AnyConnection, ids: &[&str]) -> QueryResult<HashMap<String, String>> {
    let found: Vec<(String, String)> =
        messages::table.filter(messages::id.eq_any(ids)).select((messages::id, messages::place)).load(conn)?;
    Ok(found.into_iter().collect())
}

/// Returns message, reader and time of the stored receipts among `events`.
fn load_receipts(conn: &mut AnyConnection, events: &[NewEvent]) -> QueryResult<HashSet<(String, String, i64)>> {
    let reads = || events.iter().filter(|event| event.event == WebhookEvent::MessageRead);
    let ids: Vec<&str> = reads().map(|event| event.subject.as_str()).collect();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let readers = reads().filter_map(|event| event.detail.as_ref()).flat_map(|detail| &detail.users);
    let found: Vec<(String, String, i64)> = message_reads::table
        .filter(message_reads::message.eq_any(ids).and(message_reads::user_id.eq_any(readers)))
        .select((message_reads::message, message_reads::user_id, message_reads::read_at))
        .load(conn)?;
    Ok(found.into_iter().collect())
}

/// Returns the events of a change to conversations or users; called before it is applied.
pub(super) fn of_change(conn: &mut AnyConnection, wanted: &Subscribers, write: &Write) -> QueryResult<Vec<NewEvent>> {
    let changed = |conversation: String, change: &'static str, users: &[UserId], at: Timestamp| NewEvent {
        event: WebhookEvent::ConversationChanged,
        lane: conversation.clone(),
        subject: conversation,
        detail: Some(EventDetail {
            change: Some(change.into()),
            users: users.iter().map(ToString::to_string).collect(),
            ..EventDetail::default()
        }),
        at,
    };
    if !write.is_event(wanted) {
        return Ok(Vec::new());
    }
    let one = |event| Ok(vec![event]);
    match write {
        Write::CreateConversation { conversation, .. } => {
            one(changed(conversation.id.to_string(), "created", &conversation.participants, conversation.created_at))
        }
        Write::UpdateConversation { conversation, updated_at, .. } => {
            one(changed(conversation.to_string(), "updated", &[], *updated_at))
        }
        Write::AddParticipants { conversation, users, joined_at, .. } => {
            one(changed(conversation.to_string(), "joined", users, *joined_at))
        }
        Write::RemoveParticipant { conversation, user, left_at } => {
            one(changed(conversation.to_string(), "left", std::slice::from_ref(user), *left_at))
        }
        Write::DeleteConversation { conversation } => one(changed(conversation.to_string(), "deleted", &[], Timestamp::now())),
        Write::DeleteUser { user, deleted_at, keeps_name: _ } => {
            let groups = load_groups_of(conn, user)?;
            Ok(groups.into_iter().map(|group| changed(group, "left", std::slice::from_ref(user), *deleted_at)).collect())
        }
        Write::Online { came, gone, at } => {
            let (came, gone) = (newly_online(conn, came)?, noted_online(conn, gone)?);
            let came = came.into_iter().map(|user| presence(WebhookEvent::UserConnected, user, *at));
            let gone = gone.into_iter().map(|user| presence(WebhookEvent::UserDisconnected, user, *at));
            Ok(gone.chain(came).filter(|event| wanted.want(event.event)).collect())
        }
        _ => Ok(Vec::new()),
    }
}

fn presence(event: WebhookEvent, user: String, at: Timestamp) -> NewEvent {
    NewEvent { event, lane: user_lane(&user), subject: user, detail: None, at }
}

fn load_groups_of(conn: &mut AnyConnection, user: &UserId) -> QueryResult<Vec<String>> {
    participants::table
        .inner_join(conversations::table.on(conversations::id.eq(participants::conversation)))
        .filter(participants::user_id.eq(user.as_str()).and(participants::left_at.is_null()))
        .filter(conversations::kind.eq(ConversationKind::Group.as_str()))
        .select(conversations::id)
        .load(conn)
}

/// Returns those of these users who are noted as online.
fn noted_online(conn: &mut AnyConnection, ids: &[UserId]) -> QueryResult<Vec<String>> {
    let mut noted = Vec::new();
    for some in ids.chunks(ROWS_AT_ONCE) {
        let ids = some.iter().map(UserId::as_str);
        noted.extend(
            online_users::table.filter(online_users::user_id.eq_any(ids)).select(online_users::user_id).load::<String>(conn)?,
        );
    }
    Ok(noted)
}

/// Returns those of these users who are not noted as online yet, and can be.
fn newly_online(conn: &mut AnyConnection, ids: &[UserId]) -> QueryResult<Vec<String>> {
    let noted: HashSet<String> = noted_online(conn, ids)?.into_iter().collect();
    let mut new = Vec::new();
    for some in ids.chunks(ROWS_AT_ONCE) {
        let ids = some.iter().map(UserId::as_str).filter(|id| !noted.contains(*id));
        let known = users::table.filter(users::id.eq_any(ids).and(users::deleted_at.is_null()));
        new.extend(known.select(users::id).load::<String>(conn)?);
    }
    Ok(new)
}

/// Stores the disconnects of those who were online when the previous server died; called before they are forgotten.
pub(in crate::store) fn insert_lost(conn: &mut AnyConnection, wanted: &Subscribers, at: Timestamp) -> QueryResult<()> {
    if !wanted.want(WebhookEvent::UserDisconnected) {
        return Ok(());
    }
    let lost: Vec<String> = online_users::table.select(online_users::user_id).load(conn)?;
    let events: Vec<NewEvent> = lost.into_iter().map(|user| presence(WebhookEvent::UserDisconnected, user, at)).collect();
    insert(conn, wanted, &events)
}

/// Returns the events of messages that have not reached everybody.
pub(super) fn of_unreached(unreached: &[Unreached]) -> Vec<NewEvent> {
    let event = |unreached: &Unreached| NewEvent {
        event: WebhookEvent::MessageUnreached,
        lane: unreached.conversation.clone(),
        subject: unreached.message.clone(),
        detail: Some(EventDetail { users: unreached.users.clone(), more: unreached.more, ..EventDetail::default() }),
        at: unreached.at,
    };
    unreached.iter().map(event).collect()
}

/// Stores events: a row for each webhook that wants one.
pub(super) fn insert(conn: &mut AnyConnection, wanted: &Subscribers, events: &[NewEvent]) -> QueryResult<()> {
    let now = Timestamp::now().as_millis();
    let mut rows = Arrays::default();
    for NewEvent { event, lane, subject, detail, at } in events {
        let detail = detail.as_ref().map(EventDetail::to_json).transpose()?;
        for webhook in wanted.of(*event) {
            rows.webhook.push(webhook);
            rows.event.push(event.as_str());
            rows.lane.push(lane);
            rows.subject.push(subject);
            rows.detail.push(detail.clone());
            rows.happened_at.push(at.as_millis());
            rows.queued_at.push(now);
        }
    }
    if rows.webhook.is_empty() {
        return Ok(());
    }
    match conn {
        AnyConnection::Postgres(conn) => rows.execute(conn).map(drop),
        AnyConnection::Sqlite(conn) => rows.insert_singly(conn),
    }
}

/// Rows of a batch as columns.
#[derive(Default)]
struct Arrays<'a> {
    webhook: Vec<&'a str>,
    event: Vec<&'static str>,
    lane: Vec<&'a str>,
    subject: Vec<&'a str>,
    detail: Vec<Option<String>>,
    happened_at: Vec<i64>,
    queued_at: Vec<i64>,
}

impl Arrays<'_> {
    /// Inserts each row by a statement of its own: without a round trip to a server, that is fastest.
    fn insert_singly(self, conn: &mut SqliteConnection) -> QueryResult<()> {
        let Self { webhook, event, lane, subject, detail, happened_at, queued_at } = self;
        let times = happened_at.into_iter().zip(queued_at);
        for (((((webhook, event), lane), subject), detail), (happened_at, queued_at)) in
            webhook.into_iter().zip(event).zip(lane).zip(subject).zip(detail).zip(times)
        {
            diesel::insert_into(webhook_events::table)
                .values((
                    webhook_events::webhook.eq(webhook),
                    webhook_events::event.eq(event),
                    webhook_events::lane.eq(lane),
                    webhook_events::subject.eq(subject),
                    webhook_events::detail.eq(detail),
                    webhook_events::happened_at.eq(happened_at),
                    webhook_events::queued_at.eq(queued_at),
                ))
                .execute(conn)?;
        }
        Ok(())
    }
}

impl QueryFragment<Pg> for Arrays<'_> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        pass.push_sql(
            "INSERT INTO webhook_events (webhook, event, lane, subject, detail, happened_at, queued_at) \
             SELECT webhook, event, lane, subject, detail, happened_at, queued_at FROM unnest(",
        );
        pass.push_bind_param::<Array<Text>, _>(&self.webhook)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Text>, _>(&self.event)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Text>, _>(&self.lane)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Text>, _>(&self.subject)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<Nullable<Text>>, _>(&self.detail)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<BigInt>, _>(&self.happened_at)?;
        pass.push_sql(", ");
        pass.push_bind_param::<Array<BigInt>, _>(&self.queued_at)?;
        // Numbers are given in the order of the batch.
        pass.push_sql(
            ") WITH ORDINALITY AS input (webhook, event, lane, subject, detail, happened_at, queued_at, nth) ORDER BY nth",
        );
        Ok(())
    }
}

impl QueryId for Arrays<'_> {
    type QueryId = Arrays<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RunQueryDsl<PgConnection> for Arrays<'_> {}

/// Notes new messages of conversations, to find out later whom they have not reached.
fn insert_checks(conn: &mut AnyConnection, wanted: &Subscribers, stored: &[&NewMessage]) -> QueryResult<()> {
    let wait = i64::try_from(wanted.unreached_after().as_millis()).unwrap_or(i64::MAX);
    let due_at = Timestamp::now().plus_millis(wait).as_millis();
    let to_conversations = stored.iter().filter(|new| !is_room(&new.message.place));
    let rows: Vec<_> = to_conversations
        .map(|new| (webhook_checks::message.eq(new.message.id.to_string()), webhook_checks::due_at.eq(due_at)))
        .collect();
    for some in rows.chunks(ROWS_AT_ONCE) {
        let some = some.to_vec();
        match conn {
            AnyConnection::Postgres(conn) => diesel::insert_into(webhook_checks::table).values(some).execute(conn)?,
            AnyConnection::Sqlite(conn) => diesel::insert_into(webhook_checks::table).values(some).execute(conn)?,
        };
    }
    Ok(())
}

/// Deletes checks that were made.
pub(super) fn delete_checks(conn: &mut AnyConnection, numbers: &[i64]) -> QueryResult<()> {
    for some in numbers.chunks(ROWS_AT_ONCE) {
        diesel::delete(webhook_checks::table.filter(webhook_checks::number.eq_any(some))).execute(conn)?;
    }
    Ok(())
}

/// Deletes events that were delivered, or are to be skipped. Returns their number.
pub(super) fn delete_events(conn: &mut AnyConnection, numbers: &[i64]) -> QueryResult<usize> {
    let mut rows = 0;
    for some in numbers.chunks(ROWS_AT_ONCE) {
        rows += diesel::delete(webhook_events::table.filter(webhook_events::number.eq_any(some))).execute(conn)?;
    }
    Ok(rows)
}

/// Makes dead letters of events, with the reason.
pub(super) fn bury(conn: &mut AnyConnection, numbers: &[i64], failure: &str) -> QueryResult<usize> {
    let mut buried = 0;
    for some in numbers.chunks(ROWS_AT_ONCE) {
        let rows: Vec<EventRow> = webhook_events::table.filter(webhook_events::number.eq_any(some)).load(conn)?;
        bury_rows(conn, &rows, failure)?;
        buried += rows.len();
    }
    Ok(buried)
}

/// Makes dead letters of the events of webhooks that are configured no more.
pub(in crate::store) fn bury_unwanted(conn: &mut AnyConnection, wanted: &Subscribers) -> QueryResult<()> {
    let names: Vec<&str> = wanted.names().collect();
    loop {
        let rows: Vec<EventRow> = webhook_events::table
            .filter(webhook_events::webhook.ne_all(&names))
            .order(webhook_events::number)
            .limit(i64::try_from(ROWS_AT_ONCE).unwrap_or(i64::MAX))
            .load(conn)?;
        if rows.is_empty() {
            break;
        }
        bury_rows(conn, &rows, "no webhook of this name was configured at a start")?;
    }
    if !wanted.want(WebhookEvent::MessageUnreached) {
        diesel::delete(webhook_checks::table).execute(conn)?;
    }
    Ok(())
}

fn bury_rows(conn: &mut AnyConnection, rows: &[EventRow], failure: &str) -> QueryResult<()> {
    let now = Timestamp::now().as_millis();
    for (number, webhook, event, lane, subject, detail, happened_at, queued_at) in rows {
        let letter = (
            webhook_dead_letters::number.eq(number),
            webhook_dead_letters::webhook.eq(webhook),
            webhook_dead_letters::event.eq(event),
            webhook_dead_letters::lane.eq(lane),
            webhook_dead_letters::subject.eq(subject),
            webhook_dead_letters::detail.eq(detail),
            webhook_dead_letters::happened_at.eq(happened_at),
            webhook_dead_letters::queued_at.eq(queued_at),
            webhook_dead_letters::died_at.eq(now),
            webhook_dead_letters::failure.eq(failure),
        );
        diesel::insert_into(webhook_dead_letters::table).values(letter).execute(conn)?;
    }
    let numbers: Vec<i64> = rows.iter().map(|(number, ..)| *number).collect();
    delete_events(conn, &numbers).map(drop)
}

/// Puts dead letters behind all that waits. Returns their number.
pub(super) fn replay(conn: &mut AnyConnection, numbers: &[i64]) -> QueryResult<usize> {
    let mut replayed = 0;
    for some in numbers.chunks(ROWS_AT_ONCE) {
        type Letter = (String, String, String, String, Option<String>, i64);
        let letters: Vec<Letter> = webhook_dead_letters::table
            .filter(webhook_dead_letters::number.eq_any(some))
            .order(webhook_dead_letters::number)
            .select((
                webhook_dead_letters::webhook,
                webhook_dead_letters::event,
                webhook_dead_letters::lane,
                webhook_dead_letters::subject,
                webhook_dead_letters::detail,
                webhook_dead_letters::happened_at,
            ))
            .load(conn)?;
        for (webhook, event, lane, subject, detail, happened_at) in letters {
            let row = (
                webhook_events::webhook.eq(webhook),
                webhook_events::event.eq(event),
                webhook_events::lane.eq(lane),
                webhook_events::subject.eq(subject),
                webhook_events::detail.eq(detail),
                webhook_events::happened_at.eq(happened_at),
                webhook_events::queued_at.eq(Timestamp::now().as_millis()),
            );
            replayed += diesel::insert_into(webhook_events::table).values(row).execute(conn)?;
        }
        delete_letters(conn, some)?;
    }
    Ok(replayed)
}

/// Deletes dead letters. Returns their number.
pub(super) fn delete_letters(conn: &mut AnyConnection, numbers: &[i64]) -> QueryResult<usize> {
    let mut rows = 0;
    for some in numbers.chunks(ROWS_AT_ONCE) {
        rows += diesel::delete(webhook_dead_letters::table.filter(webhook_dead_letters::number.eq_any(some))).execute(conn)?;
    }
    Ok(rows)
}

/// Deletes dead letters that died before a time, and the oldest beyond a million. Returns their number.
pub(super) fn forget_letters(conn: &mut AnyConnection, before: Timestamp) -> QueryResult<usize> {
    let old = webhook_dead_letters::table.filter(webhook_dead_letters::died_at.lt(before.as_millis()));
    let rows = diesel::delete(old).execute(conn)?;
    let surplus: Option<i64> = webhook_dead_letters::table
        .order(webhook_dead_letters::number.desc())
        .offset(DEAD_LETTERS_MAX)
        .select(webhook_dead_letters::number)
        .first(conn)
        .optional()?;
    let Some(last) = surplus else { return Ok(rows) };
    let surplus = webhook_dead_letters::table.filter(webhook_dead_letters::number.le(last));
    Ok(rows + diesel::delete(surplus).execute(conn)?)
}
