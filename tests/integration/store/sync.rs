//! Changes in direct conversations.
use std::sync::Arc;

use diesel::RunQueryDsl as _;
use parlance::model::{ConversationKind, Message, MessageId, Place, Timestamp};
use parlance::store::{self, DirectChanges, Write};

use super::fixture::{Fixture, at, conversation_of, user};

on_both_databases!(
    changes_come_oldest_first,
    nothing_has_no_changes,
    the_chat_with_the_model_is_the_one_of_its_name,
    activity_is_that_of_direct_messages,
);

async fn changes(fixture: &Fixture, since: Option<Timestamp>, limit: i64) -> DirectChanges {
    fixture.ask(move |conn| store::list_direct_changes(conn, &user("bob"), &user("ann"), since, limit)).await
}

fn contents(changes: &DirectChanges) -> Vec<&str> {
    changes.messages.iter().map(|message| message.content.as_str()).collect()
}

fn edit(message: &Message, content: &str, millis: i64) -> Write {
    Write::EditMessage { message: message.id, content: content.to_owned(), updated_at: at(millis), position: None }
}

fn delete(message: MessageId, millis: i64) -> Write {
    Write::DeleteMessage { message, deleted_at: at(millis), position: None }
}

async fn changes_come_oldest_first(fixture: Fixture) {
    let direct = fixture.direct(&["ann", "bob"]).await;
    let other = fixture.direct(&["ann", "cid"]).await;
    assert_eq!(changes(&fixture, None, 9).await, DirectChanges::default());
    let mut messages = Vec::new();
    for content in ["1", "2", "3", "4"] {
        messages.push(fixture.say("ann", &direct, content).await);
    }
    fixture.say("cid", &other, "another conversation").await;
    let all = changes(&fixture, None, 9).await;
    assert_eq!((contents(&all), all.up_to), (vec!["1", "2", "3", "4"], messages[3].created_at));
    let later = changes(&fixture, Some(messages[1].created_at), 9).await;
    assert_eq!(contents(&later), ["3", "4"]);

    let conversation = conversation_of(&direct);
    fixture.done(Write::MarkRead { message: messages[0].id, conversation, reader: user("bob"), read_at: at(50) }).await;
    fixture.done(edit(&messages[1], "2b", 60)).await;
    fixture.done(delete(messages[2].id, 70)).await;
    let all = changes(&fixture, None, 9).await;
    assert_eq!((contents(&all), all.up_to), (vec!["4", "1", "2b"], at(70)));
    assert_eq!((all.messages[1].read_by.len(), all.messages[1].updated_at), (1, at(50)));
    let cut = changes(&fixture, None, 2).await;
    assert_eq!((contents(&cut), cut.up_to), (vec!["4", "1"], at(50)), "the last row's");
    let rest = changes(&fixture, Some(cut.up_to), 2).await;
    assert_eq!((contents(&rest), rest.up_to), (vec!["2b"], at(70)));
    assert_eq!((&rest.deleted[..], &all.deleted[..]), (&[(messages[2].id, at(70))][..], &[][..]), "who has nothing needs none");
    let one = changes(&fixture, Some(cut.up_to), 1).await;
    assert_eq!((contents(&one), one.up_to, one.deleted.len()), (vec!["2b"], at(60), 0), "deletions count");
    let none = changes(&fixture, Some(rest.up_to), 2).await;
    assert_eq!((contents(&none), none.deleted.len(), none.up_to), (vec![], 0, at(70)));
    let ahead = changes(&fixture, Some(at(9_999)), 2).await;
    assert_eq!((contents(&ahead), ahead.up_to), (vec![], at(70)), "who is ahead of us comes back");
    assert_eq!(fixture.ask(move |conn| store::last_change(conn, conversation)).await, Some(at(70)));
}

async fn nothing_has_no_changes(fixture: Fixture) {
    fixture.direct(&["ann", "bob"]).await;
    let none = DirectChanges { messages: Vec::new(), deleted: Vec::new(), up_to: Timestamp::default() };
    assert_eq!(changes(&fixture, None, 9).await, none);
    assert_eq!(changes(&fixture, Some(at(0)), 9).await, none);
    let nobody = fixture.ask(|conn| store::list_direct_changes(conn, &user("bob"), &user("nobody"), None, 9)).await;
    assert_eq!(nobody, none);
}

async fn the_chat_with_the_model_is_the_one_of_its_name(fixture: Fixture) {
    // Named by their owner like the model, like a user, and otherwise.
    for name in ["model", "cid", "plans"] {
        let chat = fixture.new_conversation(ConversationKind::Ai, &["bob", "model"]);
        let id = chat.id;
        fixture.done(Write::CreateConversation { conversation: Arc::new(chat), joined_position: 0 }).await;
        let insert =
            format!("INSERT INTO conversation_names (owner, name, conversation, named_at) VALUES ('bob', '{name}', '{id}', 1)");
        fixture.store.ask_writer(move |conn| diesel::sql_query(insert).execute(conn)).await.unwrap();
        fixture.say("bob", &Place::Conversation(id), name).await;
    }
    let changes = async |one: &'static str, other: &'static str| {
        fixture.ask(move |conn| store::list_direct_changes(conn, &user(one), &user(other), None, 9)).await
    };
    assert_eq!(contents(&changes("bob", "model").await), ["model"]);
    assert_eq!(contents(&changes("bob", "cid").await), [""; 0]);
    assert_eq!(contents(&changes("ann", "model").await), [""; 0]);
}

async fn activity_is_that_of_direct_messages(fixture: Fixture) {
    let direct = fixture.direct(&["ann", "bob"]).await;
    let group = fixture.group(&["ann", "bob"]).await;
    let activity = async || fixture.ask(|conn| store::last_activity(conn, &user("bob"))).await;
    fixture.say("ann", &group, "in the group").await;
    assert_eq!(activity().await, None);
    let first = fixture.say("ann", &direct, "1").await;
    let second = fixture.say("ann", &direct, "2").await;
    fixture.say("ann", &group, "in the group").await;
    assert_eq!(activity().await, Some(second.created_at));
    fixture.done(edit(&first, "1b", 60)).await;
    assert_eq!(activity().await, Some(at(60)));
    fixture.done(delete(second.id, 70)).await;
    assert_eq!(activity().await, Some(at(70)));
    assert_eq!(fixture.ask(|conn| store::last_activity(conn, &user("cid"))).await, None);
}
