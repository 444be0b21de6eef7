//! An actor's address that counts waiting messages.
use std::fmt;
use std::sync::Arc;

use actix::{Message, Recipient};

use super::Meter;

/// Address for messages of one type, each counted until the actor handles it in
/// [`Metered::step_of_counted`](super::Metered::step_of_counted).
pub struct Counted<M>
where
    M: Message + Send,
    M::Result: Send,
{
    to: Recipient<M>,
    meter: Arc<Meter>,
}

impl<M> Counted<M>
where
    M: Message + Send,
    M::Result: Send,
{
    /// Makes an address that counts into this meter.
    pub fn new(to: Recipient<M>, meter: Arc<Meter>) -> Self {
        Self { to, meter }
    }

    /// Sends a message, however many are waiting.
    pub fn do_send(&self, message: M) {
        self.meter.sent();
        self.to.do_send(message);
    }
}

/// An address of an actor whose steps are not counted.
impl<M> From<Recipient<M>> for Counted<M>
where
    M: Message + Send,
    M::Result: Send,
{
    fn from(to: Recipient<M>) -> Self {
        Self::new(to, Arc::default())
    }
}

impl<M> Clone for Counted<M>
where
    M: Message + Send,
    M::Result: Send,
{
    fn clone(&self) -> Self {
        Self { to: self.to.clone(), meter: self.meter.clone() }
    }
}

impl<M> fmt::Debug for Counted<M>
where
    M: Message + Send,
    M::Result: Send,
{
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Counted").field("meter", &self.meter).finish_non_exhaustive()
    }
}
