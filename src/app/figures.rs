//! Figures of threads and actors.
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::hooks::{ForwardMeter, HookMeter};
use crate::meter::{ActorStats, Meter};
use crate::transport;
use crate::web::{self, ServerFigures, Traffic};

/// Returns the traffic of connections, summed over all worker threads.
pub(super) fn traffic(workers: &[Arc<transport::WorkerStats>]) -> Traffic {
    let sum = |figure: fn(&transport::WorkerStats) -> u64| workers.iter().map(|stats| figure(stats)).sum::<u64>();
    let mut closed = BTreeMap::new();
    for (reason, count) in workers.iter().flat_map(|stats| stats.closed()) {
        *closed.entry(reason.as_str()).or_default() += count;
    }
    Traffic {
        polling: sum(|stats| stats.polling_sessions.get()),
        websocket: sum(|stats| stats.websocket_sessions.get()),
        opened: sum(|stats| stats.opened.get()),
        upgraded: sum(|stats| stats.upgraded.get()),
        malformed: sum(|stats| stats.malformed.get()),
        messages_in: sum(|stats| stats.messages_in.get()),
        bytes_in: sum(|stats| stats.bytes_in.get()),
        packets_out: sum(|stats| stats.packets_out.get()),
        bytes_out: sum(|stats| stats.bytes_out.get()),
        closed,
    }
}

/// Returns the figures of each worker thread; empty until there are any.
pub(super) fn worker_stats(server: &OnceLock<transport::Stopper>) -> Vec<Arc<transport::WorkerStats>> {
    server.get().map(transport::Stopper::stats).unwrap_or_default()
}

/// Returns the source of figures about connection threads and actors, for the routes.
pub(super) fn server_figures(
    server: Arc<OnceLock<transport::Stopper>>,
    broker: Arc<Meter>,
    model: Arc<Meter>,
    (hook, forwarded): (Option<Arc<HookMeter>>, Option<Arc<ForwardMeter>>),
) -> web::AskFigures {
    Arc::new(move || {
        let workers = worker_stats(&server);
        let all = |meter: fn(&transport::WorkerStats) -> ActorStats| {
            workers.iter().map(|stats| meter(stats)).fold(ActorStats::default(), ActorStats::and)
        };
        ServerFigures {
            broker: broker.stats(),
            worker_actors: all(|stats| stats.actor_meter.stats()),
            connections: all(|stats| stats.connections.stats()),
            model: model.stats(),
            traffic: traffic(&workers),
            hook: hook.as_deref().map(|hook| web::HookFigures {
                answers: BTreeMap::from(hook.answers()),
                waiting: hook.waiting(),
                paused: hook.is_open(),
                times: hook.times(),
            }),
            forwarded: forwarded.as_deref().map(|forwarded| web::ForwardFigures {
                events: BTreeMap::from(forwarded.events()),
                waiting: forwarded.waiting(),
            }),
        }
    })
}

/// Returns the source of figures about connections, for the routes.
pub(super) fn connection_views(server: Arc<OnceLock<transport::Stopper>>) -> web::AskConnections {
    Arc::new(move |connections| {
        let server = server.get().cloned();
        Box::pin(async move {
            match server {
                Some(server) => server.view(&connections).await,
                None => vec![None; connections.len()],
            }
        })
    })
}
