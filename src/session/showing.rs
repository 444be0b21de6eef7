//! How events reach a client: in each dialect that it hears.
use std::borrow::Cow;

use log::debug;
use smallvec::SmallVec;

use super::state::NAMESPACE;
use crate::chat::{Broadcast, Emitted, Event, WORDED};
use crate::dialect::{DialectSet, Voice};
use crate::engineio::{Encoded, Output};
use crate::model::UserId;
use crate::socketio::encode_event;

/// An event's packets in each dialect that the client hears and that shows it to `viewer`; equal ones once. What another
/// server has worded is the same in all.
pub fn encodings<'a>(voice: Voice, viewer: &UserId, event: &'a Broadcast) -> impl Iterator<Item = Cow<'a, Encoded>> {
    let worded = match event.event() {
        Event::Emitted(emitted) => event.encoding(WORDED, |_| Some(encode_worded(emitted))),
        _ => None,
    };
    worded.map(Cow::Borrowed).into_iter().chain(encodings_in(voice.heard(), voice, viewer, event))
}

fn encodings_in<'a>(
    dialects: DialectSet,
    voice: Voice,
    viewer: &UserId,
    event: &'a Broadcast,
) -> impl Iterator<Item = Cow<'a, Encoded>> {
    let name = event.name_for(viewer);
    let mut seen = SmallVec::<[Cow<'a, Encoded>; 4]>::new();
    dialects.iter().filter_map(move |dialect| {
        if !dialect.shows(event.event(), viewer, voice.has_pinned(dialect)) {
            return None;
        }
        let own = name.and_then(|name| dialect.encode_named(event.event(), name));
        let encoded = match own {
            Some(own) => Cow::Owned(own),
            None => Cow::Borrowed(event.encoding(dialect.index(), |event| dialect.encode(event))?),
        };
        if seen.contains(&encoded) {
            return None;
        }
        seen.push(encoded.clone());
        Some(encoded)
    })
}

fn encode_worded(emitted: &Emitted) -> Encoded {
    let Emitted { name, data } = emitted;
    Encoded::text(&encode_event(NAMESPACE, name, data.as_deref().unwrap_or_default()))
}

/// Sends an event; how many packets that were.
pub fn show(voice: Voice, viewer: &UserId, event: &Broadcast, wire: &mut dyn Output) -> usize {
    send(encodings(voice, viewer, event), viewer, wire)
}

/// Sends a message's event to the socket that sent it, in the dialects whose front ends take that for the confirmation;
/// how many packets that were.
pub fn show_own(voice: Voice, viewer: &UserId, event: &Broadcast, wire: &mut dyn Output) -> usize {
    send(encodings_in(voice.heard().confirming_by_event(), voice, viewer, event), viewer, wire)
}

fn send<'a>(encodings: impl Iterator<Item = Cow<'a, Encoded>>, viewer: &UserId, wire: &mut dyn Output) -> usize {
    let mut packets = 0;
    for encoded in encodings {
        debug!("event sent user={viewer} event={}", event_name(&encoded));
        wire.send(&encoded);
        packets += encoded.packets();
    }
    packets
}

/// Sends an event that may be dropped; whether none of it was.
pub fn show_volatile(voice: Voice, viewer: &UserId, event: &Broadcast, wire: &mut dyn Output) -> bool {
    let mut is_whole = true;
    for encoded in encodings(voice, viewer, event) {
        debug!("event sent user={viewer} event={}", event_name(&encoded));
        is_whole &= wire.send_volatile(&encoded);
    }
    is_whole
}

/// The name of a packet's event, for the log.
fn event_name(encoded: &Encoded) -> String {
    let name = encoded.payload().split(|byte| *byte == b'"').nth(1).unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}
