//! Figures for administrators, and their actions.
use actix::{Actor, Context, Handler};
use futures_util::StreamExt as _;
use parlance::chat::{Notice, RegisterWorker, ToWorker};
use parlance::engineio::{ConnectionKey, Delivery, Slot};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::server::{LIMIT, TestApi};
use crate::chat::broker::first_connect;

/// A worker thread with one connection.
struct Worker(mpsc::UnboundedSender<Notice>);

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Handler<ToWorker> for Worker {
    type Result = ();

    fn handle(&mut self, delivery: ToWorker, _: &mut Context<Self>) {
        if let Delivery::ToOne { notice, .. } = delivery {
            self.0.send(notice).unwrap();
        }
    }
}

/// Connects a socket; returns the notices to it.
async fn connect(api: &TestApi, name: &str) -> mpsc::UnboundedReceiver<Notice> {
    let (sender, mut notices) = mpsc::unbounded_channel();
    let deliveries = Worker(sender).start().recipient().into();
    api.broker.send(RegisterWorker { worker: 0, deliveries }).await.unwrap();
    let connection = ConnectionKey { worker: 0, slot: Slot { index: 1, generation: 0 } };
    api.broker.send(first_connect(connection, name)).await.unwrap();
    let admitted = async { while !matches!(notices.recv().await.unwrap(), Notice::Admitted(_)) {} };
    tokio::time::timeout(LIMIT, admitted).await.unwrap();
    notices
}

#[actix_web::test]
async fn a_disabled_account_has_no_sockets_once_that_is_answered() {
    let api = TestApi::start().await;
    let mut notices = connect(&api, "ann").await;
    api.call("root", "PATCH", "/api/admin/users/ann", json!({ "disabled": true })).await.expect(200);
    let kicked = std::iter::from_fn(|| notices.try_recv().ok()).find_map(|notice| match notice {
        Notice::Kick { code } => Some(code),
        _ => None,
    });
    assert_eq!(kicked, Some("ACCOUNT_DISABLED"), "nothing here looks for changes: the request itself kicks");
}

#[actix_web::test]
async fn figures_are_for_administrators() {
    let api = TestApi::start().await;
    for path in ["/api/admin/stats", "/api/admin/stats/stream"] {
        api.get("ann", path).await.refused(403, "FORBIDDEN");
        api.anonymous("GET", path, Value::Null).await.refused(401, "NO_TOKEN");
    }
    let stats = api.get("root", "/api/admin/stats").await.expect(200)["stats"].clone();
    for pointer in ["/time", "/uptimeSeconds", "/messagesPerSecond", "/chat/sockets", "/store/queued", "/connections/polling"] {
        assert!(stats.pointer(pointer).is_some(), "{pointer} in {stats}");
    }
    let by_key = api.send("GET", "/api/admin/stats", &[("x-api-key", "server-key")], "").await;
    by_key.expect(200);
}

#[actix_web::test]
async fn the_stream_is_a_line_a_second_until_the_server_stops() {
    let api = TestApi::start().await;
    let request =
        api.client.get(format!("http://{}/api/admin/stats/stream", api.address)).insert_header(("x-api-key", "server-key"));
    let mut response = request.send().await.unwrap();
    assert_eq!(response.headers().get("content-type").unwrap(), "text/event-stream");
    let mut text = String::new();
    while text.matches("\n\n").count() < 2 {
        let chunk = tokio::time::timeout(LIMIT, response.next()).await.unwrap().unwrap().unwrap();
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    for event in text.split_terminator("\n\n") {
        let figures: Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
        assert!(figures["chat"]["sockets"].is_number());
    }
    api.drain();
    while let Some(chunk) = tokio::time::timeout(LIMIT, response.next()).await.unwrap() {
        chunk.unwrap();
    }
}

#[actix_web::test]
async fn an_account_is_disabled_and_enabled_again() {
    let api = TestApi::start().await;
    api.get("ann", "/api/auth/me").await.expect(200);
    let change = |disabled: bool| json!({ "disabled": disabled });
    let done = api.call("root", "PATCH", "/api/admin/users/ann", change(true)).await.expect(200);
    assert_eq!((&done["user"]["id"], &done["user"]["disabled"]), (&json!("ann"), &json!(true)));
    api.get("ann", "/api/auth/me").await.refused(401, "ACCOUNT_DISABLED");
    api.call("root", "PATCH", "/api/admin/users/ann", change(false)).await.expect(200);
    api.get("ann", "/api/auth/me").await.expect(200);
    for (path, body, status, code) in [
        ("/api/admin/users/nobody", change(true), 404, "NOT_FOUND"),
        ("/api/admin/users/model", json!({ "password": "a long password" }), 404, "NOT_FOUND"),
        ("/api/admin/users/n%20o", change(true), 404, "NOT_FOUND"),
        ("/api/admin/users/ann", json!({}), 400, "INVALID_PAYLOAD"),
        ("/api/admin/users/ann", json!({ "disabled": "yes" }), 400, "INVALID_PAYLOAD"),
        ("/api/admin/users/root", change(true), 403, "FORBIDDEN"),
    ] {
        api.call("root", "PATCH", path, body).await.refused(status, code);
    }
    for path in ["/api/admin/sockets/x/kick", "/api/admin/sockets/xxxxxxxxxxxxxxxxxxxx/kick"] {
        api.call("root", "POST", path, json!({})).await.refused(404, "NOT_FOUND");
    }
}
