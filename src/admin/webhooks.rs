//! Webhooks, and what they have not got.
use actix_web::web::Data;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};

use crate::model::Timestamp;
use crate::store::{self, ListedEvent, Store, StoreError, UntoldRange, Write, Written};
use crate::web::{ActsOn, Admin, Body, HttpError, Query, WebState};
use crate::webhooks::WebhookFigures;

/// Maximum number of events that a request names.
pub(super) const NUMBERS_MAX: usize = 1_000;
/// Longest name of a webhook; those that are configured no more may still have dead letters.
pub(super) const NAME_MAX: usize = 32;
/// Number of dead letters treated by one write.
const STEP: i64 = 500;

/// A webhook, as administrators see it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Webhook")]
pub(super) struct WebhookView {
    name: String,
    /// Events that wait.
    waiting: usize,
    /// Time since which the oldest of them waits.
    waiting_since: Option<Timestamp>,
    /// Events that were given up; `replay` sends them again.
    dead_letters: i64,
    /// Events delivered since the start.
    delivered: u64,
    /// Attempts that failed since the start.
    failures: u64,
    /// Time of the first failure since the last delivery.
    failing_since: Option<Timestamp>,
    /// The last failure since the last delivery.
    failure: Option<String>,
}

impl WebhookView {
    fn new(figures: WebhookFigures, dead_letters: i64) -> Self {
        let WebhookFigures { name, waiting, waiting_since, delivered, failures, buried: _, failing_since, failure } = figures;
        Self { name, waiting, waiting_since, dead_letters, delivered, failures, failing_since, failure }
    }
}

/// An event that its webhook has not got.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "UntoldEvent")]
pub(super) struct EventView {
    /// Names it for `replay` and `skip`.
    number: i64,
    /// Its `webhook-id`.
    id: String,
    webhook: String,
    event: String,
    /// Id of the message, conversation or user that it is about.
    subject: String,
    /// Time of the change.
    at: Timestamp,
    /// Time since which it waits.
    queued_at: Timestamp,
    /// Time at which it was given up; `null`: it waits.
    died_at: Option<Timestamp>,
    /// The last failure before that.
    failure: Option<String>,
}

impl From<ListedEvent> for EventView {
    fn from(event: ListedEvent) -> Self {
        let ListedEvent { number, id, webhook, event, subject, at, queued_at, death } = event;
        let (died_at, failure) = death.unzip();
        Self { number, id: id.to_string(), webhook, event, subject, at, queued_at, died_at, failure }
    }
}

/// Returns the schema of a list of events.
pub(super) fn events(generator: &mut SchemaGenerator) -> schemars::Schema {
    generator.subschema_for::<Vec<EventView>>()
}

/// Returns the schema of a list of webhooks.
pub(super) fn webhooks(generator: &mut SchemaGenerator) -> schemars::Schema {
    generator.subschema_for::<Vec<WebhookView>>()
}

/// `GET /api/admin/webhooks?webhook=&before=&limit=`: the webhooks, the events that wait longest, and a page of dead
/// letters, newest first; `next` is the `before` of the next page.
pub(super) async fn list(state: Data<WebState>, _: Admin, query: Query) -> Result<HttpResponse, HttpError> {
    let before = query.get("before").map(|text| text.parse().map_err(|_| HttpError::invalid("before"))).transpose()?;
    let webhook = query.get("webhook").map(str::to_owned);
    if webhook.as_ref().is_some_and(|name| name.is_empty() || name.len() > NAME_MAX) {
        return Err(HttpError::invalid("webhook"));
    }
    let limit = query.limit()?;
    let rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let range = UntoldRange { webhook, before };
    let found = state.store.read_after_writes(move |conn| {
        let waiting = store::list_waiting_events(conn, &range, rows)?;
        Ok((waiting, store::list_dead_letters(conn, &range, rows)?, store::count_dead_letters(conn)?))
    });
    let (waiting, letters, counts) = found.await?;
    let next = if letters.len() == limit { letters.last().map(|letter| letter.number) } else { None };
    let count = |name: &str| counts.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count);
    let mut webhooks: Vec<WebhookView> = Vec::new();
    for figures in state.webhooks.figures() {
        let dead_letters = count(&figures.name);
        webhooks.push(WebhookView::new(figures, dead_letters));
    }
    // Those that are configured no more.
    for (name, dead_letters) in &counts {
        if !state.webhooks.has(name) {
            let figures = WebhookFigures { name: name.clone(), ..WebhookFigures::default() };
            webhooks.push(WebhookView::new(figures, *dead_letters));
        }
    }
    let waiting: Vec<EventView> = waiting.into_iter().map(EventView::from).collect();
    let letters: Vec<EventView> = letters.into_iter().map(EventView::from).collect();
    Ok(HttpResponse::Ok()
        .json(json!({"success": true, "webhooks": webhooks, "waiting": waiting, "deadLetters": letters, "next": next})))
}

/// `POST /api/admin/webhooks/replay` `{numbers}` or `{webhook}`: puts dead letters behind all that waits, and ends the
/// pauses of all webhooks.
pub(super) async fn replay(state: Data<WebState>, _: Admin, request: HttpRequest, body: Body) -> Result<HttpResponse, HttpError> {
    let chosen = Chosen::of(&body)?;
    if let Chosen::Webhook(name) = &chosen
        && !state.webhooks.has(name)
    {
        return Err(HttpError::not_found("Webhook not found"));
    }
    let write = |numbers| Write::ReplayWebhookEvents { numbers };
    let events = chosen.treat(&state.store, write).await?;
    state.webhooks.retry_now();
    request.extensions_mut().insert(ActsOn(chosen.to_string()));
    Ok(HttpResponse::Ok().json(json!({"success": true, "events": events})))
}

/// `POST /api/admin/webhooks/skip` `{numbers}` or `{webhook}`: deletes events with these numbers, waiting or dead, or the
/// dead letters of a webhook. Answers how many these were, and how many events still wait: of the webhook, or of all.
pub(super) async fn skip(state: Data<WebState>, _: Admin, request: HttpRequest, body: Body) -> Result<HttpResponse, HttpError> {
    let chosen = Chosen::of(&body)?;
    let events = chosen.treat(&state.store, |numbers| Write::SkipWebhookEvents { numbers }).await?;
    if let Chosen::Webhook(name) = &chosen
        && events == 0
        && !state.webhooks.has(name)
    {
        return Err(HttpError::not_found("Webhook not found"));
    }
    // What waits behind a skipped event goes on at once.
    state.webhooks.retry_now();
    let is_chosen = |figures: &WebhookFigures| !matches!(&chosen, Chosen::Webhook(name) if *name != figures.name);
    let waiting: usize =
        state.webhooks.figures().iter().filter(|figures| is_chosen(figures)).map(|figures| figures.waiting).sum();
    request.extensions_mut().insert(ActsOn(chosen.to_string()));
    Ok(HttpResponse::Ok().json(json!({"success": true, "events": events, "waiting": waiting})))
}

/// Events that a request is about.
enum Chosen {
    Numbers(Vec<i64>),
    /// The dead letters of a webhook.
    Webhook(String),
}

impl std::fmt::Display for Chosen {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Numbers(numbers) => {
                let numbers: Vec<String> = numbers.iter().take(10).map(ToString::to_string).collect();
                formatter.write_str(&numbers.join(","))
            }
            Self::Webhook(name) => formatter.write_str(name),
        }
    }
}

impl Chosen {
    fn of(body: &Body) -> Result<Self, HttpError> {
        match (body.get("numbers"), body.bounded_text("webhook", 1, NAME_MAX)?) {
            // Numbers say more than the name that may stand beside them.
            (Some(Value::Array(numbers)), _) if numbers.len() <= NUMBERS_MAX => {
                let numbers = numbers.iter().map(|number| number.as_i64().ok_or_else(|| HttpError::invalid("numbers")));
                Ok(Self::Numbers(numbers.collect::<Result<_, _>>()?))
            }
            (Some(_), _) => Err(HttpError::invalid("numbers")),
            (None, Some(name)) => Ok(Self::Webhook(name.to_owned())),
            (None, None) => Err(HttpError::bad_request("One of numbers and webhook is required")),
        }
    }

    /// Treats them, some at a time, so that a send waits for one step at most. Returns their number.
    async fn treat(&self, store: &Store, write: impl Fn(Vec<i64>) -> Write) -> Result<usize, StoreError> {
        let range = match self {
            Self::Numbers(numbers) => return pruned(store.write(write(numbers.clone())).await?),
            Self::Webhook(name) => UntoldRange { webhook: Some(name.clone()), before: None },
        };
        let mut treated = 0;
        loop {
            let range = range.clone();
            let letters = store.read_after_writes(move |conn| store::list_dead_letters(conn, &range, STEP)).await?;
            if letters.is_empty() {
                return Ok(treated);
            }
            let mut numbers: Vec<i64> = letters.into_iter().map(|letter| letter.number).collect();
            numbers.sort_unstable();
            treated += pruned(store.write(write(numbers)).await?)?;
        }
    }
}

fn pruned(written: Written) -> Result<usize, StoreError> {
    if let Written::Pruned { rows } = written { Ok(rows) } else { Err(StoreError::Internal) }
}
