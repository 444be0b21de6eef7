//! Fixture 1: Engine.IO alone. Every message comes back unchanged, in order.
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parlance::engineio::{CloseReason, ConnectionKey, Encoded, Opening, Output, Service};

/// Returns every message to its sender.
pub(crate) struct Echo;

impl Service for Echo {
    type Context = ();
    type Shared = Infallible;
    type Notice = Infallible;

    fn open(_: &(), _: ConnectionKey, _: &Opening, _: Instant, _: &mut dyn Output) -> Self {
        Self
    }

    fn on_text(&mut self, text: &str, _: Instant, out: &mut dyn Output) {
        out.send(&Encoded::text(&format!("4{text}")));
    }

    fn on_binary(&mut self, data: Bytes, _: Instant, out: &mut dyn Output) {
        out.send(&Encoded::binary(&data));
    }

    fn on_shared(&mut self, event: &Arc<Infallible>, _: Instant, _: &mut dyn Output) {
        match **event {}
    }

    fn on_notice(&mut self, notice: Infallible, _: Instant, _: &mut dyn Output) {
        match notice {}
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn on_deadline(&mut self, _: Instant, _: &mut dyn Output) {}

    fn on_drained(&mut self, _: Instant, _: &mut dyn Output) {}

    fn on_close(&mut self, _: CloseReason, _: Instant) {}
}
