//! Figures of parts that the routes do not know.
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;

use crate::engineio::{ConnectionKey, ConnectionView};
use crate::meter::ActorStats;

/// Figures of the threads that serve connections, and of the actors that stand nowhere else.
#[derive(Debug, Clone, Default)]
pub struct ServerFigures {
    /// The broker.
    pub broker: ActorStats,
    /// One hub on each thread: it tells connections things and writes for them.
    pub hubs: ActorStats,
    /// The connections; what waits for them is not counted.
    pub connections: ActorStats,
    /// Who asks the AI model.
    pub model: ActorStats,
    /// Traffic: what came and went.
    pub traffic: Traffic,
}

/// Connections of the Engine.IO endpoint, and what went over them since the start.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// Sessions on polling now.
    pub polling: u64,
    /// Sessions on a WebSocket now.
    pub websocket: u64,
    /// Sessions opened.
    pub opened: u64,
    /// Sessions that moved from polling to a WebSocket.
    pub upgraded: u64,
    /// Requests that are no HTTP.
    pub malformed: u64,
    /// Engine.IO messages from clients.
    pub messages_in: u64,
    /// Bytes read from WebSockets and from polling bodies.
    pub bytes_in: u64,
    /// Engine.IO packets queued for clients.
    pub packets_out: u64,
    /// Bytes queued for clients.
    pub bytes_out: u64,
    /// Sessions that ended, by why.
    pub closed: BTreeMap<&'static str, u64>,
}

/// Asks what connections are at this moment, in their order; `None` for those that are gone.
pub type AskConnections =
    Arc<dyn Fn(Vec<ConnectionKey>) -> Pin<Box<dyn Future<Output = Vec<Option<ConnectionView>>>>> + Send + Sync>;

/// Asks for [`ServerFigures`].
pub type AskFigures = Arc<dyn Fn() -> ServerFigures + Send + Sync>;
