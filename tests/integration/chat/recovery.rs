//! P7: a session that lost its connection is resumed, and missed events come exactly once.
use std::time::Duration;

use parlance::chat::{
    Admission, Capabilities, CapabilitiesChanged, CatchUpDrained, ClientDialects, Command, Connect, Disconnect, Event, Notice,
    Options, PresenceChange, RefusedConnect, ReplayKind, RevokeTokens, SendTo, Watermark,
};
use parlance::config::Delivery;
use parlance::engineio::CloseReason;
use parlance::model::{Offset, OffsetKind, Part, PrivateId, RoomId, Timestamp};

use super::broker::{ALL_CAPABILITIES, Broker, Heard, Socket, direct, message_of, nothing_left, text, user};

const SECOND: Duration = Duration::from_secs(1);

/// State that a client keeps of its session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pid: PrivateId,
    offset: Option<Offset>,
}

impl Known {
    fn of(admission: &Admission) -> Self {
        Self { pid: admission.pid, offset: admission.initial_offset.offset() }
    }

    fn back(self) -> impl FnOnce(Connect) -> Connect {
        move |connect| {
            let pid = connect.pid.of_client(self.pid);
            Connect { back_to: Some(self.pid), pid, offset: self.offset, ..connect }
        }
    }
}

pub(super) async fn admission(broker: &mut Broker, socket: Socket) -> Admission {
    broker
        .notice(socket, |notice| if let Notice::Admitted(admission) = notice { Some((**admission).clone()) } else { None })
        .await
}

pub(super) async fn come(broker: &mut Broker, name: &str) -> (Socket, Known) {
    let socket = broker.knock(name).await;
    let admission = admission(broker, socket).await;
    assert!(admission.resume_data.is_none());
    caught_up(broker, socket, &admission).await;
    (socket, Known::of(&admission))
}

/// Waits until a socket has received everything due at its connect.
async fn caught_up(broker: &mut Broker, socket: Socket, admission: &Admission) {
    if admission.catch_up {
        pages(broker, socket).await;
    }
}

/// Resumes a session; returns the texts that its client missed, `None` if it got a new session.
pub(super) async fn resume_session(broker: &mut Broker, name: &str, known: Known) -> (Socket, Admission, Option<Vec<String>>) {
    let socket = broker.return_with(name, known.back()).await;
    let admission = admission(broker, socket).await;
    let missed = admission.resume_data.as_ref().map(|back| {
        let events = back.missed.iter().map(|replay| replay.event.event());
        events.filter_map(message_of).map(|message| message.content.clone()).collect()
    });
    assert_eq!(missed.is_some(), admission.pid == known.pid, "who comes back keeps its private id");
    (socket, admission, missed)
}

/// Returns the offset of the next message at a socket that reads `messenger` packets.
async fn read(broker: &mut Broker, socket: Socket) -> Option<Offset> {
    let offset = broker
        .next(socket, |heard| match heard {
            Heard::Event(event) => message_of(event.event()).and(event.offset()),
            Heard::Notice(_) => None,
        })
        .await;
    Some(offset.at(Part { encoding: 4, packet: 0 }))
}

async fn drop_connection(broker: &mut Broker, socket: Socket) {
    broker.disconnect(socket, false).await;
}

#[actix::test]
async fn what_was_missed_comes_in_order_and_once() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob"]).await;
    let ann = broker.connect("ann").await;
    let (bob, known) = come(&mut broker, "bob").await;
    broker.ask(ann, direct("bob", "seen")).await.unwrap();
    let known = Known { offset: read(&mut broker, bob).await, ..known };
    drop_connection(&mut broker, bob).await;
    for number in 0..6 {
        let command = if number % 2 == 0 {
            direct("bob", &number.to_string())
        } else {
            Command::Send { to: SendTo::Conversation(group), draft: text(&number.to_string()) }
        };
        broker.ask(ann, command).await.unwrap();
    }
    let (bob, admission, missed) = resume_session(&mut broker, "bob", known).await;
    assert_eq!(missed.unwrap(), ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(admission.socket.as_str(), format!("{:020}", 2), "it is the same socket");
    let delivered = |event: &Event| if let Event::Delivered { users, .. } = event { Some(users.clone()) } else { None };
    let told: Vec<_> = broker.events(ann).await.iter().filter_map(delivered).flatten().collect();
    assert_eq!(told, vec![user("bob"); 6], "each was received once");
    broker.ask(ann, direct("bob", "live")).await.unwrap();
    assert_eq!(broker.message(bob).await.content, "live");
    broker.settle().await;
    let anew = broker.connect("bob").await;
    assert!(broker.events(anew).await.iter().all(|event| message_of(event).is_none()), "nothing is left to be caught up");
}

#[actix::test]
async fn it_comes_back_twice_in_a_row_and_before_it_had_received_anything() {
    let mut broker = Broker::new().await;
    broker.answer_pings(false);
    let ann = broker.connect("ann").await;
    let (bob, known) = come(&mut broker, "bob").await;
    drop_connection(&mut broker, bob).await;
    broker.ask(ann, direct("bob", "one")).await.unwrap();
    let without = Known { offset: None, ..known };
    for known in [without, known, without] {
        let (bob, _, missed) = resume_session(&mut broker, "bob", known).await;
        assert_eq!(missed.unwrap(), ["one"], "nothing says that it arrived");
        drop_connection(&mut broker, bob).await;
    }
}

#[actix::test]
async fn it_comes_back_before_its_loss_was_noticed() {
    let mut broker = Broker::new().await;
    broker.answer_pings(false);
    let (ann, (old, known)) = (broker.connect("ann").await, come(&mut broker, "bob").await);
    broker.ask(ann, direct("bob", "one")).await.unwrap();
    let (bob, _, missed) = resume_session(&mut broker, "bob", known).await;
    assert_eq!(missed.unwrap(), ["one"]);
    broker.notice(old, |notice| matches!(notice, Notice::Close(_)).then_some(())).await;
    drop_connection(&mut broker, old).await;
    broker.ask(ann, direct("bob", "two")).await.unwrap();
    assert_eq!(broker.message(bob).await.content, "two");
    let heard = broker.events(old).await;
    assert!(heard.iter().filter_map(message_of).all(|message| message.content == "one"), "one pid, one socket: {heard:?}");
}

#[actix::test]
async fn of_an_event_that_arrived_in_part_the_rest_is_missed() {
    let mut broker = Broker::new().await;
    broker.answer_pings(false);
    let (ann, (bob, known)) = (broker.connect("ann").await, come(&mut broker, "bob").await);
    broker.ask(ann, direct("bob", "one")).await.unwrap();
    let offset = read(&mut broker, bob).await.map(|offset| offset.at(Part { encoding: 2, packet: 0 }));
    drop_connection(&mut broker, bob).await;
    let socket = broker.return_with("bob", Known { offset, ..known }.back()).await;
    let back = admission(&mut broker, socket).await.resume_data.unwrap();
    let had: Vec<_> =
        back.missed.iter().filter(|replay| message_of(replay.event.event()).is_some()).map(|replay| replay.had).collect();
    assert_eq!(had, [Some(Part { encoding: 2, packet: 0 })]);
}

#[actix::test]
async fn an_idle_client_comes_back_however_long_it_was_idle() {
    let mut broker = Broker::new().await;
    let (ann, (bob, known)) = (broker.connect("ann").await, come(&mut broker, "bob").await);
    broker.ask(ann, direct("bob", "one")).await.unwrap();
    let known = Known { offset: read(&mut broker, bob).await, ..known };
    for _ in 0..3 {
        broker.pass(200 * SECOND).await;
        broker.ask(ann, direct("cid", "not for bob")).await.unwrap();
    }
    drop_connection(&mut broker, bob).await;
    assert_eq!(resume_session(&mut broker, "bob", known).await.2, Some(vec![]));
}

#[actix::test]
async fn what_a_ping_has_confirmed_need_not_be_kept() {
    let mut broker = Broker::with(Options { replay_events: 3, ..Options::default() }).await;
    broker.answer_pings(false);
    let (ann, (bob, known)) = (broker.connect("ann").await, come(&mut broker, "bob").await);
    for number in 0..9 {
        broker.ask(ann, direct("bob", &number.to_string())).await.unwrap();
    }
    let mut event_seq = 0;
    for _ in 0..9 {
        let Some(Offset { kind: OffsetKind::Event { event_seq: last, .. }, .. }) = read(&mut broker, bob).await else { panic!() };
        event_seq = last;
    }
    let reason = CloseReason::PingTimeout;
    let gone = |connection, confirmed| Disconnect {
        connection,
        on_purpose: false,
        may_return: true,
        reason,
        confirmed,
        left: nothing_left(),
    };
    broker.addr.send(gone(bob.0, Watermark::Event(event_seq))).await.unwrap();
    let (bob, _, missed) = resume_session(&mut broker, "bob", known).await;
    assert_eq!(missed, Some(vec![]), "its own offset is older than what is kept");
    for number in 0..9 {
        broker.ask(ann, direct("bob", &number.to_string())).await.unwrap();
    }
    broker.addr.send(gone(bob.0, Watermark::Nothing)).await.unwrap();
    assert_eq!(resume_session(&mut broker, "bob", known).await.2, None, "nothing proves the second nine");
}

#[actix::test]
async fn a_session_that_its_client_cannot_return_to_is_not_kept() {
    for may_return in [true, false] {
        let mut broker = Broker::new().await;
        let (bob, known) = come(&mut broker, "bob").await;
        let (connection, reason, confirmed) = (bob.0, CloseReason::PingTimeout, Watermark::Nothing);
        let gone = Disconnect { connection, on_purpose: false, may_return, reason, confirmed, left: nothing_left() };
        broker.addr.send(gone).await.unwrap();
        assert_eq!(resume_session(&mut broker, "bob", known).await.2.is_some(), may_return);
    }
}

#[actix::test]
async fn who_has_missed_more_than_is_kept_is_caught_up() {
    for (options, wait) in [
        (Options { replay_events: 4, ..Options::default() }, SECOND),
        (Options { replay_bytes: 8_000, ..Options::default() }, SECOND),
        (Options { recovery_bytes: 8_000, ..Options::default() }, SECOND),
        (Options { parked_max: 0, ..Options::default() }, SECOND),
        (Options { recovery_ttl: Duration::ZERO, ..Options::default() }, SECOND),
        (Options::default(), 120 * SECOND),
    ] {
        let shown = format!("{options:?} {wait:?}");
        let mut broker = Broker::with(options).await;
        let (ann, (bob, known)) = (broker.connect("ann").await, come(&mut broker, "bob").await);
        broker.ask(ann, direct("bob", "seen")).await.unwrap();
        let known = Known { offset: read(&mut broker, bob).await, ..known };
        drop_connection(&mut broker, bob).await;
        for number in 0..6 {
            broker.ask(ann, direct("bob", &number.to_string())).await.unwrap();
        }
        broker.pass(wait).await;
        let (bob, admission, missed) = resume_session(&mut broker, "bob", known).await;
        assert_eq!(missed, None, "{shown}");
        assert!(admission.catch_up);
        assert_eq!(pages(&mut broker, bob).await.0, ["0", "1", "2", "3", "4", "5"], "{shown}");
    }
}

/// Returns the texts of a catch-up, and the last offset in it.
async fn pages(broker: &mut Broker, socket: Socket) -> (Vec<String>, Option<Offset>) {
    let (mut texts, mut offset) = (Vec::new(), None);
    loop {
        let Some(page) = broker.page(socket).await else { return (texts, offset) };
        for event in page {
            texts.extend(message_of(event.event()).map(|message| message.content.clone()));
            offset = event.offset().or(offset);
        }
        broker.addr.send(CatchUpDrained { connection: socket.0 }).await.unwrap();
    }
}

#[actix::test]
async fn detached_sessions_of_a_user_are_bounded() {
    let mut broker = Broker::with(Options { max_sockets_per_user: 2, ..Options::default() }).await;
    let mut all = Vec::new();
    for _ in 0..3 {
        let (socket, known) = come(&mut broker, "bob").await;
        drop_connection(&mut broker, socket).await;
        all.push(known);
    }
    assert!(resume_session(&mut broker, "bob", all[0]).await.2.is_none(), "the oldest is gone");
    assert!(resume_session(&mut broker, "bob", all[2]).await.2.is_some());
}

#[actix::test]
async fn who_left_on_purpose_or_talked_nonsense_comes_anew() {
    let mut broker = Broker::new().await;
    for (on_purpose, reason, is_kept) in [
        (true, CloseReason::Disconnected, false),
        (false, CloseReason::ParseError, false),
        (false, CloseReason::TransportError, true),
        (false, CloseReason::SlowConsumer, true),
        (false, CloseReason::ForcedClose, true),
    ] {
        let (socket, known) = come(&mut broker, "bob").await;
        broker.disconnect_for(socket, on_purpose, reason, nothing_left()).await;
        let (socket, _, missed) = resume_session(&mut broker, "bob", known).await;
        assert_eq!(missed.is_some(), is_kept, "{reason:?}");
        broker.disconnect(socket, true).await;
    }
}

#[actix::test]
async fn a_private_id_serves_its_own_user_only() {
    let mut broker = Broker::new().await;
    let (bob, known) = come(&mut broker, "bob").await;
    assert!(resume_session(&mut broker, "cid", known).await.2.is_none());
    drop_connection(&mut broker, bob).await;
    assert!(resume_session(&mut broker, "cid", known).await.2.is_none());
    assert!(resume_session(&mut broker, "bob", known).await.2.is_some(), "nobody took it");
}

#[actix::test]
async fn who_asks_for_another_dialect_comes_anew() {
    let mut broker = Broker::new().await;
    let (bob, known) = come(&mut broker, "bob").await;
    drop_connection(&mut broker, bob).await;
    let socket = broker
        .return_with("bob", |connect| {
            let client_dialects = ClientDialects { asked: 1, ..connect.client_dialects };
            Connect { client_dialects, ..known.back()(connect) }
        })
        .await;
    assert!(admission(&mut broker, socket).await.resume_data.is_none());
}

#[actix::test]
async fn rooms_mutes_and_what_was_learned_stay() {
    let mut broker = Broker::new().await;
    let (heard, muted) = (broker.group(&["ann", "bob"]).await, broker.group(&["ann", "bob"]).await);
    let ann = broker.connect("ann").await;
    let (bob, known) = come(&mut broker, "bob").await;
    let room = RoomId::parse("flat").unwrap();
    broker.ask(bob, Command::LeaveConversation { conversation: muted }).await.unwrap();
    broker.ask(bob, Command::JoinRoom { room: room.clone() }).await.unwrap();
    broker.ask(bob, Command::JoinCommonChat).await.unwrap();
    let client_dialects = ClientDialects { learned: [8, 0], last_encoding: 4, ..Default::default() };
    let capabilities = Capabilities { received_at_once: false, ..ALL_CAPABILITIES };
    broker.addr.send(CapabilitiesChanged { connection: bob.0, capabilities, client_dialects }).await.unwrap();
    drop_connection(&mut broker, bob).await;
    let say = |text: &str| {
        let draft = |what: &str| super::broker::text(&format!("{what} {text}"));
        vec![
            Command::Send { to: SendTo::Conversation(heard), draft: draft("heard") },
            Command::Send { to: SendTo::Conversation(muted), draft: draft("muted") },
            Command::Send { to: SendTo::Room { room: room.clone(), shown_as: "1".into() }, draft: draft("room") },
            Command::Send { to: SendTo::CommonChat, draft: draft("common") },
        ]
    };
    for command in say("missed") {
        broker.ask(ann, command).await.unwrap();
    }
    let (bob, admission, missed) = resume_session(&mut broker, "bob", known).await;
    assert_eq!(missed.unwrap(), ["heard missed", "room missed", "common missed"]);
    assert_eq!(admission.resume_data.unwrap().client_dialects, client_dialects);
    for command in say("live") {
        broker.ask(ann, command).await.unwrap();
    }
    let live: Vec<_> = broker.events(bob).await.iter().filter_map(message_of).map(|message| message.content.clone()).collect();
    assert_eq!(live, ["heard live", "room live", "common live"]);
}

#[actix::test]
async fn what_was_said_before_one_came_is_not_replayed() {
    let mut broker = Broker::new().await;
    broker.answer_pings(false);
    let group = broker.group(&["ann", "bob"]).await;
    let (ann, listener) = (broker.connect("ann").await, broker.connect("cid").await);
    let room = RoomId::parse("flat").unwrap();
    broker.ask(listener, Command::JoinRoom { room: room.clone() }).await.unwrap();
    let (bob, known) = come(&mut broker, "bob").await;
    let in_room = |what: &str| Command::Send { to: SendTo::Room { room: room.clone(), shown_as: "1".into() }, draft: text(what) };
    let in_group = |what: &str| Command::Send { to: SendTo::Conversation(group), draft: text(what) };
    broker.ask(ann, in_room("before")).await.unwrap();
    broker.ask(ann, in_group("before the mute")).await.unwrap();
    broker.ask(bob, Command::LeaveConversation { conversation: group }).await.unwrap();
    broker.ask(ann, in_group("muted")).await.unwrap();
    broker.ask(bob, Command::OpenConversation { conversation: group, groups_only: true }).await.unwrap();
    broker.ask(bob, Command::JoinRoom { room: room.clone() }).await.unwrap();
    broker.ask(ann, in_room("after")).await.unwrap();
    broker.ask(ann, in_group("after")).await.unwrap();
    drop_connection(&mut broker, bob).await;
    assert_eq!(resume_session(&mut broker, "bob", known).await.2.unwrap(), ["before the mute", "after", "after"]);
}

#[actix::test]
async fn what_happens_to_the_user_meanwhile_holds_for_the_session() {
    let mut broker = Broker::new().await;
    let (left, joined) = (broker.group(&["ann", "bob", "cid"]).await, broker.group(&["ann", "cid"]).await);
    let ann = broker.connect("ann").await;
    let (bob, known) = come(&mut broker, "bob").await;
    drop_connection(&mut broker, bob).await;
    let say = |conversation, what: &str| Command::Send { to: SendTo::Conversation(conversation), draft: text(what) };
    broker.ask(ann, say(left, "for members")).await.unwrap();
    broker.ask(ann, say(joined, "too early")).await.unwrap();
    broker.ask(ann, Command::RemoveParticipant { conversation: left, participant: user("bob") }).await.unwrap();
    broker.ask(ann, Command::AddParticipants { conversation: joined, participants: vec![user("bob")] }).await.unwrap();
    broker.ask(ann, say(left, "without him")).await.unwrap();
    broker.ask(ann, say(joined, "with him")).await.unwrap();
    let (bob, admission, missed) = resume_session(&mut broker, "bob", known).await;
    assert_eq!(missed.unwrap(), ["with him"]);
    let events: Vec<_> = admission.resume_data.unwrap().missed.into_iter().map(|replay| replay.event).collect();
    let gone = events
        .iter()
        .position(|event| matches!(event.event(), Event::ConversationDeleted { conversation } if *conversation == left));
    let came = events.iter().position(|event| matches!(event.event(), Event::ConversationChanged(group) if group.id == joined));
    assert!(gone.unwrap() < came.unwrap(), "he is told of both");
    broker.ask(ann, say(left, "live")).await.unwrap();
    broker.ask(ann, say(joined, "live")).await.unwrap();
    assert_eq!(broker.events(bob).await.iter().filter_map(message_of).count(), 1);
}

#[actix::test]
async fn a_logout_ends_the_detached_session_too() {
    let mut broker = Broker::new().await;
    let (bob, known) = come(&mut broker, "bob").await;
    drop_connection(&mut broker, bob).await;
    let until = Timestamp::from_millis(i64::MAX);
    let logout = RevokeTokens::Key { user: user("bob"), key: "login-bob".to_owned(), until };
    broker.addr.send(logout).await.unwrap().unwrap();
    let again = |connect: Connect| {
        let claims = crate::support::claims_of(user("bob"), Some("another".to_owned()));
        Connect { claims: Box::new(claims), ..known.back()(connect) }
    };
    let socket = broker.return_with("bob", again).await;
    assert!(admission(&mut broker, socket).await.resume_data.is_none());
}

#[actix::test]
async fn a_token_past_its_time_serves_for_a_session_that_is_not() {
    let mut broker = Broker::new().await;
    let expired = Some(Timestamp::from_millis(1));
    let (bob, known) = come(&mut broker, "bob").await;
    drop_connection(&mut broker, bob).await;
    let late = |connect: Connect| {
        let claims = parlance::auth::Claims { expires_at: expired, ..(*connect.claims).clone() };
        Connect { claims: Box::new(claims), ..connect }
    };
    let refused = |notice: &Notice| matches!(notice, Notice::Refused(RefusedConnect::TokenExpired)).then_some(());
    let stranger = broker.return_with("bob", late).await;
    broker.notice(stranger, refused).await;
    let unknown = broker.return_with("dan", late).await;
    broker.notice(unknown, refused).await;
    let bob = broker.return_with("bob", |connect| late(known.back()(connect))).await;
    let back = admission(&mut broker, bob).await;
    assert!(back.resume_data.is_some());
    assert_eq!(back.expires_at, None, "the later expiry counts");
}

#[actix::test]
async fn a_session_lives_as_long_as_the_later_token() {
    let mut broker = Broker::new().await;
    let at = |hours: i64| Some(Timestamp::from_millis(1_767_225_600_000 + hours * 3_600_000));
    let with = |expires_at| {
        move |connect: Connect| {
            let claims = parlance::auth::Claims { expires_at, ..(*connect.claims).clone() };
            Connect { claims: Box::new(claims), ..connect }
        }
    };
    let socket = broker.return_with("bob", with(at(2))).await;
    let first = admission(&mut broker, socket).await;
    caught_up(&mut broker, socket, &first).await;
    let known = Known::of(&first);
    for (hours, expected) in [(1, 2), (3, 3), (2, 3)] {
        let socket = broker.return_with("bob", |connect| with(at(hours))(known.back()(connect))).await;
        let back = admission(&mut broker, socket).await;
        assert_eq!((back.resume_data.is_some(), back.expires_at), (true, at(expected)));
    }
    broker.pass(4 * 3_600 * SECOND).await;
    let socket = broker.return_with("bob", |connect| with(at(3))(known.back()(connect))).await;
    broker.notice(socket, |notice| matches!(notice, Notice::Refused(RefusedConnect::TokenExpired)).then_some(())).await;
}

#[actix::test]
async fn the_senders_own_copy_is_held_again_or_shown() {
    let mut broker = Broker::new().await;
    broker.answer_pings(false);
    let group = broker.group(&["ann", "bob"]).await;
    let bob = broker.connect("bob").await;
    let (ann, known) = come(&mut broker, "ann").await;
    let say = |what: &str| Command::Send { to: SendTo::Conversation(group), draft: text(what) };
    let mut kinds = Vec::new();
    let mut socket = ann;
    for is_stored_before in [false, true] {
        broker.begin_with(socket, say("own"), true).await;
        drop_connection(&mut broker, socket).await;
        if is_stored_before {
            broker.settle().await;
        }
        let (ann, admission, _) = resume_session(&mut broker, "ann", known).await;
        let replays = admission.resume_data.unwrap().missed;
        kinds.extend(replays.iter().filter(|replay| message_of(replay.event.event()).is_some()).map(|replay| replay.kind));
        if !is_stored_before && kinds == [ReplayKind::Held] {
            broker.notice(ann, |notice| matches!(notice, Notice::Settle { stored: true, .. }).then_some(())).await;
        }
        socket = ann;
    }
    // The first one's kind depends on the speed of the store.
    assert!(matches!(kinds[..], [ReplayKind::Held | ReplayKind::Own, ReplayKind::Own, ReplayKind::Own]), "{kinds:?}");
    assert_eq!(broker.events(bob).await.iter().filter_map(message_of).count(), 2);
    assert!(broker.events(socket).await.iter().all(|event| message_of(event).is_none()), "a sender is no receiver");
}

#[actix::test]
async fn a_client_that_comes_anew_gets_what_this_device_lacks() {
    let mut broker = Broker::new().await;
    let group = broker.group(&["ann", "bob"]).await;
    let ann = broker.connect("ann").await;
    let (bob, known) = come(&mut broker, "bob").await;
    let in_group = |what: &str| Command::Send { to: SendTo::Conversation(group), draft: text(what) };
    broker.ask(ann, in_group("seen")).await.unwrap();
    let known = Known { offset: read(&mut broker, bob).await, ..known };
    broker.ask(bob, in_group("own")).await.unwrap();
    drop_connection(&mut broker, bob).await;
    let other = broker.connect("bob").await;
    broker.ask(ann, in_group("one")).await.unwrap();
    broker.ask(ann, direct("bob", "two")).await.unwrap();
    broker.ask(other, in_group("from another device")).await.unwrap();
    broker.ask(ann, direct("cid", "not his")).await.unwrap();
    broker.pass(200 * SECOND).await;
    let (bob, admission, missed) = resume_session(&mut broker, "bob", known).await;
    assert_eq!(missed, None);
    assert!(matches!(admission.initial_offset.offset().unwrap().kind, OffsetKind::CaughtUp), "it lacks all after its place");
    let (texts, last) = pages(&mut broker, bob).await;
    assert_eq!(texts, ["one", "two", "from another device"], "his other device had them");
    let again = Known { pid: admission.pid, offset: last.map(|last| last.at(Part::ALL)) };
    broker.pass(200 * SECOND).await;
    broker.ask(ann, direct("bob", "three")).await.unwrap();
    let (bob, admission, _) =
        resume_session(&mut broker, "bob", Known { pid: PrivateId::parse(&"x".repeat(20)).unwrap(), ..again }).await;
    assert!(admission.catch_up);
    assert_eq!(pages(&mut broker, bob).await.0, ["three"]);
}

#[actix::test]
async fn what_a_client_sent_is_not_shown_to_it_however_often_it_comes_anew() {
    let mut broker = Broker::with(Options { recovery_ttl: Duration::ZERO, ..Options::default() }).await;
    let (ann, (mut bob, mut known)) = (broker.connect("ann").await, come(&mut broker, "bob").await);
    broker.ask(bob, direct("ann", "own")).await.unwrap();
    broker.ask(ann, direct("bob", "one")).await.unwrap();
    for _ in 0..3 {
        // It is cut before anything has reached it.
        drop_connection(&mut broker, bob).await;
        let (socket, admission, _) = resume_session(&mut broker, "bob", known).await;
        assert_eq!(pages(&mut broker, socket).await.0, ["one"]);
        (bob, known) = (socket, Known { pid: admission.pid, ..known });
    }
}

#[actix::test]
async fn nor_is_what_was_being_stored_when_it_came_anew() {
    let stored = Options { recovery_ttl: Duration::ZERO, delivery: Delivery::Stored, ..Options::default() };
    let mut broker = Broker::with(stored).await;
    let (other, (bob, known)) = (broker.connect("bob").await, come(&mut broker, "bob").await);
    broker.ask(bob, direct("ann", "before")).await.unwrap();
    broker.message(other).await;
    let outage = broker.database.hold_writes().await;
    broker.begin(bob, direct("ann", "own")).await;
    drop_connection(&mut broker, bob).await;
    let (bob, ..) = resume_session(&mut broker, "bob", known).await;
    drop(outage);
    assert_eq!(broker.message(other).await.content, "own");
    assert!(broker.events(bob).await.iter().all(|event| message_of(event).is_none()));
}

#[actix::test]
async fn nor_is_what_waited_for_a_read_when_its_session_ended() {
    let mut broker = Broker::with(Options { recovery_ttl: Duration::ZERO, ..Options::default() }).await;
    let (other, (bob, known)) = (broker.connect("bob").await, come(&mut broker, "bob").await);
    broker.ask(bob, direct("ann", "before")).await.unwrap();
    broker.message(other).await;
    let hold = broker.hold_reads().await;
    // That no conversation with cid exists yet has to be read.
    broker.begin(bob, direct("cid", "own")).await;
    drop_connection(&mut broker, bob).await;
    drop(hold);
    assert_eq!(broker.message(other).await.content, "own");
    let (bob, admission, _) = resume_session(&mut broker, "bob", known).await;
    assert!(admission.catch_up);
    assert_eq!(pages(&mut broker, bob).await.0, [""; 0]);
}

#[actix::test]
async fn a_catch_up_that_was_cut_goes_on_by_its_offset() {
    let mut broker = Broker::with(Options { catch_up_page_bytes: 10_000, ..Options::default() }).await;
    let ann = broker.connect("ann").await;
    for number in 0..6 {
        broker.ask(ann, direct("bob", &format!("{number}{}", "x".repeat(3_000)))).await.unwrap();
    }
    let bob = broker.knock("bob").await;
    let first = admission(&mut broker, bob).await;
    let offset = first.initial_offset.offset().unwrap();
    assert!(matches!(offset.kind, OffsetKind::Unreceived { .. }) && offset.position == 0);
    let page = broker.notice(bob, |notice| if let Notice::CatchUp(page) = notice { Some(page.clone()) } else { None }).await;
    let had = page[1].offset().unwrap().at(Part::ALL);
    drop_connection(&mut broker, bob).await;
    broker.ask(ann, direct("bob", "later")).await.unwrap();
    let (bob, again, missed) = resume_session(&mut broker, "bob", Known { pid: first.pid, offset: Some(had) }).await;
    assert_eq!((missed, again.catch_up), (None, true), "a session that was cut in a catch-up is caught up");
    let (texts, _) = pages(&mut broker, bob).await;
    let numbers: Vec<_> = texts.iter().map(|text| text.trim_end_matches('x')).collect();
    assert_eq!(numbers, ["2", "3", "4", "5", "later"]);
}

#[actix::test]
async fn after_a_restart_an_offset_still_says_what_is_lacking() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let (bob, known) = come(&mut broker, "bob").await;
    broker.ask(ann, direct("bob", "seen")).await.unwrap();
    let offset = read(&mut broker, bob).await;
    drop_connection(&mut broker, bob).await;
    broker.ask(ann, direct("bob", "one")).await.unwrap();
    broker.settle().await;
    let mut broker = broker.restarted().await;
    let ann = broker.connect("ann").await;
    broker.ask(ann, direct("bob", "two")).await.unwrap();
    let (bob, _, missed) = resume_session(&mut broker, "bob", Known { offset, ..known }).await;
    assert_eq!(missed, None);
    assert_eq!(pages(&mut broker, bob).await.0, ["one", "two"]);
    let mut foreign = offset.unwrap();
    foreign.epoch.mark += 1;
    let socket = broker.return_with("bob", Known { offset: Some(foreign), ..known }.back()).await;
    assert!(!admission(&mut broker, socket).await.catch_up, "another database's offset counts as none");
}

#[actix::test]
async fn a_message_that_a_crash_took_does_not_hide_the_one_that_has_its_position() {
    let mut broker = Broker::new().await;
    let (_, known) = come(&mut broker, "bob").await;
    let offset = known.offset.map(|offset| Offset { position: 1, part: Part::ALL, ..offset });
    let mut broker = broker.restarted().await;
    let ann = broker.connect("ann").await;
    broker.ask(ann, direct("bob", "new")).await.unwrap();
    let (bob, admission, _) = resume_session(&mut broker, "bob", Known { offset, ..known }).await;
    assert!(admission.catch_up);
    assert_eq!(pages(&mut broker, bob).await.0, ["new"]);
}

#[actix::test]
async fn detached_counts_as_not_connected_and_replayed_as_seen() {
    let mut broker = Broker::new().await;
    let ann = broker.connect("ann").await;
    let (bob, known) = come(&mut broker, "bob").await;
    drop_connection(&mut broker, bob).await;
    let notify = Command::Notify { kind: "order".to_owned(), message: "sold".to_owned(), data: None, emitted: None };
    broker.ask_as("bob", notify).await.unwrap();
    broker.pass(6 * SECOND).await;
    let offline = |event: &Event| match event {
        Event::Presence(changes) => changes.iter().any(|change| matches!(change, PresenceChange::Offline { .. })),
        _ => false,
    };
    assert!(broker.events(ann).await.iter().any(offline), "the user is offline after the time of grace");
    let (bob, admission, _) = resume_session(&mut broker, "bob", known).await;
    let is_replayed =
        admission.resume_data.unwrap().missed.iter().any(|replay| matches!(replay.event.event(), Event::Notification(_)));
    assert!(is_replayed);
    broker.disconnect(bob, true).await;
    let (bob, _) = come(&mut broker, "bob").await;
    assert!(!broker.all(bob).await.iter().any(|heard| match heard {
        Heard::Notice(notice) => matches!(&**notice, Notice::CatchUp(_)),
        Heard::Event(event) => matches!(event.event(), Event::Notification(_)),
    }));
}

#[actix::test]
async fn who_came_went_and_typed_meanwhile_is_told() {
    let mut broker = Broker::new().await;
    let (left, typed) = (broker.group(&["ann", "bob"]).await, broker.group(&["ann", "bob"]).await);
    let (ann, cid) = (broker.connect("ann").await, broker.connect("cid").await);
    let (bob, known) = come(&mut broker, "bob").await;
    broker.pass(SECOND).await;
    broker.ask(ann, Command::Typing { conversation: left, active: true }).await.unwrap();
    broker.ask(ann, direct("bob", "seen")).await.unwrap();
    let known = Known { offset: read(&mut broker, bob).await, ..known };
    drop_connection(&mut broker, bob).await;
    broker.ask(ann, Command::Typing { conversation: left, active: false }).await.unwrap();
    broker.ask(ann, Command::Typing { conversation: typed, active: true }).await.unwrap();
    broker.disconnect(cid, true).await;
    broker.pass(SECOND).await;
    let (_, admission, missed) = resume_session(&mut broker, "bob", known).await;
    assert_eq!(missed.unwrap(), Vec::<String>::new());
    let mut told: Vec<_> = admission
        .resume_data
        .unwrap()
        .states
        .iter()
        .filter_map(|state| match state.event() {
            Event::Typing { conversation, active, .. } => Some(format!("{} {active}", *conversation == left)),
            Event::Presence(changes) => match &changes[..] {
                [PresenceChange::Offline { user, .. }] => Some(format!("{user} went")),
                _ => None,
            },
            _ => None,
        })
        .collect();
    told.sort();
    assert_eq!(told, ["cid went", "false true", "true false"]);
}
