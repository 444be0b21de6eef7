//! References to files, and files that are removed.
use diesel::prelude::*;
use diesel::sql_types::Text;
use parlance::model::{File, Message, Place};
use parlance::store::{self, AnyConnection, DatabaseUrl, Write, Written};

use super::fixture::{Fixture, at, conversation_of, saying, seq, user};

on_both_databases!(
    a_file_goes_with_the_last_message_that_names_it,
    a_file_goes_with_the_last_picture_that_names_it,
    a_file_goes_with_its_conversation_its_account_and_its_age,
    a_message_that_is_stored_before_keeps_its_file,
    a_file_whose_upload_is_gone_is_removed_at_last,
    uploads_that_nothing_ever_named_stay_until_they_are_old,
    what_was_there_before_the_names_were_noted_has_its_names,
    an_import_brings_the_names,
);

fn url(letter: &str) -> String {
    format!("/uploads/{}.png", letter.repeat(32))
}

fn file(letter: &str) -> File {
    let (filename, mimetype, message_type) = ("a.png".to_owned(), "image/png".to_owned(), "image".to_owned());
    File { url: url(letter), filename, size: 3, mimetype, message_type }
}

async fn upload(fixture: &Fixture, letters: &[&str]) {
    for letter in letters {
        fixture.done(Write::Upload { file: file(letter), owner: user("ann"), uploaded_at: at(0) }).await;
    }
}

async fn say(fixture: &Fixture, place: &Place, content: &str, first: Option<&str>, more: &[&str]) -> Message {
    let mut message = fixture.message("ann", place, content);
    message.file = first.map(file);
    message.attachments = more.iter().map(|letter| file(letter)).collect();
    message.seq = seq(fixture.done(saying(&message)).await);
    message
}

/// Removes everything that may be removed. Returns the files.
async fn dropped(fixture: &Fixture) -> Vec<String> {
    let urls = fixture.ask(|conn| store::list_unnamed_files(conn, 100)).await;
    let Written::Unnamed { urls } = fixture.done(Write::DropFiles { urls }).await else { panic!("another answer") };
    fixture.done(Write::FilesRemoved { urls: urls.clone() }).await;
    assert!(fixture.ask(|conn| store::list_unnamed_files(conn, 100)).await.is_empty());
    let asked = urls.clone();
    assert!(fixture.ask(move |conn| store::find_uploads(conn, &asked)).await.is_empty());
    urls
}

async fn is_there(fixture: &Fixture, letter: &str) -> bool {
    let asked = vec![url(letter)];
    !fixture.ask(move |conn| store::find_uploads(conn, &asked)).await.is_empty()
}

async fn delete(fixture: &Fixture, message: &Message) {
    fixture.done(Write::DeleteMessage { message: message.id, deleted_at: at(100), position: None }).await;
}

async fn a_file_goes_with_the_last_message_that_names_it(fixture: Fixture) {
    upload(&fixture, &["a", "b", "c"]).await;
    let group = fixture.group(&["ann", "bob"]).await;
    let one = say(&fixture, &group, "", Some("a"), &["b"]).await;
    let two = say(&fixture, &Place::CommonChat, "", None, &["a"]).await;
    let text = format!("look: http://example.org{}, nice", url("b"));
    let three = say(&fixture, &group, &text, None, &[]).await;
    let four = say(&fixture, &group, "c", Some("c"), &[]).await;
    delete(&fixture, &one).await;
    assert_eq!(dropped(&fixture).await, Vec::<String>::new(), "others name them");
    delete(&fixture, &two).await;
    assert_eq!(dropped(&fixture).await, [url("a")]);
    assert!(!is_there(&fixture, "a").await && is_there(&fixture, "b").await);
    // An edit removes the reference from the text; the file of an edited message stays its own.
    fixture.done(Write::EditMessage { message: three.id, content: "look".to_owned(), updated_at: at(101), position: None }).await;
    fixture.done(Write::EditMessage { message: four.id, content: "see".to_owned(), updated_at: at(102), position: None }).await;
    assert_eq!(dropped(&fixture).await, [url("b")]);
    let content = format!("{}.", url("c"));
    fixture.done(Write::EditMessage { message: three.id, content, updated_at: at(103), position: None }).await;
    delete(&fixture, &four).await;
    assert_eq!(dropped(&fixture).await, Vec::<String>::new());
    delete(&fixture, &three).await;
    assert_eq!(dropped(&fixture).await, [url("c")]);
}

async fn a_file_goes_with_the_last_picture_that_names_it(fixture: Fixture) {
    upload(&fixture, &["a", "b"]).await;
    let picture = |avatar: Option<String>| Write::UpdateProfile { user: user("ann"), full_name: None, avatar: Some(avatar) };
    let group = fixture.group(&["ann", "bob"]).await;
    let of_group = |avatar: Option<String>| Write::UpdateConversation {
        conversation: conversation_of(&group),
        name: Some("Team".to_owned()),
        avatar,
        admin: Some(user("ann")),
        updated_at: at(9),
    };
    fixture.done(picture(Some(url("a")))).await;
    fixture.done(of_group(Some(format!("https://example.org{}", url("a"))))).await;
    let message = say(&fixture, &group, "", Some("a"), &[]).await;
    fixture.done(picture(Some(url("a")))).await;
    fixture.done(picture(Some(url("b")))).await;
    assert_eq!(dropped(&fixture).await, Vec::<String>::new());
    delete(&fixture, &message).await;
    assert_eq!(dropped(&fixture).await, Vec::<String>::new());
    fixture.done(of_group(None)).await;
    assert_eq!(dropped(&fixture).await, [url("a")]);
    fixture.done(picture(None)).await;
    assert_eq!(dropped(&fixture).await, [url("b")]);
}

async fn a_file_goes_with_its_conversation_its_account_and_its_age(fixture: Fixture) {
    upload(&fixture, &["a", "b", "c", "d", "e"]).await;
    let mut new = fixture.new_conversation(parlance::model::ConversationKind::Group, &["ann", "bob"]);
    new.avatar = Some(url("a"));
    let (group, kept) = (Place::Conversation(new.id), fixture.group(&["bob", "ann"]).await);
    fixture.done(Write::CreateConversation { conversation: std::sync::Arc::new(new), joined_position: 0 }).await;
    say(&fixture, &group, "", Some("b"), &["c"]).await;
    let other = say(&fixture, &kept, "", Some("c"), &[]).await;
    fixture.done(Write::DeleteConversation { conversation: conversation_of(&group) }).await;
    assert_eq!(dropped(&fixture).await, [url("a")], "its messages have theirs still");
    while store::prune_deleted(&fixture.store).await.unwrap() {}
    assert_eq!(dropped(&fixture).await, [url("b")]);
    // Messages that expire.
    let newer = say(&fixture, &kept, "", Some("d"), &[]).await;
    let place = conversation_of(&kept).to_string();
    fixture.done(Write::PruneMessages { place, before: newer.created_at, limit: 200 }).await;
    assert_eq!(dropped(&fixture).await, [url("c")]);
    assert!(fixture.find(other.id).await.is_none());
    // An account: files sent to others stay, files sent to nobody are removed.
    fixture.done(Write::UpdateProfile { user: user("ann"), full_name: None, avatar: Some(Some(url("e"))) }).await;
    upload(&fixture, &["f"]).await;
    fixture.done(Write::DeleteUser { user: user("ann"), deleted_at: at(200), keeps_name: false }).await;
    assert_eq!(dropped(&fixture).await, [url("e"), url("f")]);
    assert!(is_there(&fixture, "d").await);
}

async fn a_message_that_is_stored_before_keeps_its_file(fixture: Fixture) {
    upload(&fixture, &["a"]).await;
    let group = fixture.group(&["ann", "bob"]).await;
    let first = say(&fixture, &group, "", Some("a"), &[]).await;
    let mut second = fixture.message("ann", &group, "again");
    second.file = Some(file("a"));
    delete(&fixture, &first).await;
    // The writes in front put the message and the check into one batch: a reference is added before the check.
    let mut outcomes: Vec<_> = (0..50).map(|_| fixture.begin(saying(&fixture.message("ann", &group, "in front")))).collect();
    outcomes.push(fixture.begin(saying(&second)));
    let looked = fixture.begin(Write::DropFiles { urls: vec![url("a")] });
    for answer in outcomes {
        super::fixture::outcome(answer).await.unwrap();
    }
    assert_eq!(super::fixture::outcome(looked).await, Ok(Written::Unnamed { urls: Vec::new() }));
    assert!(is_there(&fixture, "a").await);
    assert_eq!(dropped(&fixture).await, Vec::<String>::new());
    delete(&fixture, &second).await;
    assert_eq!(dropped(&fixture).await, [url("a")]);
}

async fn a_file_whose_upload_is_gone_is_removed_at_last(fixture: Fixture) {
    upload(&fixture, &["a"]).await;
    let message = say(&fixture, &Place::CommonChat, "", Some("a"), &[]).await;
    delete(&fixture, &message).await;
    let first = fixture.done(Write::DropFiles { urls: vec![url("a"), url("b")] }).await;
    assert_eq!(first, Written::Unnamed { urls: vec![url("a")] }, "of what nobody has to look at nothing goes");
    // The server dies before the file is removed from disk, and meanwhile somebody writes its address.
    let again = store::Store::open(fixture.options.clone()).await.unwrap();
    say(&fixture, &Place::CommonChat, &url("a"), None, &[]).await;
    assert_eq!(again.read(|conn| store::list_unnamed_files(conn, 100)).await.unwrap(), [url("a")]);
    assert_eq!(dropped(&fixture).await, [url("a")]);
}

async fn uploads_that_nothing_ever_named_stay_until_they_are_old(fixture: Fixture) {
    upload(&fixture, &["a", "b"]).await;
    say(&fixture, &Place::CommonChat, "", Some("b"), &[]).await;
    assert_eq!(dropped(&fixture).await, Vec::<String>::new());
    assert_eq!(store::release_orphans(&fixture.store, at(0)).await, Ok(0));
    assert_eq!(store::release_orphans(&fixture.store, at(1)).await, Ok(1));
    assert_eq!(dropped(&fixture).await, [url("a")]);
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

fn names(conn: &mut AnyConnection) -> QueryResult<Vec<String>> {
    let all = diesel::sql_query("SELECT namer || ' ' || url AS name FROM file_names");
    let mut names: Vec<String> = all.load::<Name>(conn)?.into_iter().map(|row| row.name).collect();
    names.sort();
    Ok(names)
}

/// Makes references of every kind.
async fn populate(fixture: &Fixture) -> Vec<String> {
    upload(fixture, &["a", "b", "c", "d"]).await;
    let group = fixture.group(&["ann", "bob"]).await;
    let text = format!("{} and http://example.org{}. And {}?", url("a"), url("b"), url("e"));
    let written = say(fixture, &group, &text, None, &[]).await;
    let sent = say(fixture, &group, "x", Some("c"), &["d", "a"]).await;
    let deleted = say(fixture, &group, "", Some("b"), &[]).await;
    delete(fixture, &deleted).await;
    fixture.done(Write::UpdateProfile { user: user("ann"), full_name: None, avatar: Some(Some(url("d"))) }).await;
    let of_group = Write::UpdateConversation {
        conversation: conversation_of(&group),
        name: None,
        avatar: Some(format!("https://example.org{}", url("b"))),
        admin: Some(user("ann")),
        updated_at: at(9),
    };
    fixture.done(of_group).await;
    let expected = [
        (written.id.to_string(), "a"),
        (written.id.to_string(), "b"),
        (sent.id.to_string(), "a"),
        (sent.id.to_string(), "c"),
        (sent.id.to_string(), "d"),
        ("user:ann".to_owned(), "d"),
        (format!("conversation:{}", conversation_of(&group)), "b"),
    ];
    let mut expected: Vec<String> = expected.iter().map(|(namer, letter)| format!("{namer} {}", url(letter))).collect();
    expected.sort();
    expected
}

/// Keeps only references to uploads; others may be present or not.
fn of_uploads(names: Vec<String>) -> Vec<String> {
    names.into_iter().filter(|name| !name.ends_with(&url("e"))).collect()
}

async fn what_was_there_before_the_names_were_noted_has_its_names(fixture: Fixture) {
    let expected = populate(&fixture).await;
    assert_eq!(of_uploads(fixture.ask(names).await), expected);
    let again = fixture.store.ask_writer(|conn| {
        while names(conn).is_ok() {
            store::revert_last_migration(conn).unwrap();
        }
        store::run_migrations(conn).unwrap();
        names(conn)
    });
    assert_eq!(again.await.unwrap(), expected);
}

async fn an_import_brings_the_names(fixture: Fixture) {
    let expected = populate(&fixture).await;
    let mut file = Vec::new();
    store::export(&fixture.options.url, &mut file, &mut |_| {}).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let target = DatabaseUrl::Sqlite(folder.path().join("imported.db"));
    store::import(&target, file.as_slice(), false, &mut |_| {}).unwrap();
    let mut conn = store::connect_beside(&target).unwrap();
    assert_eq!(of_uploads(names(&mut conn).unwrap()), expected);
}
