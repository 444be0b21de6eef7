//! WebSocket frames from clients (source: RFC 6455 §5).
//!
//! Frames to clients are made together with their packets: [`Encoded`](crate::engineio::Encoded).
use std::ops::ControlFlow;

use smallvec::SmallVec;

use super::deflate::inflate;
use super::message::{FrameError, Message};

/// Maximum length of a header in bytes: two, a length of 64 bits, a mask.
const MAX_HEADER_BYTES: usize = 14;

/// Maximum payload of a control frame in bytes (RFC 6455 §5.5).
const MAX_CONTROL_BYTES: usize = 125;

/// Splits the bytes from a client into messages.
///
/// It keeps only the received part of an incomplete message: between messages it uses no heap, and memory grows with
/// the bytes received, not with the length announced. Lengths in a longer form than necessary are accepted, as by the
/// `ws` library.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    incomplete: Option<Box<Incomplete>>,
    is_finished: bool,
    /// Set if messages may be compressed (RFC 7692).
    may_inflate: bool,
}

/// The received part of an incomplete message.
#[derive(Debug, Default)]
struct Incomplete {
    /// Start of an incomplete header.
    header: SmallVec<[u8; MAX_HEADER_BYTES]>,
    /// Frame whose payload is being received.
    frame: Option<Frame>,
    /// Payload so far of that frame, if it is a control frame: those may come between fragments.
    control: Vec<u8>,
    /// Kind of the fragmented message that continues after the frame.
    kind: Option<Kind>,
    /// Set if that message is compressed.
    is_deflated: bool,
    /// Payload of that message so far.
    message: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opcode {
    Continuation,
    First(Kind),
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A parsed header, and the number of payload bytes still to come.
#[derive(Debug, Clone, Copy)]
struct Frame {
    is_last: bool,
    /// In the first frame of a message: set if the message is compressed.
    is_deflated: bool,
    opcode: Opcode,
    /// Rotated so that it starts with the key for the next byte.
    mask: [u8; 4],
    missing: usize,
}

impl FrameDecoder {
    /// Returns a decoder for a new stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a decoder for a client that may send compressed messages.
    pub fn inflating() -> Self {
        Self { may_inflate: true, ..Self::default() }
    }

    /// Decodes bytes that were read, and passes each completed message to `on_message`.
    ///
    /// Payloads are unmasked in place, and a message entirely within `input` is passed without copying. `max_bytes`
    /// limits a message over all its fragments, also after inflation. After a close frame, an error, or a break by
    /// `on_message`, all further input is ignored.
    ///
    /// # Errors
    /// [`FrameError`] for the first violation, once the messages before it were passed on. Headers are checked before
    /// their payload arrives, the encoding of a text once the message is complete.
    pub fn decode(
        &mut self,
        input: &mut [u8],
        max_bytes: usize,
        mut on_message: impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<(), FrameError> {
        if self.is_finished {
            return Ok(());
        }
        let flow = self.advance(input, max_bytes, &mut on_message);
        self.is_finished = !matches!(flow, Ok(ControlFlow::Continue(())));
        if self.is_finished || self.incomplete.as_ref().is_some_and(|incomplete| incomplete.is_empty()) {
            self.incomplete = None;
        }
        flow.map(|_| ())
    }

    /// Returns whether nothing is pending: the last message was complete, or the stream is over.
    pub fn is_idle(&self) -> bool {
        self.incomplete.is_none()
    }

    fn advance(
        &mut self,
        mut rest: &mut [u8],
        max_bytes: usize,
        on_message: &mut impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, FrameError> {
        while !rest.is_empty() {
            let started = self.incomplete.as_mut().and_then(|incomplete| incomplete.frame.take());
            let frame = match started {
                Some(frame) => frame,
                None => {
                    let Some((frame, used)) = self.read_header(rest, max_bytes)? else { break };
                    rest = rest.split_at_mut_checked(used).map_or_else(Default::default, |(_, rest)| rest);
                    frame
                }
            };
            let available = frame.missing.min(rest.len());
            let Some((data, after)) = rest.split_at_mut_checked(available) else { break };
            rest = after;
            unmask(data, frame.mask);
            if available < frame.missing {
                self.keep(frame, data);
            } else if self.finish(frame, data, max_bytes, on_message)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Parses a header from the part kept and `input`; returns it with the number of bytes of `input` that it used. An
    /// incomplete one is kept.
    fn read_header(&mut self, input: &[u8], max_bytes: usize) -> Result<Option<(Frame, usize)>, FrameError> {
        let Some(incomplete) = &mut self.incomplete else {
            let read = parse_header(input, None, max_bytes, self.may_inflate)?;
            if read.is_none() {
                self.incomplete = Some(Box::new(Incomplete { header: SmallVec::from_slice(input), ..Incomplete::default() }));
            }
            return Ok(read);
        };
        let kept = incomplete.header.len();
        incomplete.header.extend(input.iter().copied().take(MAX_HEADER_BYTES.saturating_sub(kept)));
        // The limit is for the whole message, of which earlier fragments have used a part.
        let room = max_bytes.saturating_sub(incomplete.message.len());
        let Some((frame, length)) = parse_header(&incomplete.header, incomplete.kind, room, self.may_inflate)? else {
            return Ok(None);
        };
        incomplete.header.clear();
        // The kept bytes were used when they came; only the others are used now.
        Ok(Some((frame, length.saturating_sub(kept))))
    }

    /// Keeps a part of a payload.
    fn keep(&mut self, frame: Frame, data: &[u8]) {
        let Frame { is_last, is_deflated, opcode, mut mask, missing } = frame;
        // The next part continues the key where this one ends.
        mask.rotate_left(data.len() % 4);
        let incomplete = self.incomplete.get_or_insert_default();
        incomplete.frame = Some(Frame { is_last, is_deflated, opcode, mask, missing: missing - data.len() });
        if opcode.is_control() { &mut incomplete.control } else { &mut incomplete.message }.extend_from_slice(data);
    }

    /// Adds the last part of a payload, and passes on the message that it completes.
    fn finish(
        &mut self,
        frame: Frame,
        data: &[u8],
        max_bytes: usize,
        on_message: &mut impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, FrameError> {
        let mut incomplete = self.incomplete.as_mut();
        // A control frame may come between fragments, and leaves the message in progress alone.
        let kept = match &mut incomplete {
            Some(incomplete) if frame.opcode.is_control() => std::mem::take(&mut incomplete.control),
            Some(incomplete) => std::mem::take(&mut incomplete.message),
            None => Vec::new(),
        };
        let whole = Joined::new(kept, data);
        let data = whole.as_slice();
        let (kind, is_deflated) = match frame.opcode {
            Opcode::Ping => return Ok(on_message(Message::Ping(data))),
            Opcode::Pong => return Ok(on_message(Message::Pong(data))),
            Opcode::Close => {
                let _ = on_message(Message::Close(close_code(data)?));
                return Ok(ControlFlow::Break(()));
            }
            Opcode::First(kind) => (Some(kind), frame.is_deflated),
            Opcode::Continuation => {
                incomplete.map_or((None, false), |incomplete| (incomplete.kind.take(), incomplete.is_deflated))
            }
        };
        if !frame.is_last {
            let incomplete = self.incomplete.get_or_insert_default();
            incomplete.kind = kind;
            incomplete.is_deflated = is_deflated;
            incomplete.message = whole.into_vec();
            return Ok(ControlFlow::Continue(()));
        }
        // Compression spans all fragments (RFC 7692 §6.1), so only the complete message can be inflated.
        let inflated = if is_deflated { Some(inflate(data, max_bytes)?) } else { None };
        let data = inflated.as_deref().unwrap_or(data);
        Ok(match kind {
            Some(Kind::Text) => on_message(Message::Text(std::str::from_utf8(data).map_err(|_| FrameError::NotUtf8)?)),
            Some(Kind::Binary) => on_message(Message::Binary(data)),
            None => return Err(FrameError::BadFragment),
        })
    }
}

impl Incomplete {
    fn is_empty(&self) -> bool {
        self.header.is_empty() && self.frame.is_none() && self.kind.is_none()
    }
}

/// The kept part of a payload joined with the rest; copied only if something was kept.
enum Joined<'a> {
    Read(&'a [u8]),
    Kept(Vec<u8>),
}

impl<'a> Joined<'a> {
    fn new(mut kept: Vec<u8>, data: &'a [u8]) -> Self {
        if kept.is_empty() {
            return Self::Read(data);
        }
        kept.extend_from_slice(data);
        Self::Kept(kept)
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Read(data) => data,
            Self::Kept(data) => data,
        }
    }

    fn into_vec(self) -> Vec<u8> {
        match self {
            Self::Read(data) => data.to_vec(),
            Self::Kept(data) => data,
        }
    }
}

/// Parses a header; `None` if it is incomplete. Errors are reported as soon as the offending bytes are there.
///
/// `continues` is the fragmented message in progress, `room` the number of bytes that a message may still have.
fn parse_header(
    bytes: &[u8],
    continues: Option<Kind>,
    room: usize,
    may_inflate: bool,
) -> Result<Option<(Frame, usize)>, FrameError> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let is_deflated = first & 0x40 != 0;
    let may_be_deflated = may_inflate && matches!(first & 0x0f, 0x1 | 0x2);
    if first & 0x30 != 0 || (is_deflated && !may_be_deflated) {
        return Err(FrameError::ReservedBit);
    }
    let is_last = first & 0x80 != 0;
    let opcode = match (first & 0x0f, continues) {
        (0x0, Some(_)) => Opcode::Continuation,
        (0x1, None) => Opcode::First(Kind::Text),
        (0x2, None) => Opcode::First(Kind::Binary),
        (0x0, None) | (0x1 | 0x2, Some(_)) => return Err(FrameError::BadFragment),
        (0x8, _) => Opcode::Close,
        (0x9, _) => Opcode::Ping,
        (0xa, _) => Opcode::Pong,
        _ => return Err(FrameError::UnknownOpcode),
    };
    let short = usize::from(second & 0x7f);
    if opcode.is_control() && (!is_last || short > MAX_CONTROL_BYTES) {
        return Err(FrameError::BadControl);
    }
    if second & 0x80 == 0 {
        return Err(FrameError::Unmasked);
    }
    let (length, rest) = match short {
        126 => {
            let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from(u16::from_be_bytes(*length)), rest)
        }
        127 => {
            let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from_be_bytes(*length), rest)
        }
        short => (short as u64, rest),
    };
    let missing = usize::try_from(length).map_err(|_| FrameError::TooLarge)?;
    if !opcode.is_control() && missing > room {
        return Err(FrameError::TooLarge);
    }
    let Some((mask, rest)) = rest.split_first_chunk() else { return Ok(None) };
    Ok(Some((Frame { is_last, is_deflated, opcode, mask: *mask, missing }, bytes.len() - rest.len())))
}

/// Parses the payload of a close frame: nothing, or a code and a reason.
fn close_code(payload: &[u8]) -> Result<Option<u16>, FrameError> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(FrameError::BadClose) };
    };
    let code = u16::from_be_bytes(*code);
    // RFC 6455 §7.4 and the registry; 1004 to 1006 and 1015 must not be sent.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(FrameError::BadClose);
    }
    std::str::from_utf8(reason).map(|_| Some(code)).map_err(|_| FrameError::NotUtf8)
}

/// Applies a mask, which starts with the key for the first byte, eight bytes at a time.
fn unmask(data: &mut [u8], mask: [u8; 4]) {
    let wide = (u64::from(u32::from_ne_bytes(mask)) << 32) | u64::from(u32::from_ne_bytes(mask));
    let (words, tail) = data.as_chunks_mut();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(mask.into_iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
