//! The feed as server-sent events (source: HTML standard, 9.2).
use std::time::Duration;

use actix::{Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, WrapFuture as _};
use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data};
use actix_web_actors::HttpContext;
use log::debug;
use serde_json::json;

use super::showing::{event_of, line};
use super::stream::{event_stream, still_admin};
use crate::auth::Claims;
use crate::dialect::{Dialect, DialectSet};
use crate::feed::{Feed, FeedEvent, FeedEventKind, Seen, Watcher};
use crate::model::{SocketId, UserId};
use crate::web::{Admin, HttpError, Query, WebState};

/// Maximum number of bytes written in one step; the client must take some of them before the next.
const CHUNK_BYTES: usize = 64 * 1024;
/// Interval of the check that the reader is still an administrator. A comment line then shows that the server is alive.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Filter of events for one reader.
#[derive(Debug, Clone, Default)]
struct Wanted {
    user: Option<UserId>,
    socket: Option<SocketId>,
    dialect: Option<Dialect>,
    event: Option<String>,
    bodies: bool,
}

impl Wanted {
    fn of(query: &Query) -> Result<Self, HttpError> {
        let given = |name: &str| query.get(name).filter(|text| !text.is_empty());
        let user = given("user").map(UserId::parse).transpose().map_err(|_| HttpError::invalid("user"))?;
        let socket = given("socket").map(SocketId::parse).transpose().map_err(|_| HttpError::invalid("socket"))?;
        let dialect = given("dialect").map(|name| {
            let known = || HttpError::bad_request(format!("Invalid dialect: known are {}", DialectSet::all().names()));
            Dialect::find(name).ok_or_else(known)
        });
        let bodies = match given("bodies") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(HttpError::invalid("bodies")),
        };
        Ok(Self { user, socket, dialect: dialect.transpose()?, event: given("event").map(str::to_owned), bodies })
    }

    fn includes(&self, feed_event: &FeedEvent) -> bool {
        let FeedEvent { at: _, socket, user, kind } = feed_event;
        if (self.user.is_some() && self.user != *user) || (self.socket.is_some() && self.socket != *socket) {
            return false;
        }
        if self.dialect.is_none() && self.event.is_none() {
            return true;
        }
        // Only events of clients have a name and a dialect.
        matches!(kind, FeedEventKind::Received { .. } | FeedEventKind::Sent { .. })
            && event_of(kind).is_some_and(|event| {
                self.dialect.is_none_or(|dialect| event.dialects.has(dialect))
                    && self.event.as_ref().is_none_or(|name| **name == *event.name)
            })
    }

    /// Appends a line for it to `text`.
    fn add(&self, seen: &Seen, text: &mut String) {
        let line = match seen {
            Seen::FeedEvent(feed_event) if !self.includes(feed_event) => return,
            Seen::FeedEvent(feed_event) => line(feed_event, self.bodies),
            Seen::Lost(lost) => Some(json!({"what": "lost", "count": lost})),
        };
        if let Some(line) = line {
            text.push_str(&format!("data: {line}\n\n"));
        }
    }
}

/// The stream of one reader. It is polled only while its client reads; a client that stops reading loses events.
struct EventStream {
    state: Data<WebState>,
    claims: Option<Claims>,
    wanted: Wanted,
    watcher: Option<Watcher>,
}

impl Actor for EventStream {
    type Context = HttpContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Tells the client that watching has begun.
        ctx.write(Bytes::from_static(b": watching\n\n"));
        self.write_next(ctx);
        ctx.run_interval(CHECK_EVERY, |actor, ctx| actor.check(ctx));
    }
}

impl EventStream {
    /// Writes the next events as soon as there are any.
    fn write_next(&mut self, ctx: &mut HttpContext<Self>) {
        let Some(watcher) = self.watcher.take() else { return };
        let chunk = chunk(watcher, self.wanted.clone()).into_actor(self);
        ctx.spawn(chunk.map(|(watcher, text), actor, ctx| {
            if !text.is_empty() {
                ctx.write(text.into());
            }
            actor.watcher = Some(watcher);
            actor.write_next(ctx);
        }));
    }

    fn check(&self, ctx: &mut HttpContext<Self>) {
        let check = still_admin(self.state.clone(), self.claims.clone());
        ctx.spawn(check.into_actor(self).map(|outcome, _, ctx| match outcome {
            Ok(()) => ctx.write(Bytes::from_static(b": still watching\n\n")),
            Err(http_error) => {
                debug!(cause:% = http_error; "a stream of events ends");
                ctx.write_eof();
                ctx.stop();
            }
        }));
    }
}

/// Waits for an event, and takes those that came with it.
async fn chunk(mut watcher: Watcher, wanted: Wanted) -> (Watcher, String) {
    // The last step's output leaves first: the actor is not polled again until the client has room for more.
    tokio::task::yield_now().await;
    let mut text = String::new();
    let first = watcher.next().await;
    wanted.add(&first, &mut text);
    while text.len() < CHUNK_BYTES
        && let Some(next) = watcher.try_next()
    {
        wanted.add(&next, &mut text);
    }
    (watcher, text)
}

/// `GET /api/admin/events/stream?user=&socket=&dialect=&event=&bodies=`
pub(super) async fn stream(
    state: Data<WebState>,
    feed: Data<Feed>,
    admin: Admin,
    query: Query,
) -> Result<HttpResponse, HttpError> {
    let wanted = Wanted::of(&query)?;
    let watcher = feed.watch().ok_or_else(|| HttpError::rate_limited(CHECK_EVERY))?;
    let actor = EventStream { state, claims: admin.claims, wanted, watcher: Some(watcher) };
    Ok(event_stream(HttpContext::create(actor)))
}
