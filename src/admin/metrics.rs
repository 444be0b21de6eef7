//! The figures for Prometheus: those of `GET /api/admin/stats`, and those of the process.
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::web::{Data, block};
use actix_web::{HttpRequest, HttpResponse};

use super::families::Families;
use super::figures::{
    ActorFigures, ChatFigures, Figures, HookFigures, KeyFigures, RefusalFigures, Sampler, SessionFigures, StoreFigures,
    WebhookFigures, collect,
};
use crate::auth::AuthError;
use crate::web::{ForwardFigures, HttpError, Traffic, WebState};

/// `GET /metrics`
pub(super) async fn metrics(
    state: Data<WebState>,
    sampler: Data<Sampler>,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    check_token(&state, &request)?;
    let figures = collect(&state, &sampler).await?;
    // The process's figures come from files in `/proc`, which takes long if many files are open.
    let text = block(move || text(&figures)).await.map_err(HttpError::internal)?.map_err(HttpError::internal)?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, Families::content_type())).body(text))
}

/// Checks the bearer token; if none is configured, anybody may scrape.
fn check_token(state: &WebState, request: &HttpRequest) -> Result<(), AuthError> {
    if state.settings.metrics_tokens.is_empty() {
        return Ok(());
    }
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, token) = header.and_then(|header| header.split_once(' ')).ok_or(AuthError::NoToken)?;
    let is_right = scheme.eq_ignore_ascii_case("bearer") && state.settings.metrics_tokens.has(token.trim());
    if is_right { Ok(()) } else { Err(AuthError::InvalidToken) }
}

/// Returns all figures in Prometheus' text format.
fn text(figures: &Figures) -> Result<String, prometheus::Error> {
    let mut families = Families::default();
    // Destructured completely, so that a new field of the JSON cannot be forgotten here.
    let Figures {
        time: _,
        // Follows from `process_start_time_seconds`.
        uptime_seconds: _,
        // Prometheus computes rates itself.
        messages_per_second: _,
        actors,
        sessions,
        chat,
        store,
        connections,
        refusals,
        issuers,
        hook,
        webhooks,
        forwarded,
    } = figures;
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    families.gauges("build_info", "Version of the server, as a label; the value is 1.", [(&version[..], 1.0)]);
    add_connections(&mut families, connections);
    add_sessions(&mut families, sessions);
    add_chat(&mut families, chat);
    add_store(&mut families, store);
    add_actors(&mut families, actors);
    add_refusals(&mut families, refusals);
    add_issuers(&mut families, issuers);
    if let Some(hook) = hook {
        add_hook(&mut families, hook);
    }
    add_webhooks(&mut families, webhooks);
    if let Some(forwarded) = forwarded {
        add_forwarded(&mut families, forwarded);
    }
    #[cfg(target_os = "linux")]
    {
        use prometheus::core::Collector as _;
        families.extend(prometheus::process_collector::ProcessCollector::for_self().collect());
    }
    families.text()
}

fn add_connections(families: &mut Families, figures: &Traffic) {
    let Traffic { polling, websocket, opened, upgraded, malformed, messages_in, bytes_in, packets_out, bytes_out, closed } =
        figures;
    let by_transport = [(&[("transport", "polling")][..], *polling as f64), (&[("transport", "websocket")], *websocket as f64)];
    families.gauges("connections", "Engine.IO connections, including those not authenticated yet.", by_transport);
    families.counter("connections_opened_total", "Engine.IO connections opened.", *opened);
    families.counter("requests_malformed_total", "Requests that are not valid HTTP.", *malformed);
    families.counter("connections_upgraded_total", "Connections that moved from polling to a WebSocket.", *upgraded);
    let closed: Vec<_> = closed.iter().map(|(reason, count)| ([("reason", *reason)], *count as f64)).collect();
    let closed = closed.iter().map(|(labels, count)| (&labels[..], *count));
    families.counters("connections_closed_total", "Connections closed, by reason.", closed);
    families.counter("received_messages_total", "Engine.IO messages from clients.", *messages_in);
    families.counter("received_bytes_total", "Bytes from clients.", *bytes_in);
    families.counter("sent_packets_total", "Engine.IO packets queued for clients.", *packets_out);
    families.counter("sent_bytes_total", "Bytes queued for clients.", *bytes_out);
}

fn add_issuers(families: &mut Families, figures: &[KeyFigures]) {
    let labels: Vec<_> = figures.iter().map(|figures| [("issuer", figures.issuer.as_str())]).collect();
    let values = |value: fn(&KeyFigures) -> f64| labels.iter().map(|labels| &labels[..]).zip(figures.iter().map(value));
    families.gauges("issuer_keys", "Keys of an issuer of tokens that verify.", values(|figures| figures.keys as f64));
    // No age before the first successful read.
    let known = labels.iter().zip(figures).filter_map(|(labels, figures)| Some((&labels[..], figures.age_seconds? as f64)));
    families.gauges("issuer_keys_age_seconds", "Time since the keys of an issuer were read.", known);
    families.counters("issuer_reads_total", "Readings of an issuer's keys.", values(|figures| figures.reads as f64));
    let failures = values(|figures| figures.failures as f64);
    families.counters("issuer_read_failures_total", "Readings of an issuer's keys that came to nothing.", failures);
}

fn add_forwarded(families: &mut Families, figures: &ForwardFigures) {
    let ForwardFigures { events, waiting } = figures;
    let events: Vec<_> = events.iter().map(|(outcome, count)| ([("outcome", *outcome)], *count as f64)).collect();
    let events = events.iter().map(|(labels, count)| (&labels[..], *count));
    families.counters("forwarded_events_total", "Events that were handed on to the operator's server, by outcome.", events);
    families.gauge("forward_waiting_events", "Events that wait for their turn to be handed on.", *waiting as f64);
}

fn add_hook(families: &mut Families, figures: &HookFigures) {
    let HookFigures { answers, waiting, paused, answer_seconds } = figures;
    let answers: Vec<_> = answers.iter().map(|(outcome, count)| ([("outcome", *outcome)], *count as f64)).collect();
    let answers = answers.iter().map(|(labels, count)| (&labels[..], *count));
    families.counters("hook_answers_total", "Questions to the operator's hook, by outcome.", answers);
    families.gauge("hook_waiting_questions", "Questions that wait for their turn to be asked.", *waiting as f64);
    let paused = f64::from(u8::from(*paused));
    families.gauge("hook_paused", "1 while the hook is not asked because it has failed five times in a row, else 0.", paused);
    families.histogram("hook_answer_seconds", "Time to the hook's answer, waiting included.", answer_seconds);
}

fn add_webhooks(families: &mut Families, figures: &[WebhookFigures]) {
    let labels: Vec<_> = figures.iter().map(|figures| [("webhook", figures.name.as_str())]).collect();
    let values = |value: fn(&WebhookFigures) -> f64| labels.iter().map(|labels| &labels[..]).zip(figures.iter().map(value));
    families.gauges("webhook_waiting_events", "Events that wait for a webhook.", values(|figures| figures.waiting as f64));
    let oldest = values(|figures| figures.oldest_seconds.unwrap_or_default());
    families.gauges("webhook_oldest_event_seconds", "Time that the oldest of them has waited; 0 if none waits.", oldest);
    families.counters("webhook_delivered_total", "Events delivered to a webhook.", values(|figures| figures.delivered as f64));
    let failures = values(|figures| figures.failures as f64);
    families.counters("webhook_failures_total", "Attempts to deliver to a webhook that failed.", failures);
    let buried = values(|figures| figures.buried as f64);
    families.counters("webhook_dead_letters_total", "Events that a webhook did not get in time.", buried);
}

fn add_sessions(families: &mut Families, figures: &SessionFigures) {
    let SessionFigures {
        // Exported as `parlance_connections`.
        by_transport: _,
        by_dialect,
        by_namespace,
    } = figures;
    let by_namespace: Vec<_> = by_namespace.iter().map(|(name, count)| ([("namespace", *name)], *count as f64)).collect();
    let by_namespace = by_namespace.iter().map(|(labels, count)| (&labels[..], *count));
    families.gauges("sockets", "Admitted sockets, by namespace.", by_namespace);
    let by_dialect: Vec<_> = by_dialect.iter().map(|(name, count)| ([("dialect", name.as_str())], *count as f64)).collect();
    let by_dialect = by_dialect.iter().map(|(labels, count)| (&labels[..], *count));
    families.gauges("dialect_sockets", "Admitted sockets, by dialect as far as it is certain.", by_dialect);
}

fn add_chat(families: &mut Families, figures: &ChatFigures) {
    let ChatFigures {
        mailbox_wait_micros,
        // Exported as `parlance_sockets`.
        sockets: _,
        online_users,
        cached_users,
        rooms,
        conversations,
        in_flight,
        parked,
        recovered,
        not_recovered,
        recovery_bytes,
        requests,
        messages,
        refused,
        panics,
    } = figures;
    let seconds = *mailbox_wait_micros as f64 / 1e6;
    families.gauge("broker_wait_seconds", "Time that the request for these figures waited in the broker's mailbox.", seconds);
    families.gauge("online_users", "Users announced as online.", *online_users as f64);
    families.gauge("cached_users", "Users whose account is in memory.", *cached_users as f64);
    families.gauge("rooms", "Rooms with at least one socket.", *rooms as f64);
    families.gauge("cached_conversations", "Conversations in memory.", *conversations as f64);
    families.gauge("messages_in_flight", "Messages being stored.", *in_flight as f64);
    families.counter("messages_total", "Messages admitted.", *messages);
    families.counter("requests_total", "Requests of clients that reached the broker.", *requests);
    families.counter("requests_refused_total", "Requests of clients that the broker refused.", *refused);
    families.counter("command_panics_total", "Commands that panicked: defects of the server.", *panics);
    families.gauge("parked_sessions", "Detached sessions: their connection was lost, and they can be resumed.", *parked as f64);
    families.gauge("recovery_bytes", "Memory used by recent events, kept for clients that resume.", *recovery_bytes as f64);
    families.counter("sessions_recovered_total", "Sessions resumed.", *recovered);
    let not_recovered: Vec<_> = not_recovered.iter().map(|(why, count)| ([("reason", *why)], *count as f64)).collect();
    let not_recovered = not_recovered.iter().map(|(labels, count)| (&labels[..], *count));
    families.counters(
        "sessions_not_recovered_total",
        "Clients that asked to resume and got a new session instead, by reason.",
        not_recovered,
    );
}

fn add_store(families: &mut Families, figures: &StoreFigures) {
    let StoreFigures {
        failing,
        queued,
        reads_in_flight,
        reads,
        writes,
        failed_commits,
        refused,
        commit_seconds,
        batch_writes,
        queue_wait_seconds,
        read_seconds,
    } = figures;
    families.gauge(
        "store_failing",
        "1 while commits fail because the database is unavailable, else 0.",
        f64::from(u8::from(*failing)),
    );
    families.gauge("store_queued_writes", "Writes waiting for their commit.", *queued as f64);
    families.gauge("store_reads_in_flight", "Reads running, or waiting for a reader.", *reads_in_flight as f64);
    families.counter("store_reads_total", "Reads.", *reads);
    families.counter("store_writes_total", "Writes stored.", *writes);
    families.counter("store_failed_commits_total", "Commits that failed because the database was unavailable.", *failed_commits);
    families.counter("store_refused_writes_total", "Writes that the database refused.", *refused);
    families.histogram("store_commit_seconds", "Duration of commits.", commit_seconds);
    families.histogram("store_batch_writes", "Writes per commit.", batch_writes);
    families.histogram("store_queue_wait_seconds", "Time that the first write of a batch waited.", queue_wait_seconds);
    families.histogram("store_read_seconds", "Duration of reads, including the wait for a reader.", read_seconds);
}

fn add_actors(families: &mut Families, figures: &[ActorFigures]) {
    let labels: Vec<_> = figures.iter().map(|figures| [("actor", figures.actor)]).collect();
    let by = |figure: fn(&ActorFigures) -> Option<f64>| {
        let values = labels.iter().zip(figures).filter_map(|(labels, figures)| Some((&labels[..], figure(figures)?)));
        values.collect::<Vec<_>>()
    };
    let waiting = by(|figures| figures.mailbox.map(|waiting| waiting as f64));
    families.gauges("actor_waiting_messages", "Messages waiting in an actor's mailbox.", waiting);
    families.counters(
        "actor_turns_total",
        "Messages handled by an actor, and its other work.",
        by(|figures| Some(figures.handled as f64)),
    );
    families.counters("actor_busy_seconds_total", "Time that an actor spent working.", by(|figures| Some(figures.busy_seconds)));
    let slowest = by(|figures| Some(figures.slowest.as_ref().map_or(0.0, |slowest| slowest.seconds)));
    families.gauges("actor_slowest_turn_seconds", "The slowest step of the last ten minutes or so.", slowest);
}

fn add_refusals(families: &mut Families, figures: &[RefusalFigures]) {
    let values: Vec<_> =
        figures.iter().map(|RefusalFigures { kind, code, count }| ([("kind", *kind), ("code", *code)], *count as f64)).collect();
    let values = values.iter().map(|(labels, count)| (&labels[..], *count));
    families.counters("refusals_total", "Refusals to clients, by kind of request and code.", values);
}
