//! Routes for a marketplace's front end and server: copies of direct messages, and titles of listings.
use parlance::chat::{Command, Draft, SendTo, Sent};
use parlance::model::{ListingId, UserId};
use serde_json::{Value, json};

use super::server::TestApi;

async fn send(api: &TestApi, from: &str, to: &str, content: &str) -> String {
    let draft = Draft { content: content.to_owned(), listing_id: ListingId::parse("flat/7").ok(), ..Draft::default() };
    let command = Command::Send { to: SendTo::User(UserId::parse(to).unwrap()), draft };
    match api.command(from, command).await {
        parlance::chat::Reply::Sent(Sent { message, .. }) => message.id.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn sync(api: &TestApi, user: &str, body: Value) -> Value {
    api.call(user, "POST", "/api/messages/sync", body).await.expect(200)
}

fn contents(answer: &Value) -> Vec<&str> {
    answer["messages"].as_array().unwrap().iter().map(|message| message["message"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn a_copy_is_brought_up_to_date() {
    let api = TestApi::start().await;
    let nothing = sync(&api, "ann", json!({"otherUserId": "bob"})).await;
    let beginning = "1970-01-01T00:00:00.000Z";
    assert_eq!(nothing, json!({"success": true, "messages": [], "deleted": [], "syncTimestamp": beginning, "count": 0}));
    assert_eq!(sync(&api, "ann", json!({"otherUserId": "nobody"})).await, nothing);

    let hello = send(&api, "ann", "bob", "hello").await;
    send(&api, "cid", "bob", "from another").await;
    send(&api, "bob", "ann", "hi").await;
    let all = sync(&api, "ann", json!({"otherUserId": "bob", "lastSyncTimestamp": ""})).await;
    assert_eq!((contents(&all), &all["count"]), (vec!["hello", "hi"], &json!(2)));
    let summary = |name: &str| json!({"_id": name, "fullName": format!("{} Example", name.to_uppercase()), "username": name, "profilePicture": null});
    let first = &all["messages"][0];
    let expected = json!({
        "_id": hello,
        "senderId": summary("ann"),
        "receiverId": summary("bob"),
        "message": "hello",
        "listingId": {"_id": "flat/7", "title": null},
        "messageType": "text",
        "isRead": false,
        "createdAt": first["createdAt"],
        "updatedAt": first["createdAt"],
    });
    assert_eq!(first, &expected);
    assert_eq!((&all["messages"][1]["senderId"], &all["messages"][1]["receiverId"]), (&summary("bob"), &summary("ann")));
    assert_eq!(all["syncTimestamp"], all["messages"][1]["updatedAt"]);
    let since = |answer: &Value| json!({"otherUserId": "bob", "lastSyncTimestamp": answer["syncTimestamp"]});
    assert_eq!(contents(&sync(&api, "ann", since(&all)).await), [""; 0]);

    let message = parlance::model::MessageId::parse(&hello).unwrap();
    api.command("bob", Command::MarkRead { message }).await;
    let read = sync(&api, "ann", since(&all)).await;
    assert_eq!((contents(&read), &read["messages"][0]["isRead"]), (vec!["hello"], &json!(true)));
    api.command("ann", Command::EditMessage { message, content: "hello!".to_owned() }).await;
    let edited = sync(&api, "bob", json!({"otherUserId": "ann", "lastSyncTimestamp": read["syncTimestamp"]})).await;
    assert_eq!(contents(&edited), ["hello!"]);
    api.command("ann", Command::DeleteMessage { message }).await;
    let deleted = sync(&api, "ann", since(&edited)).await;
    assert_eq!((contents(&deleted), &deleted["count"]), (vec![], &json!(1)));
    assert_eq!(deleted["deleted"], json!([{"_id": hello, "deletedAt": deleted["syncTimestamp"]}]));
    assert!(deleted["syncTimestamp"].as_str() > edited["syncTimestamp"].as_str());
    let from_the_beginning = sync(&api, "ann", json!({"otherUserId": "bob", "lastSyncTimestamp": 0})).await;
    assert_eq!((contents(&from_the_beginning), &from_the_beginning["deleted"]), (vec!["hi"], &deleted["deleted"]));
    let anew = sync(&api, "ann", json!({"otherUserId": "bob"})).await;
    assert_eq!((contents(&anew), &anew["deleted"], &anew["count"]), (vec!["hi"], &json!([]), &json!(1)));
}

#[actix_web::test]
async fn what_is_malformed_is_refused_in_the_front_ends_words() {
    let api = TestApi::start().await;
    for body in [json!({}), json!({"otherUserId": null}), json!({"otherUserId": ""}), Value::Null] {
        let answer = api.call("ann", "POST", "/api/messages/sync", body).await;
        assert_eq!(answer.refused(400, "INVALID_PAYLOAD"), "otherUserId is required");
    }
    for (field, body) in [
        ("otherUserId", json!({"otherUserId": {}})),
        ("otherUserId", json!({"otherUserId": "a\tb"})),
        ("lastSyncTimestamp", json!({"otherUserId": "bob", "lastSyncTimestamp": "yesterday"})),
        ("lastSyncTimestamp", json!({"otherUserId": "bob", "lastSyncTimestamp": 1.5})),
        ("lastSyncTimestamp", json!({"otherUserId": "bob", "lastSyncTimestamp": true})),
    ] {
        let answer = api.call("ann", "POST", "/api/messages/sync", body).await;
        assert_eq!(answer.refused(400, "INVALID_PAYLOAD"), format!("Invalid {field}"));
    }
    let anonymous = api.anonymous("POST", "/api/messages/sync", json!({"otherUserId": "bob"})).await;
    assert_eq!(anonymous.refused(401, "NO_TOKEN"), "No token");
    api.anonymous("GET", "/api/messages/sync-status", Value::Null).await.refused(401, "NO_TOKEN");
    api.get("ann", "/api/messages/sync").await.refused(405, "METHOD_NOT_ALLOWED");
}

#[actix_web::test]
async fn a_long_absence_is_made_good_in_parts() {
    let api = TestApi::start().await;
    for number in 0..205 {
        send(&api, "ann", "bob", &number.to_string()).await;
    }
    let (mut since, mut seen, mut counts) = (Value::Null, Vec::new(), Vec::new());
    while counts.last() != Some(&0) {
        let answer = sync(&api, "bob", json!({"otherUserId": "ann", "lastSyncTimestamp": since})).await;
        seen.extend(contents(&answer).into_iter().map(str::to_owned));
        counts.push(contents(&answer).len());
        since = answer["syncTimestamp"].clone();
    }
    assert_eq!(counts, [100, 100, 5, 0]);
    assert_eq!(seen, (0..205).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[actix_web::test]
async fn the_last_activity_is_told() {
    let api = TestApi::start().await;
    let status = async |user: &str| api.get(user, "/api/messages/sync-status").await.expect(200);
    let idle = status("ann").await;
    let expected = json!({"success": true, "lastActivity": null, "serverTime": idle["serverTime"], "userId": "ann"});
    assert_eq!(idle, expected);
    let time = parlance::model::Timestamp::parse(idle["serverTime"].as_str().unwrap()).unwrap();
    assert!((parlance::model::Timestamp::now().as_millis() - time.as_millis()).abs() < 60_000);
    send(&api, "ann", "bob", "hello").await;
    let synced = sync(&api, "bob", json!({"otherUserId": "ann"})).await;
    for user in ["ann", "bob"] {
        assert_eq!(status(user).await["lastActivity"], synced["syncTimestamp"]);
    }
    assert_eq!(status("cid").await["lastActivity"], Value::Null);
}

#[actix_web::test]
async fn a_server_says_what_a_listing_is_called() {
    let api = TestApi::start().await;
    let put = async |key: &str, path: &str, body: Value| {
        let headers = [("content-type", "application/json"), ("x-api-key", key)];
        api.send("PUT", path, &headers, serde_json::to_vec(&body).unwrap()).await
    };
    let path = "/api/listings/flat%2F7";
    send(&api, "ann", "bob", "1").await;
    for title in ["Loft", "Sunny \"loft\""] {
        let answer = put("server-key", path, json!({"title": title})).await.expect(200);
        assert_eq!(answer, json!({"success": true, "listing": {"id": "flat/7", "title": title}}));
        let all = sync(&api, "bob", json!({"otherUserId": "ann"})).await;
        assert_eq!(all["messages"][0]["listingId"], json!({"_id": "flat/7", "title": title}));
    }
    put("wrong", path, json!({"title": "x"})).await.refused(401, "INVALID_TOKEN");
    api.call("ann", "PUT", path, json!({"title": "x"})).await.refused(403, "FORBIDDEN");
    api.anonymous("PUT", path, json!({"title": "x"})).await.refused(401, "NO_TOKEN");
    for body in [json!({"title": ""}), json!({"title": 7}), json!({"title": "x".repeat(501)})] {
        assert_eq!(put("server-key", path, body).await.refused(400, "INVALID_PAYLOAD"), "Invalid title");
    }
    for body in [json!({}), json!({"title": null})] {
        assert_eq!(put("server-key", path, body).await.refused(400, "INVALID_PAYLOAD"), "Missing title");
    }
    let long = format!("/api/listings/{}", "x".repeat(201));
    for path in [long.as_str(), "/api/listings/%00"] {
        assert_eq!(put("server-key", path, json!({"title": "x"})).await.refused(400, "INVALID_PAYLOAD"), "Invalid listingId");
    }
}
