//! Incidents with the operator's own server.

/// Refusal or failure of the operator's own server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incident {
    /// The hook refused a request.
    HookRefused {
        /// Kind of the question, such as `send`.
        question: &'static str,
        /// Code of the refusal.
        code: Box<str>,
        /// Its words.
        message: Box<str>,
    },
    /// The hook was to be asked, and gave no usable answer.
    HookFailed {
        /// Kind of the question, such as `send`.
        question: &'static str,
        /// Reason, without the address.
        cause: Box<str>,
    },
    /// An event that no dialect knows could not be handed on.
    ForwardFailed {
        /// Name of the event.
        event: Box<str>,
        /// Reason, without the address.
        cause: Box<str>,
    },
    /// An attempt to tell a webhook of an event failed.
    WebhookFailed {
        /// The webhook.
        webhook: Box<str>,
        /// Reason, without the address.
        cause: Box<str>,
        /// Number of events that wait for it.
        waiting: usize,
    },
    /// Events for a webhook were given up.
    WebhookBuried {
        /// The webhook.
        webhook: Box<str>,
        /// Number of events that became dead letters.
        events: usize,
    },
}
