//! Explanation why a webhook was not told of something.
use super::explanation::Fact;
use crate::store::Untold;
use crate::webhooks::WebhookFigures;

/// Maximum number of events that are listed, waiting and dead ones each.
pub(super) const UNTOLD_MAX: i64 = 20;

/// Explains why a webhook has not been told of an event; `subject` is a noun for what the event is about.
pub(super) fn explain_untold(untold: &Untold, webhooks: &[WebhookFigures], subject: &str) -> Fact {
    let Untold { webhook, event, since, failure } = untold;
    if let Some(failure) = failure {
        let text = format!(
            "The webhook {webhook} was not told of {subject} ({event}), which was given up: {failure}. `parlance webhooks replay` sends it."
        );
        return Fact::at("WEBHOOK_DEAD_LETTER", *since, text);
    }
    let figures = webhooks.iter().find(|figures| figures.name == *webhook);
    let why = match figures.and_then(|figures| figures.failure.as_ref()) {
        Some(failure) => format!("its receiver fails: {failure}"),
        None => "others are before it".to_owned(),
    };
    Fact::at("WEBHOOK_WAITS", *since, format!("The webhook {webhook} waits to be told of {subject} ({event}): {why}."))
}
