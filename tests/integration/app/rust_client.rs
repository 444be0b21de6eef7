//! `rust_socketio` sends, receives and is acked, over polling and WebSocket.
use rust_socketio::TransportType;
use serde_json::json;

use super::TestApp;
use super::user::User;

const MESSENGER: (&str, &str) = ("messenger", "user_online");

async fn exchange(transport: TransportType) {
    let app = TestApp::start().await;
    let ann = User::connect(&app, "ann", MESSENGER, transport.clone()).await;
    let mut bob = User::connect(&app, "bob", MESSENGER, transport).await;
    let ack = ann.ask("send_direct_message", json!({ "recipientId": "bob", "content": "grüß dich" })).await;
    assert_eq!((&ack["success"], &ack["status"]), (&json!(true), &json!("delivered")), "{ack}");
    let heard = bob.next("new_message").await;
    assert_eq!(heard["message"], ack["message"]);
    let read = bob.ask("mark_as_read", json!({ "messageId": heard["message"]["_id"] })).await;
    assert_eq!(read, json!({ "success": true }));
    let refused = ann.ask("send_direct_message", json!({ "recipientId": "bob", "content": "" })).await;
    assert_eq!((&refused["success"], &refused["code"]), (&json!(false), &json!("INVALID_PAYLOAD")));
    ann.client.disconnect().await.unwrap();
    assert_eq!(bob.next("user_offline").await["userId"], json!("ann"));
    app.running.stop().await;
}

#[actix::test]
async fn the_rust_client_talks_over_polling() {
    exchange(TransportType::Polling).await;
}

#[actix::test]
async fn the_rust_client_talks_over_websocket() {
    exchange(TransportType::Websocket).await;
}

#[actix::test]
async fn the_rust_client_talks_across_an_upgrade() {
    exchange(TransportType::WebsocketUpgrade).await;
}
