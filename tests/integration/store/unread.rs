//! Unread messages: the figure that is kept beside the one that is counted.
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use parlance::model::{Message, Place};
use parlance::store::{self, AnyConnection, OverviewLimits, Write};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::fixture::{Fixture, at, conversation_of, outcome, saying, user};

on_both_databases!(
    histories_leave_the_figure_that_is_counted,
    what_was_never_counted_is_counted_until_somebody_reads,
    a_migration_counts_what_was_there,
);

const MEMBERS: [&str; 3] = ["ann", "bob", "cid"];
/// Name of the migration that counts.
const MIGRATION: &str = "unread_counts";

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

fn number(conn: &mut AnyConnection, question: &str, place: &Place, name: &str) -> QueryResult<i64> {
    let question = diesel::sql_query(question).bind::<Text, _>(conversation_of(place).to_string()).bind::<Text, _>(name);
    question.get_result::<Number>(conn).map(|row| row.number)
}

/// Counts the messages themselves.
fn counted(conn: &mut AnyConnection, place: &Place, name: &str) -> QueryResult<i64> {
    let question = "SELECT count(*) AS number FROM messages JOIN participants ON participants.conversation = messages.place \
                    WHERE messages.place = $1 AND participants.user_id = $2 AND messages.seq > participants.read_seq \
                    AND messages.sender <> participants.user_id AND messages.deleted_at IS NULL";
    number(conn, question, place, name)
}

/// Returns 1 if the figure is kept, 0 if it would be counted.
fn is_kept(conn: &mut AnyConnection, place: &Place, name: &str) -> QueryResult<i64> {
    let question = "SELECT count(not_unread) AS number FROM participants WHERE conversation = $1 AND user_id = $2";
    number(conn, question, place, name)
}

/// Asserts that all ways to the figure agree, for each member; `kept`: 1 if it must be kept.
async fn check(fixture: &Fixture, place: &Place, kept: i64, story: &[String]) {
    for name in MEMBERS {
        let (id, of) = (conversation_of(place), place.clone());
        let (expected, is_kept) = fixture.ask(move |conn| Ok((counted(conn, &of, name)?, is_kept(conn, &of, name)?))).await;
        assert_eq!(is_kept, kept, "{name} after {story:?}");
        let found = fixture.ask(move |conn| store::count_unread(conn, &user(name), id)).await;
        assert_eq!(found, expected, "{name} after {story:?}");
        let limits = OverviewLimits { conversations: 9, members_of_each: 9, members: 99 };
        let listed = fixture.ask(move |conn| store::list_conversations(conn, &user(name), None, 9)).await;
        let shown = fixture.ask(move |conn| store::list_overviews(conn, &user(name), limits)).await;
        // Only of a conversation of which one is a member at present.
        assert!(listed.iter().all(|(of, unread)| of.id != id || *unread == expected), "{name} after {story:?}");
        assert!(shown.iter().all(|of| of.conversation.id != id || of.unread == expected), "{name} after {story:?}");
    }
}

/// Does something at random to a conversation; returns what.
async fn happen(fixture: &Fixture, place: &Place, said: &mut Vec<Message>, chance: &mut StdRng) -> String {
    let id = conversation_of(place);
    let name = *MEMBERS.choose(chance).unwrap();
    let now = at(fixture.position() + 1_000);
    let known = said.choose(chance).cloned();
    match (chance.random_range(0..12), known) {
        (0..4, _) | (_, None) => {
            let new: Vec<Message> = (0..chance.random_range(1..4)).map(|_| fixture.message(name, place, "hello")).collect();
            // In one batch, with a repetition.
            let waiting: Vec<_> = new.iter().chain(new.first()).map(|message| fixture.begin(saying(message))).collect();
            for answer in waiting {
                outcome(answer).await.unwrap();
            }
            let story = format!("{name} says {}", new.len());
            said.extend(new);
            story
        }
        (4..7, Some(message)) => {
            let read = Write::MarkRead { message: message.id, conversation: id, reader: user(name), read_at: now };
            fixture.write(read).await.unwrap();
            format!("{name} reads {}", message.position)
        }
        (7..9, Some(message)) => {
            for deleted_at in [now, at(fixture.position() + 1_001)] {
                fixture.done(Write::DeleteMessage { message: message.id, deleted_at, position: None }).await;
            }
            format!("{} is deleted", message.position)
        }
        (9, Some(message)) => {
            fixture.done(Write::PruneMessages { place: id.to_string(), before: message.created_at, limit: 3 }).await;
            format!("three before {} are pruned", message.position)
        }
        (10, _) => {
            fixture.done(Write::RemoveParticipant { conversation: id, user: user(name), left_at: now }).await;
            format!("{name} leaves")
        }
        _ => {
            let (users, joined_position) = (vec![user(name)], fixture.position());
            fixture.done(Write::AddParticipants { conversation: id, users, joined_at: now, joined_position }).await;
            format!("{name} is there")
        }
    }
}

async fn histories_leave_the_figure_that_is_counted(fixture: Fixture) {
    for seed in 0..4 {
        let group = fixture.group(&MEMBERS).await;
        let (mut chance, mut said, mut story) = (StdRng::seed_from_u64(seed), Vec::new(), vec![format!("seed {seed}")]);
        for _ in 0..60 {
            story.push(happen(&fixture, &group, &mut said, &mut chance).await);
            check(&fixture, &group, 1, &story).await;
        }
        fixture.done(Write::DeleteConversation { conversation: conversation_of(&group) }).await;
    }
}

async fn what_was_never_counted_is_counted_until_somebody_reads(fixture: Fixture) {
    let group = fixture.group(&MEMBERS).await;
    let mut said = Vec::new();
    for (index, sender) in ["ann", "bob", "cid", "bob", "ann", "bob"].into_iter().enumerate() {
        said.push(fixture.say(sender, &group, &index.to_string()).await);
    }
    let forget = |conn: &mut AnyConnection| diesel::sql_query("UPDATE participants SET not_unread = NULL").execute(conn);
    fixture.store.ask_writer(forget).await.unwrap();
    check(&fixture, &group, 0, &[]).await;
    let deletion = Write::DeleteMessage { message: said[4].id, deleted_at: at(500), position: None };
    fixture.done(deletion).await;
    fixture.say("cid", &group, "more").await;
    check(&fixture, &group, 0, &[]).await;
    let id = conversation_of(&group);
    for name in MEMBERS {
        let read = Write::MarkRead { message: said[1].id, conversation: id, reader: user(name), read_at: at(600) };
        fixture.done(read).await;
    }
    check(&fixture, &group, 1, &[]).await;
}

async fn a_migration_counts_what_was_there(fixture: Fixture) {
    let (group, silent) = (fixture.group(&MEMBERS).await, fixture.group(&MEMBERS).await);
    let (mut chance, mut said) = (StdRng::seed_from_u64(7), Vec::new());
    let mut story = Vec::new();
    for _ in 0..60 {
        story.push(happen(&fixture, &group, &mut said, &mut chance).await);
    }
    let again = |conn: &mut AnyConnection| {
        let is_applied = |conn: &mut AnyConnection| {
            store::list_migrations(conn).unwrap().iter().any(|step| step.name.ends_with(MIGRATION) && step.is_applied)
        };
        while is_applied(conn) {
            store::revert_last_migration(conn).unwrap();
        }
        store::run_migrations(conn).unwrap();
        Ok(())
    };
    fixture.store.ask_writer(again).await.unwrap();
    check(&fixture, &group, 1, &story).await;
    check(&fixture, &silent, 1, &[]).await;
}
