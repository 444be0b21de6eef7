//! A dialect from outside the library, made known to the whole server by one line of code.
use parlance::config::{Config, DialectNames};
use parlance::dialect::{RegisterError, register};
use rust_socketio::TransportType;
use serde_json::{Value, json};

use super::TestApp;
use super::telegraph::Telegraph;
use super::user::User;

/// Returns the expected value, with `null` replaced by the server's own choices in `value`.
fn filled(mut expected: Value, value: &Value) -> Value {
    let fields = expected.as_object_mut().unwrap();
    for (name, field) in fields.iter_mut().filter(|(_, field)| field.is_null()) {
        *field = value[name].clone();
        assert!(field.is_string(), "{name} in {value}");
    }
    expected
}

#[actix::test]
async fn a_sixth_dialect_talks_with_messenger() {
    register(&Telegraph).unwrap();
    assert_eq!(register(&Telegraph), Err(RegisterError::NameTaken));
    let names = DialectNames::Listed(vec!["telegraph".to_owned(), "messenger".to_owned()]);
    let app = TestApp::start_with(Config { dialects: names, ..Config::default() }).await;
    for transport in [TransportType::Polling, TransportType::Websocket] {
        talk(&app, transport).await;
    }
    app.running.stop().await;
}

async fn talk(app: &TestApp, transport: TransportType) {
    let mut tom = User::connect(app, "tom", ("telegraph", "on_key"), transport.clone()).await;
    let mut mia = User::connect(app, "mia", ("messenger", "user_online"), transport).await;
    assert_eq!(tom.next("on_key").await, json!({ "who": "mia" }));

    let ack = tom.ask("wire", json!({ "to": "mia", "text": "ARRIVING MONDAY STOP" })).await;
    assert_eq!(ack, filled(json!({ "success": true, "no": null }), &ack));
    let heard = mia.next("new_message").await;
    let message = &heard["message"];
    assert_eq!((&message["_id"], &message["content"]), (&ack["no"], &json!("ARRIVING MONDAY STOP")));
    assert_eq!(mia.ask("mark_as_read", json!({ "messageId": ack["no"] })).await, json!({ "success": true }));
    let slip = tom.next("slip").await;
    assert_eq!(slip, filled(json!({ "no": ack["no"], "by": "mia", "at": null }), &slip));

    let sent = mia.ask("send_direct_message", json!({ "recipientId": "tom", "content": "I'll be there" })).await;
    assert_eq!((&sent["success"], &sent["status"]), (&json!(true), &json!("delivered")), "{sent}");
    let no = &sent["message"]["_id"];
    let wired = tom.next("wired").await;
    assert_eq!(wired, json!({ "no": no, "from": "mia", "text": "I'll be there", "at": sent["message"]["createdAt"] }));
    assert_eq!(tom.ask("sign", json!({ "no": no })).await, json!({ "success": true }));
    let read = mia.next("message_read").await;
    assert_eq!((&read["messageId"], &read["readBy"]), (no, &json!("tom")));

    let refused = tom.ask("wire", json!({ "to": "mia", "text": "" })).await;
    assert_eq!(refused, json!({ "success": false, "error": "INVALID TEXT STOP", "code": "INVALID_PAYLOAD" }));
    tom.client.emit("wire", json!({ "text": "TO WHOM" })).await.unwrap();
    let error = tom.next("error").await;
    let sentence = "MISSING TO STOP";
    assert_eq!(error, json!({ "message": sentence, "error": sentence, "code": "INVALID_PAYLOAD", "event": "wire" }));

    mia.client.disconnect().await.unwrap();
    assert_eq!(tom.next("off_key").await, json!({ "who": "mia" }));
    tom.client.disconnect().await.unwrap();
}
