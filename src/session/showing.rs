//! Encodes events for a client in each of its dialects.
use std::borrow::Cow;

use log::debug;
use smallvec::SmallVec;

use super::namespaces::NAMESPACE;
use crate::chat::{Broadcast, Emitted, Event, WORDED};
use crate::dialect::{Dialect, DialectSet, DialectState, Packets, initial_offset_packet};
use crate::engineio::{Encoded, Output, RECORD_SEPARATOR};
use crate::model::{Part, UserId};
use crate::socketio::{encode_event, push_text_argument};

/// The way in which a client is shown events.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    /// Its dialects.
    pub dialect_state: DialectState,
    /// Set if each event ends in its offset.
    pub has_offsets: bool,
}

/// Returns an event's packets in each dialect that the client receives and that shows the event to `viewer`, without
/// duplicates. An event worded by another server is the same in all.
pub(super) fn encodings<'a>(view: View, viewer: &UserId, event: &'a Broadcast) -> impl Iterator<Item = Cow<'a, Encoded>> {
    encodings_in(view.dialect_state.receives_in(), view, viewer, event, None)
}

/// Does the same for some dialects, skipping the packets up to the last one that the client already has.
fn encodings_in<'a>(
    dialects: DialectSet,
    view: View,
    viewer: &UserId,
    event: &'a Broadcast,
    had: Option<Part>,
) -> impl Iterator<Item = Cow<'a, Encoded>> {
    let View { dialect_state, has_offsets } = view;
    let had = had.max(event.had());
    let worded = match event.event() {
        Event::Emitted(emitted) if had.is_none_or(|had| usize::from(had.encoding) < WORDED) => {
            event.encoding(WORDED, has_offsets, |event| encoded(encode_worded(emitted), event, has_offsets, WORDED, 0))
        }
        _ => None,
    };
    let name = event.name_for(viewer);
    let mut seen = SmallVec::<[Cow<'a, Encoded>; 4]>::new();
    let in_dialects = dialects.iter().filter_map(move |dialect| {
        if !dialect.shows(event.event(), viewer, dialect_state.has_requested(dialect)) {
            return None;
        }
        let shown = match name.and_then(|name| dialect.encode_named(event.event(), name)) {
            Some(own) => Cow::Owned(encoded(own, event, has_offsets, dialect.index(), 0)?),
            None => Cow::Borrowed(encoding_in(dialect, event, has_offsets)?),
        };
        if seen.iter().any(|other| say_the_same(other, &shown, has_offsets && event.offset().is_some())) {
            return None;
        }
        seen.push(shown.clone());
        match had {
            Some(had) if dialect.index() < usize::from(had.encoding) => None,
            Some(had) if dialect.index() == usize::from(had.encoding) => {
                let packets = name.and_then(|name| dialect.encode_named(event.event(), name));
                let packets = packets.or_else(|| dialect.encode(event.event()))?;
                encoded(packets, event, has_offsets, dialect.index(), usize::from(had.packet) + 1).map(Cow::Owned)
            }
            _ => Some(shown),
        }
    });
    worded.map(Cow::Borrowed).into_iter().chain(in_dialects)
}

/// Returns the encoding that all clients of a dialect share.
fn encoding_in(dialect: Dialect, event: &Broadcast, has_offsets: bool) -> Option<&Encoded> {
    let encode = |event: &Broadcast| encoded(dialect.encode(event.event())?, event, has_offsets, dialect.index(), 0);
    event.encoding(dialect.index(), has_offsets, encode)
}

/// Encodes packets, each with its offset if wanted, skipping the first few; `None` if none are left.
fn encoded(mut packets: Packets, event: &Broadcast, has_offsets: bool, encoding: usize, skipped: usize) -> Option<Encoded> {
    for (place, packet) in packets.iter_mut().enumerate().filter(|_| has_offsets) {
        let part = Part { encoding: u8::try_from(encoding).unwrap_or(u8::MAX), packet: u16::try_from(place).unwrap_or(u16::MAX) };
        if let Some(offset) = event.offset_of(part) {
            push_text_argument(packet, &offset.to_string());
        }
    }
    match packets.get(skipped..)? {
        [] => None,
        [packet] => Some(Encoded::text(packet)),
        packets => Some(Encoded::batch(packets.iter().map(String::as_str))),
    }
}

/// Returns whether two encodings are equal apart from their offsets.
fn say_the_same(one: &Encoded, other: &Encoded, are_placed: bool) -> bool {
    if !are_placed {
        return one == other;
    }
    one.payload().len() == other.payload().len() && without_offsets(one).eq(without_offsets(other))
}

fn without_offsets(encoded: &Encoded) -> impl Iterator<Item = &[u8]> {
    let packets = encoded.payload().split(|byte| *byte == RECORD_SEPARATOR);
    packets.map(|packet| packet.iter().rposition(|byte| *byte == b',').and_then(|end| packet.get(..end)).unwrap_or(packet))
}

fn encode_worded(emitted: &Emitted) -> Packets {
    let Emitted { name, data } = emitted;
    Packets::from_buf([encode_event(NAMESPACE, name, data.as_deref().unwrap_or_default())])
}

/// Sends an event, skipping the packets up to `had`, the last one that the client already has; returns the number of
/// packets sent.
pub(super) fn show(view: View, viewer: &UserId, event: &Broadcast, had: Option<Part>, output: &mut dyn Output) -> usize {
    let View { dialect_state, has_offsets } = view;
    if let Some(dialect) = dialect_state.receives_in().only()
        && had.max(event.had()).is_none()
        && event.name_for(viewer).is_none()
        && !matches!(event.event(), Event::Emitted(_))
    {
        // The common case by far: a single dialect, in which all events are shown alike.
        let is_shown = dialect.shows(event.event(), viewer, dialect_state.has_requested(dialect));
        let encoded = is_shown.then(|| encoding_in(dialect, event, has_offsets)).flatten();
        return send(encoded.map(Cow::Borrowed).into_iter(), viewer, output);
    }
    send(encodings_in(dialect_state.receives_in(), view, viewer, event, had), viewer, output)
}

/// Sends a message's event to the socket that sent it, in the dialects whose front ends take it for the confirmation;
/// returns the number of packets sent.
pub(super) fn show_own(view: View, viewer: &UserId, event: &Broadcast, had: Option<Part>, output: &mut dyn Output) -> usize {
    send(encodings_in(view.dialect_state.receives_in().confirming_by_event(), view, viewer, event, had), viewer, output)
}

/// Sends the event that brings a client its first offset; one that wants none gets what its dialects have to say.
pub(super) fn show_initial_offset(view: View, viewer: &UserId, initial_offset: &Broadcast, output: &mut dyn Output) -> usize {
    let packets = show(view, viewer, initial_offset, None, output);
    if packets > 0 || !view.has_offsets {
        return packets;
    }
    if let Some(encoded) = encoded(Packets::from_buf([initial_offset_packet()]), initial_offset, true, 0, 0) {
        output.send(&encoded);
    }
    1
}

fn send<'a>(encodings: impl Iterator<Item = Cow<'a, Encoded>>, viewer: &UserId, output: &mut dyn Output) -> usize {
    let mut packets = 0;
    for encoded in encodings {
        debug!(user:% = viewer, event:% = event_name(&encoded); "event sent");
        output.send(&encoded);
        packets += encoded.packets();
    }
    packets
}

/// Sends a volatile event; returns whether none of its packets was dropped.
pub(super) fn show_volatile(view: View, viewer: &UserId, event: &Broadcast, output: &mut dyn Output) -> bool {
    let mut is_whole = true;
    for encoded in encodings(view, viewer, event) {
        debug!(user:% = viewer, event:% = event_name(&encoded); "event sent");
        is_whole &= output.send_volatile(&encoded);
    }
    is_whole
}

/// Returns the name of a packet's event, for the log.
fn event_name(encoded: &Encoded) -> String {
    let name = encoded.payload().split(|byte| *byte == b'"').nth(1).unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}
