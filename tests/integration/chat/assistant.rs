//! Questions for the model: which prompts are sent, when, and that each answer exists once.
use std::sync::Arc;
use std::time::Duration;

use parlance::chat::{
    Administer, Capabilities, CatchUpDrained, ChatError, Command, ConversationReply, Draft, Drain, Event, FinishAnswers,
    ModelError, ModelWord, Notice, Options, Prompt, Reply, SendTo, Sent,
};
use parlance::model::{Conversation, ConversationId, ConversationKind, Message, MessageStatus, Place, Role};
use parlance::store::{self, HistoryRange};

use super::broker::{Broker, Socket, message_of, text, user};
use crate::support::database::TestStore;

/// Makes a question in the chat that its user calls `chat`.
fn question(chat: &str, content: &str) -> Command {
    ask(chat, text(content))
}

fn retry(chat: &str, content: &str, id: &str) -> Command {
    ask(chat, Draft { client_message_id: Some(id.to_owned()), ..text(content) })
}

fn ask(chat: &str, draft: Draft) -> Command {
    Command::Send {
        to: SendTo::Model { chat: chat.to_owned(), shown_as: format!("{{\"id\":{chat:?}}}").into(), stream: false },
        draft,
    }
}

fn streamed(command: Command) -> Command {
    let Command::Send { to: SendTo::Model { chat, shown_as, .. }, draft } = command else { panic!("{command:?}") };
    Command::Send { to: SendTo::Model { chat, shown_as, stream: true }, draft }
}

fn sent(reply: Result<Reply, ChatError>) -> Arc<Message> {
    match reply {
        Ok(Reply::Sent(Sent { message, .. })) => message,
        other => panic!("not sent: {other:?}"),
    }
}

fn conversation_of(message: &Message) -> ConversationId {
    match message.place {
        Place::Conversation(id) => id,
        _ => panic!("{message:?}"),
    }
}

fn answer(text: &str) -> ModelWord {
    ModelWord::Answer { text: text.to_owned(), is_truncated: false }
}

fn turns(prompt: &Prompt) -> Vec<String> {
    prompt.turns.iter().map(|turn| format!("{}: {}", turn.role.as_str(), turn.text)).collect()
}

async fn stored(broker: &Broker, place: &Place) -> Vec<String> {
    let place = place.clone();
    let read = broker.store.read_after_writes(move |conn| store::list_history(conn, &place, HistoryRange::Newest, 200));
    read.await.unwrap().into_iter().map(|message| format!("{}: {}", message.role.as_str(), message.content)).collect()
}

fn failure(event: &Event) -> Option<(String, &'static str)> {
    match event {
        Event::AnswerFailed { chat, error, .. } => Some((chat.to_string(), error.code())),
        _ => None,
    }
}

fn apology(event: &Event) -> Option<(String, String, &'static str)> {
    match event {
        Event::Apology { chat, text, code } => Some((chat.to_string(), text.to_string(), *code)),
        _ => None,
    }
}

fn piece(event: &Event) -> Option<(String, bool)> {
    match event {
        Event::AnswerPiece { delta, done, .. } => Some((delta.clone(), *done)),
        _ => None,
    }
}

/// Returns the messages that a socket has received by now.
async fn messages(broker: &mut Broker, socket: Socket) -> Vec<String> {
    broker.events(socket).await.iter().filter_map(message_of).map(|message| message.content.clone()).collect()
}

#[actix::test]
async fn a_question_is_acked_when_stored_and_its_answer_goes_to_all_devices() {
    let mut broker = Broker::new().await;
    let (phone, laptop) = (broker.connect("ann").await, broker.connect("ann").await);
    let ticket = broker.begin(phone, question("c", "Why?")).await;
    let made = broker.event(phone, |event| if let Event::ConversationChanged(made) = event { Some(made.clone()) } else { None });
    let Conversation { id, kind, name, admin, participants, .. } = Arc::unwrap_or_clone(made.await);
    assert_eq!((kind, name.as_deref(), admin), (ConversationKind::Ai, Some("c"), None));
    assert_eq!(participants, [user("ann"), user("model")]);
    let asked = sent(broker.reply(phone, ticket).await);
    assert_eq!((conversation_of(&asked), asked.seq, asked.role, asked.status), (id, 1, Role::User, MessageStatus::Sent));
    assert_eq!(broker.message(laptop).await.id, asked.id);
    let prompt = broker.prompt().await;
    assert_eq!((turns(&prompt), prompt.stream), (vec!["user: Why?".to_owned()], false));
    broker.say(&prompt, answer("Because.")).await;
    for device in [phone, laptop] {
        let (got, kind, recipient) = broker
            .event(device, |event| match event {
                Event::Message { message, kind, recipient } => Some((message.clone(), *kind, recipient.clone())),
                _ => None,
            })
            .await;
        assert_eq!((got.content.as_str(), got.role, got.sender.id.as_str()), ("Because.", Role::Model, "model"));
        assert_eq!((got.chat.as_deref(), got.status, got.seq), (Some(r#"{"id":"c"}"#), MessageStatus::Delivered, 0));
        assert_eq!((kind, recipient.unwrap().id.clone()), (ConversationKind::Ai, user("ann")));
    }
    assert_eq!(stored(&broker, &asked.place).await, ["user: Why?", "model: Because."]);
}

#[actix::test]
async fn an_answer_that_was_cut_is_known_as_such_when_it_is_shown_and_when_it_is_read_again() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    for (chat, is_truncated) in [("cut", true), ("whole", false)] {
        let place = sent(broker.ask(ann, retry(chat, "Why?", chat)).await).place.clone();
        let prompt = broker.prompt().await;
        broker.say(&prompt, ModelWord::Answer { text: "Because".to_owned(), is_truncated }).await;
        assert_eq!(broker.message(ann).await.is_truncated, is_truncated);
        let read = move |conn: &mut store::AnyConnection| store::list_history(conn, &place, HistoryRange::Newest, 2);
        let history = broker.store.read_after_writes(read).await.unwrap();
        assert_eq!(history.iter().map(|message| message.is_truncated).collect::<Vec<_>>(), [false, is_truncated]);
        sent(broker.ask(ann, retry(chat, "Why?", chat)).await);
        assert_eq!(broker.message(ann).await.is_truncated, is_truncated, "brought again");
    }
}

#[actix::test]
async fn an_answer_is_shown_once_it_is_stored() {
    let database = TestStore::sqlite_with(|options| options.retry_for = Duration::from_millis(300)).await;
    let mut broker = Broker::on(database, Options::default()).await;
    let ann = broker.connect("ann").await;
    let place = sent(broker.ask(ann, retry("c", "Why?", "q1")).await).place.clone();
    let prompt = broker.prompt().await;
    let outage = broker.database.hold_writes().await;
    broker.say(&prompt, answer("Lost.")).await;
    assert!(broker.events_so_far(ann).await.iter().all(|event| message_of(event).is_none()));
    assert_eq!(broker.event(ann, failure).await.1, "STORAGE_UNAVAILABLE");
    drop(outage);
    broker.database.until_available().await;
    assert_eq!(stored(&broker, &place).await, ["user: Why?"]);
    sent(broker.ask(ann, retry("c", "Why?", "q1")).await);
    let prompt = broker.prompt().await;
    broker.say(&prompt, answer("Kept.")).await;
    assert_eq!(broker.message(ann).await.content, "Kept.");
    assert_eq!(stored(&broker, &place).await, ["user: Why?", "model: Kept."]);
}

#[actix::test]
async fn the_model_is_told_the_last_twenty_messages_oldest_first() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    for number in 0..12 {
        sent(broker.ask(ann, question("c", &format!("q{number}"))).await);
        let prompt = broker.prompt().await;
        let mut expected: Vec<String> = (0..number).flat_map(|old| [format!("user: q{old}"), format!("model: a{old}")]).collect();
        expected.push(format!("user: q{number}"));
        assert_eq!(turns(&prompt), expected.split_off(expected.len().saturating_sub(20)));
        broker.say(&prompt, answer(&format!("a{number}"))).await;
        broker.message(ann).await;
    }
}

#[actix::test]
async fn an_old_question_that_is_asked_again_comes_last_and_what_waits_does_not_come() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    sent(broker.ask(ann, retry("c", "old", "q1")).await);
    let prompt = broker.prompt().await;
    broker.say(&prompt, ModelWord::Failed(ModelError::Failed)).await;
    sent(broker.ask(ann, question("c", "new")).await);
    let prompt = broker.prompt().await;
    assert_eq!(turns(&prompt), ["user: new"], "a question without an answer is no context");
    broker.say(&prompt, answer("to new")).await;
    broker.message(ann).await;
    sent(broker.ask(ann, question("c", "failing")).await);
    let prompt = broker.prompt().await;
    sent(broker.ask(ann, retry("c", "old", "q1")).await);
    sent(broker.ask(ann, question("c", "newest")).await);
    broker.say(&prompt, ModelWord::Failed(ModelError::Failed)).await;
    assert_eq!(turns(&broker.prompt().await), ["user: new", "model: to new", "user: old"]);
}

#[actix::test]
async fn a_chat_is_answered_one_question_at_a_time_and_ten_wait() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let mut place = None;
    for number in 0..12 {
        place = Some(sent(broker.ask(ann, question("c", &format!("q{number}"))).await).place.clone());
    }
    assert_eq!(broker.event(ann, failure).await, (r#"{"id":"c"}"#.to_owned(), "MODEL_BUSY"));
    let text = "Sorry, I cannot answer right now. Please try again.".to_owned();
    assert_eq!(broker.event(ann, apology).await, (r#"{"id":"c"}"#.to_owned(), text, "MODEL_BUSY"));
    for number in 0..11 {
        let prompt = broker.prompt().await;
        // The question comes last, after the answers to earlier ones; waiting questions come later.
        let said = turns(&prompt);
        assert_eq!(said.last().unwrap(), &format!("user: q{number}"));
        assert!(!said.contains(&format!("user: q{}", number + 1)) || number == 10, "{said:?}");
        assert!(!broker.is_prompted().await, "one at a time");
        broker.say(&prompt, answer(&format!("a{number}"))).await;
        assert_eq!(broker.message(ann).await.content, format!("a{number}"));
    }
    assert!(!broker.is_prompted().await);
    let all = stored(&broker, &place.unwrap()).await;
    assert_eq!((all.len(), all[11].as_str()), (23, "user: q11"), "the refused question is stored");
}

#[actix::test]
async fn so_many_chats_are_answered_at_once_as_may_be() {
    let mut broker = Broker::with(Options { ai_concurrency: 2, ..Options::default() }).await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    for (socket, chat) in [(ann, "a"), (ann, "b"), (bob, "a"), (bob, "b")] {
        sent(broker.ask(socket, question(chat, chat)).await);
    }
    let (one, two) = (broker.prompt().await, broker.prompt().await);
    assert!(!broker.is_prompted().await);
    broker.say(&two, answer("2")).await;
    assert_eq!(broker.message(ann).await.content, "2");
    let three = broker.prompt().await;
    broker.say(&one, ModelWord::Failed(ModelError::Timeout)).await;
    let four = broker.prompt().await;
    for (prompt, word) in [(three, "3"), (four, "4")] {
        broker.say(&prompt, answer(word)).await;
    }
    assert_eq!(broker.event(ann, failure).await.1, "MODEL_TIMEOUT");
    assert_eq!(messages(&mut broker, bob).await, ["3", "4"]);
}

#[actix::test]
async fn asking_again_asks_anew_until_there_is_an_answer_and_stores_nothing_twice() {
    let mut broker = Broker::new().await;
    let (ann, other) = (broker.connect("ann").await, broker.connect("ann").await);
    let first = sent(broker.ask(ann, retry("c", "Why?", "q1")).await);
    let prompt = broker.prompt().await;
    let again = sent(broker.ask(ann, retry("c", "Why?", "q1")).await);
    assert_eq!((again.id, again.seq), (first.id, first.seq));
    assert!(!broker.is_prompted().await, "it is being asked");
    broker.say(&prompt, ModelWord::Failed(ModelError::Failed)).await;
    for device in [ann, other] {
        assert_eq!(broker.event(device, failure).await, (r#"{"id":"c"}"#.to_owned(), "MODEL_FAILED"));
        assert_eq!(broker.event(device, apology).await.2, "MODEL_FAILED");
    }
    broker.say(&prompt, answer("too late")).await;
    assert!(!broker.is_prompted().await, "twice asked, it was one question");
    sent(broker.ask(ann, retry("c", "Why?", "q1")).await);
    let prompt = broker.prompt().await;
    broker.say(&prompt, answer("Because.")).await;
    assert_eq!(broker.message(ann).await.content, "Because.");
    messages(&mut broker, other).await;
    // Once answered, the user gets the stored answer.
    sent(
        broker
            .ask(
                ann,
                Command::Send {
                    to: SendTo::Model { chat: "c".to_owned(), shown_as: "1".into(), stream: false },
                    draft: Draft { client_message_id: Some("q1".to_owned()), ..text("Why?") },
                },
            )
            .await,
    );
    let shown = broker.message(ann).await;
    assert_eq!((shown.content.as_str(), shown.chat.as_deref()), ("Because.", Some("1")));
    assert_eq!(messages(&mut broker, other).await, Vec::<String>::new());
    assert!(!broker.is_prompted().await);
    assert_eq!(broker.ask(ann, retry("c", "What?", "q1")).await.unwrap_err().code(), "CONFLICT");
    assert_eq!(stored(&broker, &first.place).await, ["user: Why?", "model: Because."]);
}

#[actix::test]
async fn a_broker_that_knows_nothing_of_it_asks_a_stored_question_again() {
    let database = TestStore::sqlite().await;
    let mut broker = Broker::on(database, Options::default()).await;
    let ann = broker.connect("ann").await;
    let first = sent(broker.ask(ann, retry("c", "Why?", "q1")).await);
    broker.prompt().await;
    // As after a crash: the same database, another broker.
    let Broker { database, .. } = broker;
    let mut broker = Broker::on(database, Options::default()).await;
    let ann = broker.connect("ann").await;
    let again = sent(broker.ask(ann, retry("c", "Why?", "q1")).await);
    assert_eq!(again.id, first.id);
    let prompt = broker.prompt().await;
    assert_eq!(turns(&prompt), ["user: Why?"]);
    broker.say(&prompt, answer("Because.")).await;
    assert_eq!(broker.message(ann).await.content, "Because.");
    assert_eq!(stored(&broker, &first.place).await, ["user: Why?", "model: Because."]);
}

#[actix::test]
async fn a_name_is_its_owners_and_an_id_belongs_to_members() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let group = broker.group(&["ann", "cid"]).await;
    let own = conversation_of(&sent(broker.ask(ann, question("c", "1")).await));
    assert_eq!(conversation_of(&sent(broker.ask(ann, question("c", "2")).await)), own);
    assert_eq!(conversation_of(&sent(broker.ask(ann, question(&own.to_string(), "3")).await)), own, "by its id");
    assert_ne!(conversation_of(&sent(broker.ask(bob, question("c", "4")).await)), own);
    for (socket, chat) in [(bob, own), (bob, group), (ann, group)] {
        assert_eq!(broker.ask(socket, question(&chat.to_string(), "no")).await.unwrap_err().code(), "FORBIDDEN");
    }
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    let named = conversation_of(&sent(broker.ask(bob, question(unknown, "5")).await));
    assert_ne!(named.to_string(), unknown, "the id of none is a name");
    // Names of chats outlive the broker.
    let mut broker = Broker::on(broker.database, Options::default()).await;
    assert_eq!(conversation_of(&sent(broker.ask_as("ann", question("c", "6")).await)), own);
    assert_eq!(conversation_of(&sent(broker.ask_as("bob", question(unknown, "7")).await)), named);
}

#[actix::test]
async fn a_message_to_an_ai_conversation_is_a_question_however_it_is_sent() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let direct = || Command::Send { to: SendTo::User(user("model")), draft: text("1") };
    let chat = conversation_of(&sent(broker.ask(ann, direct()).await));
    let other = sent(broker.ask(ann, question("c", "2")).await);
    let by_id = Command::Send { to: SendTo::Conversation(conversation_of(&other)), draft: text("3") };
    sent(broker.ask_as("ann", by_id).await);
    let by_name = sent(broker.ask(ann, question("model", "4")).await);
    assert_eq!(conversation_of(&by_name), chat, "its name is model");
    for _ in 0..4 {
        let prompt = broker.prompt().await;
        let asked = prompt.turns.last().unwrap().text.clone();
        broker.say(&prompt, answer(&format!("to {asked}"))).await;
    }
    let answers: Vec<_> =
        broker.events(ann).await.iter().filter_map(message_of).filter(|message| message.role == Role::Model).collect();
    let mut shown: Vec<_> = answers.iter().map(|message| (message.content.as_str(), message.chat.as_deref().unwrap())).collect();
    shown.sort_unstable();
    let expected = [("to 1", r#""model""#), ("to 2", r#"{"id":"c"}"#), ("to 3", r#""c""#), ("to 4", r#"{"id":"model"}"#)];
    assert_eq!(shown, expected);
    match broker.ask_as("ann", Command::CreateDirect { participant: user("model") }).await {
        Ok(Reply::Conversation(ConversationReply { conversation, created: false })) => assert_eq!(conversation.id, chat),
        other => panic!("{other:?}"),
    }
    match broker.ask_as("bob", Command::CreateDirect { participant: user("model") }).await {
        Ok(Reply::Conversation(ConversationReply { conversation, created: true })) => {
            assert_eq!(conversation.kind, ConversationKind::Ai)
        }
        other => panic!("{other:?}"),
    }
    let group = Command::CreateGroup { name: "x".to_owned(), avatar: None, participants: vec![user("model")] };
    assert_eq!(broker.ask_as("ann", group).await.unwrap_err().code(), "FORBIDDEN");
}

#[actix::test]
async fn pieces_go_to_the_socket_that_asked_last() {
    let mut broker = Broker::new().await;
    let (ann, other) = (broker.connect("ann").await, broker.connect("ann").await);
    sent(broker.ask(ann, streamed(retry("c", "Why?", "q1"))).await);
    let prompt = broker.prompt().await;
    assert!(prompt.stream);
    broker.say(&prompt, ModelWord::Piece("Be".to_owned())).await;
    assert_eq!(broker.event(ann, piece).await, ("Be".to_owned(), false));
    sent(broker.ask(other, streamed(retry("c", "Why?", "q1"))).await);
    assert_eq!(broker.event(other, piece).await, ("Be".to_owned(), false), "what was said before");
    broker.say(&prompt, ModelWord::Piece("cause.".to_owned())).await;
    broker.say(&prompt, answer("Because.")).await;
    assert_eq!(broker.event(other, piece).await, ("cause.".to_owned(), false));
    assert_eq!(broker.event(other, piece).await, (String::new(), true));
    assert_eq!(broker.message(other).await.content, "Because.", "it closes the pieces");
    let heard = broker.events(ann).await;
    assert_eq!(heard.iter().filter_map(piece).count(), 0);
    assert_eq!(heard.iter().filter_map(message_of).count(), 1);
}

#[actix::test]
async fn an_answer_is_stored_also_when_its_requester_has_left_and_comes_at_the_next_connect() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let place = sent(broker.ask(ann, question("c", "Why?")).await).place.clone();
    sent(broker.ask_as("bob", Command::Send { to: SendTo::User(user("ann")), draft: text("for a person") }).await);
    let prompt = broker.prompt().await;
    broker.disconnect(ann, true).await;
    // Long enough for everything unused to be forgotten.
    broker.pass(Duration::from_secs(600)).await;
    broker.say(&prompt, answer("Because.")).await;
    sent(broker.ask_as("bob", Command::Send { to: SendTo::User(user("ann")), draft: text("for another device") }).await);
    assert_eq!(stored(&broker, &place).await, ["user: Why?", "model: Because."]);
    let only_answers = Capabilities { answer: true, ..Capabilities::default() };
    for (capabilities, expected) in [
        (only_answers, vec!["Because.", "for another device"]),
        // An event that a socket could not show was not delivered by it.
        (Capabilities { direct_message: true, ..Capabilities::default() }, vec!["for another device"]),
        (Capabilities { direct_message: true, ..Capabilities::default() }, vec![]),
    ] {
        let socket = broker.knock_with("ann", capabilities).await;
        let is_behind = broker.notice(socket, |notice| match notice {
            Notice::Admitted(admission) => Some(admission.catch_up),
            _ => None,
        });
        let missed = if is_behind.await { missed(&mut broker, socket).await } else { Vec::new() };
        assert_eq!(missed, expected);
        broker.disconnect(socket, true).await;
    }
}

/// Returns the events that a catch-up sends to a socket.
async fn missed(broker: &mut Broker, socket: Socket) -> Vec<String> {
    let mut contents = Vec::new();
    loop {
        let Some(page) = broker.page(socket).await else { return contents };
        for event in page {
            let message = message_of(event.event()).unwrap();
            if message.role == Role::Model {
                assert_eq!(message.chat.as_deref(), Some(r#"{"id":"c"}"#));
            }
            contents.push(message.content.clone());
        }
        broker.addr.send(CatchUpDrained { connection: socket.0 }).await.unwrap();
    }
}

#[actix::test]
async fn a_deleted_question_is_not_asked() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    sent(broker.ask(ann, question("c", "first")).await);
    let second = sent(broker.ask(ann, question("c", "second")).await);
    assert!(broker.ask(ann, Command::DeleteMessage { message: second.id }).await.is_ok());
    assert_eq!(broker.event(ann, failure).await.1, "NOT_FOUND", "told at once");
    let prompt = broker.prompt().await;
    broker.say(&prompt, answer("1")).await;
    assert_eq!(broker.message(ann).await.content, "1");
    assert!(!broker.is_prompted().await);
}

#[actix::test]
async fn who_asks_a_deleted_question_again_is_told_that_it_is_gone() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let asked = sent(broker.ask(ann, retry("c", "Why?", "q1")).await);
    let prompt = broker.prompt().await;
    broker.say(&prompt, ModelWord::Failed(ModelError::Failed)).await;
    assert_eq!(broker.event(ann, failure).await.1, "MODEL_FAILED");
    assert!(broker.ask(ann, Command::DeleteMessage { message: asked.id }).await.is_ok());
    sent(broker.ask(ann, retry("c", "Why?", "q1")).await);
    assert_eq!(broker.event(ann, failure).await.1, "NOT_FOUND");
    broker.settle().await;
    assert!(broker.events(ann).await.iter().filter_map(failure).next().is_none(), "told once");
    assert!(!broker.is_prompted().await);
}

#[actix::test]
async fn a_stop_waits_for_what_is_being_said_and_gives_up_the_rest() {
    let mut broker = Broker::with(Options { ai_concurrency: 1, ..Options::default() }).await;
    let ann = broker.connect("ann").await;
    for (chat, content) in [("a", "1"), ("b", "2")] {
        sent(broker.ask(ann, question(chat, content)).await);
    }
    let prompt = broker.prompt().await;
    broker.addr.send(Drain).await.unwrap();
    let finished = broker.addr.send(FinishAnswers { within: Duration::from_secs(3_600) });
    let finished = actix::spawn(finished);
    assert_eq!(broker.event(ann, failure).await, (r#"{"id":"b"}"#.to_owned(), "MODEL_FAILED"));
    broker.say(&prompt, answer("One.")).await;
    tokio::time::timeout(Duration::from_secs(20), finished).await.expect("the end in time").unwrap().unwrap();
    assert_eq!(messages(&mut broker, ann).await, ["One."]);
}

#[actix::test]
async fn a_stop_gives_up_what_takes_too_long() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    sent(broker.ask(ann, question("a", "1")).await);
    let prompt = broker.prompt().await;
    broker.addr.send(Drain).await.unwrap();
    broker.addr.send(FinishAnswers { within: Duration::from_millis(1) }).await.unwrap();
    assert_eq!(broker.event(ann, failure).await, (r#"{"id":"a"}"#.to_owned(), "MODEL_FAILED"));
    broker.say(&prompt, answer("too late")).await;
    assert_eq!(messages(&mut broker, ann).await, Vec::<String>::new());
}

#[actix::test]
async fn pieces_for_a_socket_that_left_are_nobodys() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    sent(broker.ask(ann, streamed(question("c", "Why?"))).await);
    let prompt = broker.prompt().await;
    broker.disconnect(ann, true).await;
    broker.all(ann).await;
    broker.say(&prompt, ModelWord::Piece("Be".to_owned())).await;
    assert_eq!(broker.events(ann).await.len(), 0);
}

/// Returns whether the model learns that its answer is no longer wanted.
async fn is_unwanted(prompt: &mut Prompt) -> bool {
    tokio::time::timeout(Duration::from_secs(20), &mut prompt.wanted).await.expect("a word in time").is_err()
}

#[actix::test]
async fn a_question_that_is_deleted_while_the_model_works_gets_no_answer() {
    let mut broker = Broker::with(Options { ai_concurrency: 1, ..Options::default() }).await;
    let ann = broker.connect("ann").await;
    let first = sent(broker.ask(ann, streamed(question("c", "first"))).await);
    let mut prompt = broker.prompt().await;
    sent(broker.ask(ann, question("c", "second")).await);
    sent(broker.ask(ann, question("d", "third")).await);
    broker.say(&prompt, ModelWord::Piece("Be".to_owned())).await;
    assert_eq!(broker.event(ann, piece).await, ("Be".to_owned(), false));
    broker.ask(ann, Command::DeleteMessage { message: first.id }).await.unwrap();
    assert_eq!(broker.event(ann, failure).await, (r#"{"id":"c"}"#.to_owned(), "NOT_FOUND"));
    assert_eq!(broker.event(ann, apology).await.2, "NOT_FOUND");
    assert!(is_unwanted(&mut prompt).await);
    // Its slot is free, and its late words are ignored.
    let next = broker.prompt().await;
    for word in [ModelWord::Piece("cause".to_owned()), answer("Because."), ModelWord::Failed(ModelError::Failed)] {
        broker.say(&prompt, word).await;
    }
    assert_eq!(turns(&next), ["user: third"], "one of another chat, as ever");
    broker.say(&next, answer("3")).await;
    let last = broker.prompt().await;
    assert_eq!(turns(&last), ["user: second"]);
    broker.say(&last, answer("2")).await;
    let heard = broker.events(ann).await;
    assert!(heard.iter().filter_map(piece).next().is_none() && heard.iter().filter_map(failure).next().is_none(), "{heard:?}");
    assert_eq!(stored(&broker, &first.place).await, ["user: second", "model: 2"]);
}

#[actix::test]
async fn a_question_whose_deletion_is_not_stored_has_an_end_and_can_be_asked_again() {
    let database = TestStore::sqlite_with(|options| options.retry_for = Duration::from_millis(300)).await;
    let mut broker = Broker::on(database, Options::default()).await;
    let ann = broker.connect("ann").await;
    let asked = sent(broker.ask(ann, retry("c", "Why?", "q1")).await);
    let prompt = broker.prompt().await;
    let outage = broker.database.hold_writes().await;
    let deletion = broker.begin(ann, Command::DeleteMessage { message: asked.id }).await;
    assert_eq!(broker.reply(ann, deletion).await.unwrap_err().code(), "STORAGE_UNAVAILABLE");
    // It is asked again, which the database prevents.
    assert_eq!(broker.event(ann, failure).await.1, "STORAGE_UNAVAILABLE");
    drop(outage);
    broker.database.until_available().await;
    broker.say(&prompt, answer("Too late.")).await;
    sent(broker.ask(ann, retry("c", "Why?", "q1")).await);
    let prompt = broker.prompt().await;
    broker.say(&prompt, answer("Because.")).await;
    assert_eq!(broker.message(ann).await.content, "Because.");
    assert_eq!(stored(&broker, &asked.place).await, ["user: Why?", "model: Because."]);
}

#[actix::test]
async fn an_answer_is_its_users_to_delete_and_nobody_elses() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let asked = sent(broker.ask(ann, retry("c", "Why?", "q1")).await);
    let prompt = broker.prompt().await;
    broker.say(&prompt, answer("Because.")).await;
    let said = broker.message(ann).await;
    let edit = Command::EditMessage { message: said.id, content: "x".to_owned() };
    assert_eq!(broker.ask(ann, edit).await.unwrap_err().code(), "FORBIDDEN", "they are the model's words");
    let delete = Command::DeleteMessage { message: said.id };
    assert_eq!(broker.ask(bob, delete.clone()).await.unwrap_err().code(), "FORBIDDEN");
    broker.ask(ann, delete).await.unwrap();
    let gone = broker.event(ann, |event| match event {
        Event::MessageDeleted { message, kind, .. } => Some((*message, *kind)),
        _ => None,
    });
    assert_eq!(gone.await, (said.id, ConversationKind::Ai));
    assert_eq!(stored(&broker, &asked.place).await, ["user: Why?"]);
    // Asked again, it gets no other answer.
    sent(broker.ask(ann, retry("c", "Why?", "q1")).await);
    assert_eq!(broker.event(ann, failure).await.1, "NOT_FOUND");
    assert!(!broker.is_prompted().await);
    assert_eq!(messages(&mut broker, ann).await, Vec::<String>::new());
}

#[actix::test]
async fn a_chat_with_the_model_is_its_users_to_delete_and_its_questions_go_with_it() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let asked = sent(broker.ask(ann, question("c", "first")).await);
    let mut prompt = broker.prompt().await;
    sent(broker.ask(ann, question("c", "second")).await);
    let chat = conversation_of(&asked);
    let delete = Command::DeleteConversation { conversation: chat };
    assert_eq!(broker.ask(bob, delete.clone()).await.unwrap_err().code(), "FORBIDDEN");
    broker.ask(ann, delete.clone()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(broker.event(ann, failure).await.1, "NOT_FOUND");
    }
    assert!(is_unwanted(&mut prompt).await);
    broker.say(&prompt, answer("Because.")).await;
    assert_eq!(broker.ask(ann, delete).await.unwrap_err().code(), "NOT_FOUND");
    assert!(!broker.is_prompted().await);
    assert_eq!(stored(&broker, &asked.place).await, Vec::<String>::new());
    // Its id is free for another question.
    let anew = sent(broker.ask(ann, question("c", "third")).await);
    assert_ne!(anew.place, asked.place);
    assert_eq!(turns(&broker.prompt().await), ["user: third"]);
    let pair = broker.ask(ann, Command::CreateDirect { participant: user("bob") }).await;
    let Ok(Reply::Conversation(ConversationReply { conversation, .. })) = pair else { panic!("{pair:?}") };
    let refused = broker.ask(ann, Command::DeleteConversation { conversation: conversation.id }).await;
    assert_eq!(refused.unwrap_err().code(), "FORBIDDEN", "a direct conversation is the other's, too");
}

#[actix::test]
async fn the_model_does_not_go_on_for_who_is_deleted_or_disabled() {
    let mut broker = Broker::with(Options { ai_concurrency: 1, ..Options::default() }).await;
    for (name, is_deleted) in [("ann", false), ("bob", true)] {
        let socket = broker.connect(name).await;
        let asked = sent(broker.ask(socket, question("c", "first")).await);
        let mut prompt = broker.prompt().await;
        sent(broker.ask(socket, question("d", "second")).await);
        if is_deleted {
            assert!(broker.addr.send(Administer::Delete { user: user(name), keeps_name: false }).await.unwrap().unwrap());
        } else {
            broker.set_disabled(name, true).await;
        }
        assert!(is_unwanted(&mut prompt).await);
        broker.say(&prompt, answer("Because.")).await;
        assert!(!broker.is_prompted().await, "nor is it asked what waited");
        assert!(!stored(&broker, &asked.place).await.contains(&"model: Because.".to_owned()));
    }
}
