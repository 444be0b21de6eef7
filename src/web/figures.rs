//! Figures of parts that the routes cannot reach.
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;

use crate::chat::HookVerdict;
use crate::engineio::{ConnectionKey, ConnectionView};
use crate::meter::{ActorStats, Distribution};
use crate::model::{File, Profile};

/// Figures of the connection threads, and of actors not reported elsewhere.
#[derive(Debug, Clone, Default)]
pub struct ServerFigures {
    /// The broker.
    pub broker: ActorStats,
    /// The actors of the workers, one on each thread: they deliver to connections and write for them.
    pub worker_actors: ActorStats,
    /// The connections; their waiting messages are not counted.
    pub connections: ActorStats,
    /// The actor that asks the AI model.
    pub model: ActorStats,
    /// Traffic of the Engine.IO endpoint.
    pub traffic: Traffic,
    /// The operator's hook; `None` if there is none.
    pub hook: Option<HookFigures>,
    /// Events that are handed on; `None` if none are.
    pub forwarded: Option<ForwardFigures>,
}

/// Events that are handed on to the operator's server.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ForwardFigures {
    /// Numbers of events, by outcome: `answered`, `failed`.
    pub events: BTreeMap<&'static str, u64>,
    /// Events that wait for their turn.
    pub waiting: u64,
}

/// Questions to the operator's hook, and their answers.
#[derive(Debug, Clone, Default)]
pub struct HookFigures {
    /// Numbers of answers, by outcome: `allowed`, `changed`, `refused`, `failed`.
    pub answers: BTreeMap<&'static str, u64>,
    /// Questions that wait for their turn.
    pub waiting: u64,
    /// Set while nothing is asked because the hook has failed too often.
    pub paused: bool,
    /// Time to an answer.
    pub times: Distribution,
}

/// Connections of the Engine.IO endpoint, and their traffic since the start.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// Sessions now on polling.
    pub polling: u64,
    /// Sessions now on a WebSocket.
    pub websocket: u64,
    /// Sessions opened.
    pub opened: u64,
    /// Sessions that moved from polling to a WebSocket.
    pub upgraded: u64,
    /// Requests that are not valid HTTP.
    pub malformed: u64,
    /// Engine.IO messages from clients.
    pub messages_in: u64,
    /// Bytes read from WebSockets and from polling bodies.
    pub bytes_in: u64,
    /// Engine.IO packets queued for clients.
    pub packets_out: u64,
    /// Bytes queued for clients.
    pub bytes_out: u64,
    /// Sessions closed, by reason.
    pub closed: BTreeMap<&'static str, u64>,
}

/// Returns the present state of connections in the order given; `None` for those that are gone.
pub type AskConnections =
    Arc<dyn Fn(Vec<ConnectionKey>) -> Pin<Box<dyn Future<Output = Vec<Option<ConnectionView>>>>> + Send + Sync>;

/// Waits until the wanted keys were asked for; `false` if no issuer publishes any.
pub type AwaitKeys = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool>>> + Send + Sync>;

/// Asks the operator's hook whether a file that was uploaded is to be kept.
pub type AskUpload = Arc<dyn Fn(Arc<Profile>, File) -> Pin<Box<dyn Future<Output = HookVerdict>>> + Send + Sync>;

/// Returns [`ServerFigures`].
pub type AskFigures = Arc<dyn Fn() -> ServerFigures + Send + Sync>;
