//! The figures as server-sent events (source: HTML standard, 9.2).
use std::time::Duration;

use actix::{Actor, ActorFutureExt as _, AsyncContext as _, WrapFuture as _};
use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Bytes, Data};
use actix_web_actors::HttpContext;
use futures_util::Stream;
use log::debug;

use super::figures::{Figures, Sampler, collect};
use crate::auth::Claims;
use crate::model::Timestamp;
use crate::web::{Admin, HttpError, WebState};

/// Interval of the lines.
const EVERY: Duration = Duration::from_secs(1);

/// The stream of one reader. It is polled only while its client reads, so a stuck client holds a single line in memory.
struct StatsStream {
    state: Data<WebState>,
    sampler: Data<Sampler>,
    claims: Option<Claims>,
}

impl Actor for StatsStream {
    type Context = HttpContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.write_line(ctx);
        ctx.run_interval(EVERY, |actor, ctx| actor.write_line(ctx));
    }
}

impl StatsStream {
    fn write_line(&mut self, ctx: &mut HttpContext<Self>) {
        let line = line(self.state.clone(), self.sampler.clone(), self.claims.clone());
        ctx.spawn(line.into_actor(self).map(|line, _, ctx| match line {
            Ok(figures) => {
                // Serializing numbers and texts cannot fail.
                let text = serde_json::to_string(&figures).unwrap_or_default();
                ctx.write(Bytes::from(format!("data: {text}\n\n")));
            }
            Err(http_error) => {
                debug!(cause:% = http_error; "a stream of figures ends");
                ctx.write_eof();
            }
        }));
    }
}

/// Returns the next line.
async fn line(state: Data<WebState>, sampler: Data<Sampler>, claims: Option<Claims>) -> Result<Figures, HttpError> {
    still_admin(state.clone(), claims).await?;
    collect(&state, &sampler).await
}

/// Checks that a stream may continue: its reader is still an administrator, and the server is not stopping.
///
/// # Errors
/// The reason to end the stream.
pub(super) async fn still_admin(state: Data<WebState>, claims: Option<Claims>) -> Result<(), HttpError> {
    if state.is_draining() {
        return Err(HttpError::draining());
    }
    if let Some(claims) = claims {
        if claims.is_expired(Timestamp::now()) {
            return Err(crate::auth::AuthError::TokenExpired.into());
        }
        let account = state.chat.authenticate(claims).await?;
        if account.profile.role != crate::model::UserRole::Admin {
            return Err(HttpError::forbidden("Administrators only"));
        }
    }
    Ok(())
}

/// Streams lines to a client.
pub(super) fn event_stream(lines: impl Stream<Item = Result<Bytes, actix_web::Error>> + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/event-stream")
        // Proxies must pass every line on at once.
        .insert_header((CACHE_CONTROL, "no-cache, no-transform"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(lines)
}

/// `GET /api/admin/stats/stream`
pub(super) async fn stream(state: Data<WebState>, sampler: Data<Sampler>, admin: Admin) -> HttpResponse {
    event_stream(HttpContext::create(StatsStream { state, sampler, claims: admin.claims }))
}
