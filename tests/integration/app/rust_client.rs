//! `rust_socketio` sends, receives and is acked, over polling and WebSocket.
use std::time::Duration;

use futures_util::FutureExt as _;
use rust_socketio::asynchronous::{Client, ClientBuilder};
use rust_socketio::{Payload, TransportType};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::TestApp;

/// No wait is longer.
const LIMIT: Duration = Duration::from_secs(20);

struct User {
    client: Client,
    heard: mpsc::UnboundedReceiver<(String, Value)>,
}

impl User {
    async fn connect(app: &TestApp, name: &str, transport: TransportType) -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        let token = app.token(name);
        let client = ClientBuilder::new(app.running.address())
            .transport_type(transport)
            .auth(json!({ "token": token, "dialect": "messenger" }))
            .on_any(move |event, payload, _| {
                let tell = tell.clone();
                async move {
                    let first = if let Payload::Text(values) = payload { values.into_iter().next() } else { None };
                    let _ = tell.send((event.to_string(), first.unwrap_or_default()));
                }
                .boxed()
            })
            .connect()
            .await
            .unwrap();
        let mut user = Self { client, heard };
        // One's own presence is the first event after the CONNECT: from now on nothing is missed.
        user.next("user_online").await;
        user
    }

    /// The next event of this name.
    async fn next(&mut self, name: &str) -> Value {
        loop {
            let (event, value) = tokio::time::timeout(LIMIT, self.heard.recv()).await.expect(name).unwrap();
            if event == name {
                return value;
            }
        }
    }

    /// Emits and waits for the ack.
    async fn ask(&self, event: &str, payload: Value) -> Value {
        let (tell, mut acked) = mpsc::unbounded_channel();
        let on_ack = move |payload: Payload, _: Client| {
            let tell = tell.clone();
            async move {
                if let Payload::Text(values) = payload {
                    let _ = tell.send(values.into_iter().next().unwrap_or_default());
                }
            }
            .boxed()
        };
        self.client.emit_with_ack(event, payload, LIMIT, on_ack).await.unwrap();
        let ack = tokio::time::timeout(LIMIT, acked.recv()).await.expect("an ack in time").unwrap();
        // This client hands over the list of an ack's arguments.
        if let Value::Array(mut arguments) = ack { arguments.remove(0) } else { ack }
    }
}

async fn exchange(transport: TransportType) {
    let app = TestApp::start().await;
    let (ann, mut bob) = (User::connect(&app, "ann", transport.clone()).await, User::connect(&app, "bob", transport).await);
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
