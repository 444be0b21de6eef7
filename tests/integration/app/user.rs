//! A user with a stock Rust client.
use std::time::Duration;

use futures_util::FutureExt as _;
use rust_socketio::asynchronous::{Client, ClientBuilder};
use rust_socketio::{Event, Payload, TransportType};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::TestApp;

/// Time limit of every wait.
const LIMIT: Duration = Duration::from_secs(20);

/// A connected client, and the events that it received.
pub struct User {
    pub client: Client,
    heard: mpsc::UnboundedReceiver<(String, Value)>,
}

impl User {
    /// Connects and pins `dialect`. `first` is the dialect's event for the user's own presence, the first one after the
    /// CONNECT: from then on no event is missed.
    pub async fn connect(app: &TestApp, name: &str, (dialect, first): (&str, &str), transport: TransportType) -> Self {
        let (tell, heard) = mpsc::unbounded_channel::<(String, Value)>();
        let token = app.token(name);
        let hear = move |event: Event, payload: Payload, _: Client| {
            let tell = tell.clone();
            async move {
                let first = if let Payload::Text(values) = payload { values.into_iter().next() } else { None };
                let _ = tell.send((event.to_string(), first.unwrap_or_default()));
            }
            .boxed()
        };
        let hear_error = hear.clone();
        let client = ClientBuilder::new(app.running.address())
            .transport_type(transport)
            .auth(json!({ "token": token, "dialect": dialect }))
            .on_any(hear)
            // This client treats it differently from other events.
            .on(Event::Error, move |payload, client| hear_error(Event::Error, payload, client))
            .connect()
            .await
            .unwrap();
        let mut user = Self { client, heard };
        user.next(first).await;
        user
    }

    /// Returns the next event of this name, skipping others before it.
    pub async fn next(&mut self, name: &str) -> Value {
        loop {
            let (event, value) = tokio::time::timeout(LIMIT, self.heard.recv()).await.expect(name).unwrap();
            if event == name {
                return value;
            }
        }
    }

    /// Emits an event and waits for the ack.
    pub async fn ask(&self, event: &str, payload: Value) -> Value {
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
        // This client passes the list of an ack's arguments.
        if let Value::Array(mut arguments) = ack { arguments.remove(0) } else { ack }
    }
}
