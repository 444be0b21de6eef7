//! Groups: creating, joining, muting, leaving and deleting them takes effect on open sockets at once.
use parlance::auth::Claims;
use parlance::chat::{
    Authenticate, AuthenticateError, Command, ConversationReply, Event, Notice, RefusedConnect, Reply, RevokeTokens, SendTo, Sent,
};
use parlance::model::{Conversation, Timestamp, UserId};

use super::broker::{Broker, Heard, Socket, claims, message_of, text, user};
use crate::support::claims_of;

async fn contents(broker: &mut Broker, socket: Socket) -> Vec<String> {
    broker.events(socket).await.iter().filter_map(message_of).map(|message| message.content.clone()).collect()
}

#[actix::test]
async fn membership_takes_effect_on_open_sockets_at_once() {
    let mut broker = Broker::new().await;
    let (ann, cid) = (broker.connect("ann").await, broker.connect("cid").await);
    let group = broker.group(&["ann", "bob"]).await;
    let say = |content: &str| Command::Send { to: SendTo::Conversation(group), draft: text(content) };
    broker.ask(ann, say("one")).await.unwrap();
    assert!(contents(&mut broker, cid).await.is_empty());
    let add = Command::AddParticipants { conversation: group, participants: vec![user("cid"), user("cid")] };
    assert_eq!(broker.ask_as("bob", add.clone()).await.unwrap_err().code(), "FORBIDDEN");
    broker.ask_as("ann", add).await.unwrap();
    broker.ask(ann, say("two")).await.unwrap();
    assert_eq!(contents(&mut broker, cid).await, ["two"]);
    broker.ask(cid, say("me too")).await.unwrap();
    let remove = Command::RemoveParticipant { conversation: group, participant: user("cid") };
    broker.ask_as("ann", remove).await.unwrap();
    broker.event(cid, |event| matches!(event, Event::ConversationDeleted { .. }).then_some(())).await;
    broker.ask(ann, say("three")).await.unwrap();
    assert!(contents(&mut broker, cid).await.is_empty());
    assert_eq!(broker.ask(cid, say("no more")).await.unwrap_err().code(), "FORBIDDEN");
}

#[actix::test]
async fn the_longest_standing_member_follows_the_admin_and_the_last_one_out_ends_the_group() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob", "cid"]).await;
    let leave = |name: &str| Command::RemoveParticipant { conversation: group, participant: user(name) };
    broker.ask_as("ann", leave("ann")).await.unwrap();
    let rename = Command::UpdateConversation { conversation: group, name: Some("Ours".to_owned()), avatar: None };
    assert_eq!(broker.ask_as("cid", rename.clone()).await.unwrap_err().code(), "FORBIDDEN");
    match broker.ask_as("bob", rename).await {
        Ok(Reply::Conversation(ConversationReply { conversation, .. })) => {
            assert_eq!((conversation.name.as_deref(), conversation.admin.as_ref()), (Some("Ours"), Some(&user("bob"))));
        }
        other => panic!("{other:?}"),
    }
    broker.ask_as("cid", leave("cid")).await.unwrap();
    broker.ask_as("bob", leave("bob")).await.unwrap();
    let open = Command::Send { to: SendTo::Conversation(group), draft: text("anybody?") };
    assert_eq!(broker.ask_as("bob", open).await.unwrap_err().code(), "NOT_FOUND");
}

#[actix::test]
async fn leaving_mutes_on_this_socket_until_it_joins_again() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob"]).await;
    let (ann, bob, bob_too) = (broker.connect("ann").await, broker.connect("bob").await, broker.connect("bob").await);
    let open = Command::OpenConversation { conversation: group, groups_only: true };
    let leave = Command::LeaveConversation { conversation: group };
    let say = |content: &str| Command::Send { to: SendTo::Conversation(group), draft: text(content) };
    let opened = |event: &Event| if let Event::GroupOpened { opened, .. } = event { Some(*opened) } else { None };
    broker.ask(bob, open.clone()).await.unwrap();
    broker.ask(bob, open.clone()).await.unwrap();
    broker.ask(bob, leave.clone()).await.unwrap();
    broker.ask(bob, leave).await.unwrap();
    assert_eq!(broker.events(ann).await.iter().filter_map(opened).collect::<Vec<_>>(), [true, false]);
    broker.ask(ann, say("unheard")).await.unwrap();
    assert!(contents(&mut broker, bob).await.is_empty());
    assert_eq!(contents(&mut broker, bob_too).await, ["unheard"]);
    broker.ask(bob, open).await.unwrap();
    broker.ask(ann, say("heard")).await.unwrap();
    assert_eq!(contents(&mut broker, bob).await, ["heard"]);
    let direct = broker.ask_as("ann", Command::CreateDirect { participant: user("bob") }).await;
    let Ok(Reply::Conversation(ConversationReply { conversation, created: true })) = direct else { panic!("{direct:?}") };
    let open_direct = Command::OpenConversation { conversation: conversation.id, groups_only: true };
    assert_eq!(broker.ask(bob, open_direct).await.unwrap_err().code(), "FORBIDDEN");
}

#[actix::test]
async fn a_direct_conversation_is_made_once_whoever_begins() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let one = broker.begin(ann, super::broker::direct("bob", "me first")).await;
    let two = broker.begin(bob, super::broker::direct("ann", "no, me")).await;
    let (one, two) = (broker.reply(ann, one).await, broker.reply(bob, two).await);
    match (one, two) {
        (Ok(Reply::Sent(Sent { message: one, .. })), Ok(Reply::Sent(Sent { message: two, .. }))) => {
            assert_eq!(one.place, two.place);
            let mut seqs = [one.seq, two.seq];
            seqs.sort_unstable();
            assert_eq!(seqs, [1, 2]);
        }
        other => panic!("{other:?}"),
    }
}

#[actix::test]
async fn a_logout_puts_out_the_sockets_of_that_login_only() {
    let mut broker = Broker::new().await;
    let (ann, bob) = (broker.connect("ann").await, broker.connect("bob").await);
    let until = Timestamp::from_millis(i64::MAX);
    let revoke = RevokeTokens::Key { user: user("ann"), key: "login-ann".to_owned(), until };
    broker.addr.send(revoke).await.unwrap().unwrap();
    broker.notice(ann, |notice| matches!(notice, parlance::chat::Notice::Kick { code: "INVALID_TOKEN" }).then_some(())).await;
    let again = broker.knock("ann").await;
    broker.notice(again, |notice| matches!(notice, parlance::chat::Notice::Refused(_)).then_some(())).await;
    assert!(broker.all(bob).await.iter().all(
        |heard| !matches!(heard, super::broker::Heard::Notice(notice) if matches!(**notice, parlance::chat::Notice::Kick { .. }))
    ));
}

#[actix::test]
async fn who_is_looked_up_while_others_change_is_found() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob"]).await;
    let outage = broker.database.hold_writes().await;
    // It takes effect between the request and its answer.
    let rename = Command::UpdateConversation { conversation: group, name: Some("Crew".to_owned()), avatar: None };
    let renamed = broker.begin_as("ann", rename).await;
    let asked = actix::spawn(broker.addr.send(Authenticate { claims: Box::new(claims("cid")) }));
    drop(outage);
    assert!(renamed.await.unwrap().is_ok());
    assert_eq!(asked.await.unwrap().unwrap().unwrap().profile.id, user("cid"));
}

#[actix::test]
async fn who_is_looked_up_is_known_by_what_holds_by_then() {
    let broker = Broker::new().await;
    let outage = broker.database.hold_writes().await;
    let changed = RevokeTokens::Password { user: user("cid"), password_hash: "x".to_owned(), kept_login: None };
    let changed = actix::spawn(broker.addr.send(changed));
    let asked = actix::spawn(broker.addr.send(Authenticate { claims: Box::new(claims("cid")) }));
    drop(outage);
    changed.await.unwrap().unwrap().unwrap();
    let refused = asked.await.unwrap().unwrap();
    assert_eq!(refused.unwrap_err(), AuthenticateError::Refused(RefusedConnect::InvalidToken));
}

#[actix::test]
async fn a_socket_goes_with_the_token_that_it_showed_last() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let until = Timestamp::from_millis(i64::MAX);
    let revoke = |key: &str| RevokeTokens::Key { user: user("ann"), key: key.to_owned(), until };
    let shown = |name: &str, login: &str| Command::RenewToken {
        claims: Box::new(Claims {
            expires_at: Some(Timestamp::from_millis(9_000_000_000_000)),
            ..claims_of(user(name), Some(login.to_owned()))
        }),
    };
    broker.addr.send(revoke("out")).await.unwrap().unwrap();
    assert_eq!(broker.ask(ann, shown("ann", "out")).await.unwrap_err().code(), "INVALID_TOKEN");
    assert_eq!(broker.ask(ann, shown("bob", "login-bob")).await.unwrap_err().code(), "FORBIDDEN");
    match broker.ask(ann, shown("ann", "new")).await {
        Ok(Reply::Renewed { expires_at }) => assert_eq!(expires_at, Some(Timestamp::from_millis(9_000_000_000_000))),
        other => panic!("{other:?}"),
    }
    broker.addr.send(revoke("login-ann")).await.unwrap().unwrap();
    assert!(broker.ask(ann, super::broker::direct("bob", "still here")).await.is_ok());
    assert!(broker.all(ann).await.iter().all(|heard| !is_kick(heard)), "the old login is not hers any more");
    broker.addr.send(revoke("new")).await.unwrap().unwrap();
    assert!(broker.all(ann).await.iter().any(is_kick));
}

fn is_kick(heard: &Heard) -> bool {
    matches!(heard, Heard::Notice(notice) if matches!(**notice, Notice::Kick { code: "INVALID_TOKEN" }))
}

/// Returns the changes of conversations that a socket received since the last call: the members, or that one is gone.
async fn changes(broker: &mut Broker, socket: Socket) -> Vec<String> {
    let events = broker.events(socket).await;
    let of = |event: &Event| match event {
        Event::ConversationChanged(conversation) => {
            let Conversation { name, avatar, admin, participants, .. } = &**conversation;
            let participants: Vec<_> = participants.iter().map(UserId::as_str).collect();
            let admin = admin.as_ref().map(|admin| admin.as_str());
            let parts = [name.as_deref(), avatar.as_deref(), admin].map(|part| part.unwrap_or("-"));
            Some(format!("{} {}", parts.join(" "), participants.join("+")))
        }
        Event::ConversationDeleted { .. } => Some("gone".to_owned()),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

#[actix::test]
async fn a_groups_life_is_told_to_those_whom_it_concerns() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let (bob, bob_too, cid) = (broker.connect("bob").await, broker.connect("bob").await, broker.connect("cid").await);
    let group = broker.group(&["ann", "bob"]).await;
    for socket in [ann, bob, bob_too] {
        assert_eq!(changes(&mut broker, socket).await, ["Team - ann ann+bob"]);
    }
    let update = |name: Option<&str>, avatar: Option<Option<&str>>| Command::UpdateConversation {
        conversation: group,
        name: name.map(str::to_owned),
        avatar: avatar.map(|avatar| avatar.map(str::to_owned)),
    };
    let remove = |name: &str| Command::RemoveParticipant { conversation: group, participant: user(name) };
    let add = Command::AddParticipants { conversation: group, participants: vec![user("cid"), user("bob")] };
    for (who, command, to_members, to_cid) in [
        ("ann", update(Some("Ours"), None), &["Ours - ann ann+bob"][..], &[][..]),
        ("ann", update(None, Some(Some("/a.png"))), &["Ours /a.png ann ann+bob"], &[]),
        ("ann", update(None, Some(None)), &["Ours - ann ann+bob"], &[]),
        ("ann", add.clone(), &["Ours - ann ann+bob+cid"], &["Ours - ann ann+bob+cid"]),
        ("ann", add, &[], &[]),
        ("ann", remove("cid"), &["Ours - ann ann+bob"], &["gone"]),
    ] {
        broker.ask_as(who, command.clone()).await.unwrap();
        for socket in [ann, bob, bob_too] {
            assert_eq!(changes(&mut broker, socket).await, to_members, "{command:?}");
        }
        assert_eq!(changes(&mut broker, cid).await, to_cid, "{command:?}");
    }
    broker.ask_as("ann", remove("ann")).await.unwrap();
    assert_eq!(changes(&mut broker, ann).await, ["gone"]);
    for socket in [bob, bob_too] {
        assert_eq!(changes(&mut broker, socket).await, ["Ours - bob bob"]);
    }
    broker.ask_as("bob", Command::DeleteConversation { conversation: group }).await.unwrap();
    for socket in [bob, bob_too] {
        assert_eq!(changes(&mut broker, socket).await, ["gone"]);
    }
    assert!(changes(&mut broker, ann).await.is_empty());
}

#[actix::test]
async fn a_direct_conversation_is_told_before_its_first_message() {
    let mut broker = Broker::new().await;
    let (ann, ann_too, bob) = (broker.connect("ann").await, broker.connect("ann").await, broker.connect("bob").await);
    broker.ask(ann, super::broker::direct("bob", "hello")).await.unwrap();
    let order: Vec<_> = broker
        .events(bob)
        .await
        .iter()
        .filter_map(|event| match event {
            Event::ConversationChanged(conversation) => {
                Some(format!("{} of {}", conversation.kind.as_str(), conversation.participants.len()))
            }
            other => message_of(other).map(|message| message.content.clone()),
        })
        .collect();
    assert_eq!(order, ["direct of 2", "hello"]);
    assert_eq!(changes(&mut broker, ann_too).await, ["- - - ann+bob"]);
    broker.ask(ann, super::broker::direct("bob", "again")).await.unwrap();
    assert!(changes(&mut broker, bob).await.is_empty(), "not for messages");
    broker.ask_as("cid", Command::CreateDirect { participant: user("bob") }).await.unwrap();
    assert_eq!(changes(&mut broker, bob).await, ["- - - cid+bob"]);
}

#[actix::test]
async fn two_changes_of_one_group_at_once_both_hold() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob"]).await;
    let change = |name: Option<&str>, avatar: Option<&str>| Command::UpdateConversation {
        conversation: group,
        name: name.map(str::to_owned),
        avatar: avatar.map(|avatar| Some(avatar.to_owned())),
    };
    let outage = broker.database.hold_writes().await;
    let renamed = broker.begin_as("ann", change(Some("Ours"), None)).await;
    let painted = broker.begin_as("ann", change(None, Some("/a.png"))).await;
    drop(outage);
    renamed.await.unwrap().unwrap();
    match painted.await.unwrap() {
        Ok(Reply::Conversation(ConversationReply { conversation, .. })) => {
            assert_eq!((conversation.name.as_deref(), conversation.avatar.as_deref()), (Some("Ours"), Some("/a.png")));
        }
        other => panic!("{other:?}"),
    }
    let stored =
        broker.store.read_after_writes(move |conn| parlance::store::find_conversation(conn, group)).await.unwrap().unwrap();
    assert_eq!((stored.name.as_deref(), stored.avatar.as_deref()), (Some("Ours"), Some("/a.png")));
}

#[actix::test]
async fn what_is_said_while_a_member_joins_reaches_the_member() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob"]).await;
    let (ann, cid) = (broker.connect("ann").await, broker.connect("cid").await);
    let say = |content: &str| Command::Send { to: SendTo::Conversation(group), draft: text(content) };
    // Nothing needs to be read once writes are held up.
    broker.ask(ann, say("before")).await.unwrap();
    let outage = broker.database.hold_writes().await;
    let adding = Command::AddParticipants { conversation: group, participants: vec![user("cid")] };
    let added = broker.begin_as("ann", adding).await;
    let said = broker.begin(ann, say("meanwhile")).await;
    drop(outage);
    added.await.unwrap().unwrap();
    broker.reply(ann, said).await.unwrap();
    assert_eq!(contents(&mut broker, cid).await, ["meanwhile"]);
}

#[actix::test]
async fn two_who_open_the_same_direct_conversation_at_once_open_one() {
    let mut broker = Broker::new().await;
    let outage = broker.database.hold_writes().await;
    let one = broker.begin_as("ann", Command::CreateDirect { participant: user("bob") }).await;
    let two = broker.begin_as("bob", Command::CreateDirect { participant: user("ann") }).await;
    drop(outage);
    match (one.await.unwrap(), two.await.unwrap()) {
        (
            Ok(Reply::Conversation(ConversationReply { conversation: one, .. })),
            Ok(Reply::Conversation(ConversationReply { conversation: two, .. })),
        ) => {
            assert_eq!(one.id, two.id);
        }
        other => panic!("{other:?}"),
    }
}
