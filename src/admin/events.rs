//! The feed as Server-Sent Events (source: HTML standard, 9.2).
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
use crate::feed::{Feed, Happening, Seen, Watcher, What};
use crate::model::{SocketId, UserId};
use crate::web::{Admin, Failure, Query, WebState};

/// So much is written in one turn; then the client has to take some of it.
const TURN_BYTES: usize = 64 * 1024;
/// So often it is looked whether the reader is an administrator still; a line shows it that the server is there.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Events that a reader wants to see.
#[derive(Debug, Clone, Default)]
struct Wanted {
    user: Option<UserId>,
    socket: Option<SocketId>,
    dialect: Option<Dialect>,
    event: Option<String>,
    bodies: bool,
}

impl Wanted {
    fn of(query: &Query) -> Result<Self, Failure> {
        let given = |name: &str| query.get(name).filter(|text| !text.is_empty());
        let user = given("user").map(UserId::parse).transpose().map_err(|_| Failure::invalid("user"))?;
        let socket = given("socket").map(SocketId::parse).transpose().map_err(|_| Failure::invalid("socket"))?;
        let dialect = given("dialect").map(|name| {
            let known = || Failure::bad_request(format!("Invalid dialect: known are {}", DialectSet::all().names()));
            Dialect::find(name).ok_or_else(known)
        });
        let bodies = match given("bodies") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Failure::invalid("bodies")),
        };
        Ok(Self { user, socket, dialect: dialect.transpose()?, event: given("event").map(str::to_owned), bodies })
    }

    fn includes(&self, happening: &Happening) -> bool {
        let Happening { at: _, socket, user, what } = happening;
        if self.user.as_ref().is_some_and(|wanted| wanted != user) || self.socket.is_some_and(|wanted| wanted != *socket) {
            return false;
        }
        if self.dialect.is_none() && self.event.is_none() {
            return true;
        }
        // Only what clients say and hear has a name and a dialect.
        matches!(what, What::Received { .. } | What::Sent { .. })
            && event_of(what).is_some_and(|event| {
                self.dialect.is_none_or(|dialect| event.dialects.has(dialect))
                    && self.event.as_ref().is_none_or(|name| **name == *event.name)
            })
    }

    /// Adds a line about it to `text`.
    fn add(&self, seen: &Seen, text: &mut String) {
        let line = match seen {
            Seen::Happening(happening) if !self.includes(happening) => return,
            Seen::Happening(happening) => line(happening, self.bodies),
            Seen::Lost(lost) => Some(json!({"what": "lost", "count": lost})),
        };
        if let Some(line) = line {
            text.push_str(&format!("data: {line}\n\n"));
        }
    }
}

/// One reader. It is polled only while its client reads; one that does not loses what happens meanwhile.
struct EventStream {
    state: Data<WebState>,
    claims: Option<Claims>,
    wanted: Wanted,
    watcher: Option<Watcher>,
}

impl Actor for EventStream {
    type Context = HttpContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // The client knows from it that it watches.
        ctx.write(Bytes::from_static(b": watching\n\n"));
        self.write_next(ctx);
        ctx.run_interval(CHECK_EVERY, |actor, ctx| actor.check(ctx));
    }
}

impl EventStream {
    /// Writes what is seen next, as soon as there is something.
    fn write_next(&mut self, ctx: &mut HttpContext<Self>) {
        let Some(watcher) = self.watcher.take() else { return };
        let turn = turn(watcher, self.wanted.clone()).into_actor(self);
        ctx.spawn(turn.map(|(watcher, text), actor, ctx| {
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
            Err(failure) => {
                debug!(cause:% = failure; "a stream of events ends");
                ctx.write_eof();
                ctx.stop();
            }
        }));
    }
}

/// Waits for something and takes with it what has come together.
async fn turn(mut watcher: Watcher, wanted: Wanted) -> (Watcher, String) {
    // What the last turn wrote leaves first: the actor is not polled again before the client has room for more.
    tokio::task::yield_now().await;
    let mut text = String::new();
    let first = watcher.next().await;
    wanted.add(&first, &mut text);
    while text.len() < TURN_BYTES
        && let Some(next) = watcher.try_next()
    {
        wanted.add(&next, &mut text);
    }
    (watcher, text)
}

/// `GET /api/admin/events/stream?user=&socket=&dialect=&event=&bodies=`
pub async fn stream(state: Data<WebState>, feed: Data<Feed>, admin: Admin, query: Query) -> Result<HttpResponse, Failure> {
    let wanted = Wanted::of(&query)?;
    let watcher = feed.watch().ok_or_else(|| Failure::rate_limited(CHECK_EVERY))?;
    let actor = EventStream { state, claims: admin.claims, wanted, watcher: Some(watcher) };
    Ok(event_stream(HttpContext::create(actor)))
}
