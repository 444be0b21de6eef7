//! Conversations, messages, history.
use parlance::chat::{Command, Draft, SendTo};
use parlance::model::RoomId;
use serde_json::{Value, json};

use super::server::TestApi;

async fn group(api: &TestApi, participants: &[&str]) -> String {
    let body = json!({"type": "group", "name": "Team", "participants": participants});
    let answer = api.call("ann", "POST", "/api/conversations", body).await;
    answer.expect(201);
    answer.text("/conversation/id")
}

async fn say(api: &TestApi, user: &str, conversation: &str, content: &str) -> Value {
    let path = format!("/api/conversations/{conversation}/messages");
    api.call(user, "POST", &path, json!({"content": content})).await.expect(201)["message"].clone()
}

fn contents(answer: &Value) -> Vec<&str> {
    answer["messages"].as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn a_group_lives_and_ends() {
    let api = TestApi::start().await;
    let id = group(&api, &["bob", "bob"]).await;
    let path = format!("/api/conversations/{id}");
    let shown = api.get("bob", &path).await.expect(200)["conversation"].clone();
    for (field, value) in [
        ("id", json!(id)),
        ("type", json!("group")),
        ("name", json!("Team")),
        ("avatar", Value::Null),
        ("participants", json!(["ann", "bob"])),
        ("admin", json!("ann")),
        ("lastMessage", Value::Null),
        ("unreadCount", json!(0)),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    api.get("cid", &path).await.refused(403, "FORBIDDEN");
    api.call("bob", "PATCH", &path, json!({"name": "Ours"})).await.refused(403, "FORBIDDEN");
    let renamed = api.call("ann", "PATCH", &path, json!({"name": "Ours", "avatar": "/a.png"})).await.expect(200);
    assert_eq!((&renamed["conversation"]["name"], &renamed["conversation"]["avatar"]), (&json!("Ours"), &json!("/a.png")));
    let people = format!("{path}/participants");
    api.call("bob", "POST", &people, json!({"participants": ["cid"]})).await.refused(403, "FORBIDDEN");
    api.call("ann", "POST", &people, json!({"participants": ["nobody"]})).await.refused(404, "NOT_FOUND");
    let grown = api.call("ann", "POST", &people, json!({"participants": ["cid"]})).await.expect(200);
    assert_eq!(grown["conversation"]["participants"], json!(["ann", "bob", "cid"]));
    api.call("bob", "DELETE", &format!("{people}/cid"), Value::Null).await.refused(403, "FORBIDDEN");
    api.call("cid", "DELETE", &format!("{people}/cid"), Value::Null).await.expect(200);
    api.get("cid", &path).await.refused(403, "FORBIDDEN");
    api.call("ann", "DELETE", &format!("{people}/ann"), Value::Null).await.expect(200);
    assert_eq!(api.get("bob", &path).await.expect(200)["conversation"]["admin"], "bob");
    api.call("bob", "DELETE", &path, Value::Null).await.expect(200);
    api.get("bob", &path).await.refused(404, "NOT_FOUND");
}

#[actix_web::test]
async fn a_direct_conversation_is_made_once() {
    let api = TestApi::start().await;
    let make = async |user: &str, other: Value| {
        api.call(user, "POST", "/api/conversations", json!({"type": "direct", "participantId": other})).await
    };
    let first = make("ann", json!("bob")).await;
    first.expect(201);
    let again = make("bob", json!("ann")).await;
    assert_eq!(again.expect(200)["conversation"]["id"], first.json()["conversation"]["id"]);
    assert_eq!(make("ann", json!("nobody")).await.refused(404, "NOT_FOUND"), "User not found");
    make("ann", json!("a\tb")).await.refused(400, "INVALID_PAYLOAD");
    make("ann", Value::Null).await.refused(400, "INVALID_PAYLOAD");
    let id = first.text("/conversation/id");
    api.call("ann", "DELETE", &format!("/api/conversations/{id}"), Value::Null).await.refused(403, "FORBIDDEN");
}

#[actix_web::test]
async fn a_message_is_sent_edited_and_deleted() {
    let api = TestApi::start().await;
    let id = group(&api, &["bob"]).await;
    let path = format!("/api/conversations/{id}/messages");
    let send = async |user: &str, body: Value| api.call(user, "POST", &path, body).await;
    let body = json!({"content": "hi", "type": "poem", "clientMessageId": 7});
    let sent = send("ann", body.clone()).await.expect(201);
    assert_eq!(sent["status"], "sent");
    let message = &sent["message"];
    for (field, value) in [
        ("conversationId", json!(id)),
        ("sender", json!({"_id": "ann", "username": "ann", "avatar": null})),
        ("content", json!("hi")),
        ("messageType", json!("text")),
        ("file", Value::Null),
        ("readBy", json!([])),
        ("clientMessageId", json!("7")),
        ("seq", json!(1)),
        ("role", json!("user")),
        ("attachments", json!([])),
        ("listingId", Value::Null),
    ] {
        assert_eq!(message[field], value, "{field}");
    }
    let again = send("ann", body).await.expect(201);
    assert_eq!(again["message"]["_id"], message["_id"]);
    send("ann", json!({"content": "other", "clientMessageId": "7"})).await.refused(409, "CONFLICT");
    send("cid", json!({"content": "x"})).await.refused(403, "FORBIDDEN");
    for bad in [
        json!({}),
        json!({"content": ""}),
        json!({"content": 5}),
        json!({"content": "a\u{0}"}),
        json!({"content": "x", "type": ""}),
        json!({"content": "x", "clientMessageId": ""}),
        json!({"content": "x", "attachments": {}}),
        json!({"content": "x", "attachments": [1]}),
        json!({"content": "x", "file": "y"}),
        json!({"content": "x", "attachments": vec![json!({"url": "/uploads/x"}); 21]}),
    ] {
        send("ann", bad).await.refused(400, "INVALID_PAYLOAD");
    }
    send("ann", json!({"file": {"url": "/uploads/unknown.png"}})).await.refused(404, "NOT_FOUND");

    let one = format!("/api/messages/{}", message["_id"].as_str().unwrap());
    api.call("bob", "PATCH", &one, json!({"content": "mine"})).await.refused(403, "FORBIDDEN");
    assert_eq!(api.call("ann", "PATCH", &one, json!({"content": "ho"})).await.expect(200)["message"]["content"], "ho");
    api.call("ann", "PATCH", &one, json!({})).await.refused(400, "INVALID_PAYLOAD");
    assert_eq!(contents(&api.get("bob", &path).await.expect(200)), ["ho"]);
    api.call("bob", "DELETE", &one, Value::Null).await.refused(403, "FORBIDDEN");
    api.call("ann", "DELETE", &one, Value::Null).await.expect(200);
    assert_eq!(contents(&api.get("bob", &path).await.expect(200)), [""; 0]);
    api.call("ann", "DELETE", "/api/messages/nothing", Value::Null).await.refused(404, "NOT_FOUND");
}

#[actix_web::test]
async fn history_is_read_in_pages_both_ways() {
    let api = TestApi::start().await;
    let id = group(&api, &["bob"]).await;
    for number in 1..=7 {
        say(&api, "ann", &id, &number.to_string()).await;
    }
    let path = format!("/api/conversations/{id}/messages");
    let newest = api.get("bob", &format!("{path}?limit=3")).await.expect(200);
    assert_eq!(contents(&newest), ["5", "6", "7"]);
    let before = |answer: &Value| format!("{path}?limit=3&before={}", answer["nextCursor"].as_str().unwrap());
    let older = api.get("bob", &before(&newest)).await.expect(200);
    assert_eq!(contents(&older), ["2", "3", "4"]);
    let oldest = api.get("bob", &before(&older)).await.expect(200);
    assert_eq!((contents(&oldest), &oldest["nextCursor"]), (vec!["1"], &Value::Null));
    let after = format!("{path}?limit=2&after={}", older["nextCursor"].as_str().unwrap());
    let forward = api.get("bob", &after).await.expect(200);
    assert_eq!(contents(&forward), ["3", "4"]);
    let after = format!("{path}?limit=5&after={}", forward["nextCursor"].as_str().unwrap());
    let last = api.get("bob", &after).await.expect(200);
    assert_eq!((contents(&last), &last["nextCursor"]), (vec!["5", "6", "7"], &Value::Null));
    let all = api.get("bob", &path).await.expect(200);
    assert_eq!((contents(&all).len(), &all["nextCursor"]), (7, &Value::Null));
    api.get("cid", &path).await.refused(403, "FORBIDDEN");
    let nowhere = "/api/conversations/01890a5d-ac96-774b-bcce-b302099a8057/messages";
    api.get("ann", nowhere).await.refused(404, "NOT_FOUND");
}

#[actix_web::test]
async fn conversations_are_listed_last_active_first() {
    let api = TestApi::start().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(group(&api, &["bob"]).await);
    }
    say(&api, "ann", &ids[1], "one").await;
    say(&api, "bob", &ids[1], "two").await;
    let mut listed = Vec::new();
    let mut path = "/api/conversations?limit=2".to_owned();
    loop {
        let page = api.get("bob", &path).await.expect(200);
        let conversations = page["conversations"].as_array().unwrap();
        listed.extend(conversations.iter().map(|conversation| conversation["id"].as_str().unwrap().to_owned()));
        if ids[1] == listed[0] && listed.len() == 2 {
            let first = &conversations[0];
            assert_eq!(first["unreadCount"], 1);
            assert_eq!((&first["lastMessage"]["content"], &first["lastMessage"]["sender"]), (&json!("two"), &json!("bob")));
        }
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("/api/conversations?limit=2&before={cursor}"),
            None => break,
        }
    }
    assert_eq!(listed[0], ids[1]);
    let (mut sorted, mut all) = (listed.clone(), ids.clone());
    sorted.sort();
    all.sort();
    assert_eq!(sorted, all, "each once");
    assert_eq!(api.get("cid", "/api/conversations").await.expect(200)["conversations"], json!([]));
}

#[actix_web::test]
async fn rooms_and_the_common_chat_have_public_histories() {
    let api = TestApi::start().await;
    assert_eq!(api.get("cid", "/api/rooms/a%2Fb%20%25/messages").await.expect(200)["messages"], json!([]));
    let draft = Draft { content: "hello".to_owned(), ..Draft::default() };
    let room = RoomId::parse("a/b %").unwrap();
    api.command("ann", Command::Send { to: SendTo::Room { room, shown_as: "\"a/b %\"".into() }, draft: draft.clone() }).await;
    api.command("ann", Command::Send { to: SendTo::CommonChat, draft }).await;
    let found = api.get("cid", "/api/rooms/a%2Fb%20%25/messages").await.expect(200)["messages"][0].clone();
    assert_eq!((&found["message"], &found["roomId"], &found["seq"]), (&json!("hello"), &json!("a/b %"), &json!(1)));
    assert_eq!(found["user"], json!({"_id": "ann", "fullName": "ANN Example", "username": "ann", "profilePicture": null}));
    let common = api.get("cid", "/api/common-chat/messages").await.expect(200)["messages"][0].clone();
    assert_eq!((&common["message"], &common["messageType"]), (&json!("hello"), &json!("text")));
    assert!(common.get("roomId").is_none());
    api.anonymous("GET", "/api/common-chat/messages", Value::Null).await.refused(401, "NO_TOKEN");
}
