//! An answer being read: one JSON document or a stream of events, regardless of its headers. No I/O.
use super::json::{Json, Pairs};
use super::protocol::{Broken, End, Protocol};
use super::spoken::Spoken;
use crate::http::{Events, SseEvent};

/// Longest answer, equal to the longest message that clients may send. The rest of a longer one is cut.
const ANSWER_MAX_BYTES: usize = 1_000_000;
/// Longest answer in one JSON document, which has more in it than the text.
const BODY_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Longest stream of events. None of it is kept, and each token comes with some hundred bytes around it.
const STREAM_MAX_BYTES: usize = 1024 * 1024 * 1024;
/// Data of the event after the last one.
const DONE: &str = "[DONE]";
/// Bytes that may precede everything: blanks, and a byte order mark.
const BEFORE: [u8; 7] = *b" \t\r\n\xEF\xBB\xBF";

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// Text of the answer: not empty, and free of characters that cannot be stored.
    pub text: String,
    /// Set if there was more to say.
    pub is_truncated: bool,
}

/// Reason to stop reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The body ended; `is_sure`: a broken connection cannot look like this end.
    Ended { is_sure: bool },
    /// Time ran out.
    Late,
}

#[derive(Debug)]
enum Form {
    /// Only [`BEFORE`] so far.
    Unknown,
    Events(Events),
    Whole(Vec<u8>),
}

/// Reads the bytes of an answer as they arrive.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    protocol: &'a dyn Protocol,
    form: Form,
    pairs: Pairs,
    spoken: Spoken,
    end: Option<End>,
    bytes: usize,
    is_over: bool,
}

impl<'a> Reading<'a> {
    /// Starts reading an answer of `protocol`.
    pub(super) fn new(protocol: &'a dyn Protocol) -> Self {
        let (pairs, spoken) = (Pairs::default(), Spoken::default());
        Self { protocol, form: Form::Unknown, pairs, spoken, end: None, bytes: 0, is_over: false }
    }

    /// Returns whether nothing has been said yet.
    pub(super) fn is_silent(&self) -> bool {
        self.spoken.answer().is_empty()
    }

    /// Returns whether the provider has marked the end of the answer.
    pub(super) fn has_end(&self) -> bool {
        self.end.is_some()
    }

    /// Returns whether nothing more can belong to the answer.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Adds bytes of the body; returns the text that they add.
    ///
    /// # Errors
    /// [`Broken`] if there will be no answer, or no more of it.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<String, Broken> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if matches!(self.form, Form::Unknown) {
            let begin = bytes.iter().position(|byte| !BEFORE.contains(byte));
            let Some(rest) = begin.and_then(|at| bytes.get(at..)) else { return Ok(String::new()) };
            let is_json = matches!(rest.first(), Some(b'{' | b'['));
            self.form = if is_json { Form::Whole(Vec::new()) } else { Form::Events(Events::default()) };
            return self.take(rest);
        }
        self.take(bytes)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<String, Broken> {
        let mut piece = String::new();
        match &mut self.form {
            Form::Unknown => {}
            Form::Whole(body) => {
                body.extend_from_slice(bytes);
                if body.len() > BODY_MAX_BYTES {
                    return Err(Broken::Off("the body is too long"));
                }
            }
            Form::Events(events) => {
                for event in events.push(bytes).map_err(|_| Broken::Off("an event without an end"))? {
                    self.take_event(&event, &mut piece)?;
                }
                if self.bytes > STREAM_MAX_BYTES {
                    (self.end, self.is_over) = (Some(End::Cut), true);
                }
            }
        }
        Ok(piece)
    }

    fn take_event(&mut self, event: &SseEvent, piece: &mut String) -> Result<(), Broken> {
        let data = event.data.trim();
        if self.is_over {
            return Ok(());
        }
        if event.is_error {
            return Err(Broken::by_error(data));
        }
        if data == DONE {
            self.end = self.end.or(Some(End::Whole));
            self.is_over = true;
            return Ok(());
        }
        match Json::all(data) {
            Some(values) => values.into_iter().flat_map(Json::items).try_for_each(|json| self.hear(json, piece)),
            None if self.has_end() => Ok(()),
            None => Err(Broken::Off("an event is no JSON")),
        }
    }

    fn hear(&mut self, json: Json<'_>, piece: &mut String) -> Result<(), Broken> {
        if self.is_over {
            return Ok(());
        }
        let part = self.protocol.read(json)?;
        let mut text = self.pairs.push(&part.text);
        if self.end != Some(End::Cut) {
            self.end = part.end.or(self.end);
        }
        let room = ANSWER_MAX_BYTES.saturating_sub(self.spoken.size());
        if text.len() > room {
            text.truncate(text.floor_char_boundary(room));
            (self.end, self.is_over) = (Some(End::Cut), true);
        }
        piece.push_str(&self.spoken.push(&text));
        Ok(())
    }

    /// Ends the reading; returns the remaining text and the whole answer. `None` if nothing was said in time.
    ///
    /// # Errors
    /// [`Broken`] if it is not an answer.
    pub(super) fn finish(mut self, stop: Stop) -> Result<Option<(String, Said)>, Broken> {
        let mut piece = String::new();
        let is_late = stop == Stop::Late && !self.has_end();
        let mut is_sure = stop == Stop::Ended { is_sure: true };
        match std::mem::replace(&mut self.form, Form::Unknown) {
            Form::Whole(_) if is_late => {}
            Form::Whole(body) => {
                let body = String::from_utf8_lossy(&body);
                let values = Json::all(&body).ok_or(Broken::Off("the body is no JSON"))?;
                values.into_iter().flat_map(Json::items).try_for_each(|json| self.hear(json, &mut piece))?;
                is_sure = true;
            }
            Form::Events(mut events) if !is_late => {
                if let Some(event) = events.finish() {
                    self.take_event(&event, &mut piece)?;
                }
            }
            Form::Events(_) | Form::Unknown => {}
        }
        let is_cut = is_late || self.end == Some(End::Cut);
        let half = self.pairs.finish().map(String::from).unwrap_or_default();
        piece.push_str(&self.spoken.push(&half));
        piece.push_str(&self.spoken.finish(is_cut));
        if self.is_silent() {
            return if is_late { Ok(None) } else { Err(Broken::Off("the answer is empty")) };
        }
        if !is_late && !is_sure && !self.has_end() {
            return Err(Broken::Off("the stream broke off"));
        }
        Ok(Some((piece, Said { text: self.spoken.into_answer(), is_truncated: is_cut })))
    }
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
