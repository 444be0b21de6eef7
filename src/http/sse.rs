//! Server-sent events, to the extent that answers use them (source: HTML standard, "Parsing an event stream").

/// Maximum size of one event.
const EVENT_MAX_BYTES: usize = 4 * 1024 * 1024;

/// An event exceeds the maximum size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SseEvent {
    /// Its data.
    pub data: String,
    /// Set for an event named `error`. Older llama.cpp calls the data field so.
    pub is_error: bool,
}

/// Splits a stream into events.
#[derive(Debug, Default)]
pub struct Events {
    line: Vec<u8>,
    data: Option<String>,
    is_error: bool,
    /// The last line ended with a carriage return: a line feed right after it belongs to it.
    after_return: bool,
}

impl Events {
    /// Adds bytes of the stream and returns the events that they complete.
    ///
    /// # Errors
    /// [`TooLong`] if one event exceeds the maximum size.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, TooLong> {
        let mut complete = Vec::new();
        for byte in bytes {
            let follows_return = std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if follows_return => {}
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    complete.extend(self.end_line());
                }
                _ => self.line.push(*byte),
            }
            if self.line.len() + self.data.as_ref().map_or(0, String::len) > EVENT_MAX_BYTES {
                return Err(TooLong);
            }
        }
        Ok(complete)
    }

    /// Returns the last event of a stream that ends without an empty line.
    pub fn finish(&mut self) -> Option<SseEvent> {
        if !self.line.is_empty() {
            self.end_line();
        }
        self.end_line()
    }

    /// Ends a line; returns the event if it was an empty one.
    fn end_line(&mut self) -> Option<SseEvent> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let is_error = std::mem::take(&mut self.is_error);
            return self.data.take().map(|data| SseEvent { data, is_error });
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        self.is_error |= field == "error" || (field == "event" && value == "error");
        if field == "data" || field == "error" {
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_split_wherever_the_bytes_are() {
        for (stream, expected) in [
            ("data: a\n\ndata: b\n\n", vec!["a", "b"]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", vec!["a", "b"]),
            ("data: a\r\rdata:b\r\r", vec!["a", "b"]),
            ("data: one\ndata: two\n\n", vec!["one\ntwo"]),
            (": hello\nevent: x\nid: 1\ndata: a\nretry: 5\n\n", vec!["a"]),
            ("event: x\n\ndata\n\n", vec![""]),
            ("data: half a lin", vec![]),
            ("data: no empty line after it\n", vec![]),
            ("data: grüß dich 👋\n\n", vec!["grüß dich 👋"]),
        ] {
            for size in 1..=stream.len() {
                let mut events = Events::default();
                let found = stream.as_bytes().chunks(size).flat_map(|chunk| events.push(chunk).unwrap());
                let found: Vec<String> = found.map(|event| event.data).collect();
                assert_eq!(found, expected, "{stream:?} by {size}");
            }
        }
    }

    #[test]
    fn the_last_event_needs_no_empty_line() {
        for (stream, expected) in [
            ("data: a\n\ndata: b\n", Some(("b", false))),
            ("data: a\r\n\r\ndata: b\ndata: c", Some(("b\nc", false))),
            ("data: a\n\n", None),
            (": bye\n", None),
            ("event: error\ndata: {}", Some(("{}", true))),
            ("error: {}\n", Some(("{}", true))),
        ] {
            let mut events = Events::default();
            events.push(stream.as_bytes()).unwrap();
            let expected = expected.map(|(data, is_error)| SseEvent { data: data.to_owned(), is_error });
            assert_eq!(events.finish(), expected, "{stream:?}");
            assert_eq!(events.finish(), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_the_same_events_however_they_are_cut(
            lines in proptest::collection::vec("(data|event|error|id|)(: ?|:|)[ a-zö:]{0,6}(\r\n|\n|\r|)", 0..12),
            noise in proptest::collection::vec(proptest::num::u8::ANY, 0..8),
            size in 1usize..9,
        ) {
            let bytes: Vec<u8> = lines.concat().into_bytes().into_iter().chain(noise).collect();
            let (mut at_once, mut cut) = (Events::default(), Events::default());
            let mut one = at_once.push(&bytes).unwrap();
            let mut other: Vec<_> = bytes.chunks(size).flat_map(|chunk| cut.push(chunk).unwrap()).collect();
            one.extend(at_once.finish());
            other.extend(cut.finish());
            proptest::prop_assert_eq!(one, other);
        }
    }

    #[test]
    fn an_endless_event_is_not_kept() {
        let mut events = Events::default();
        let chunk = vec![b'x'; 1024 * 1024];
        assert!((0..3).all(|_| events.push(&chunk).is_ok()));
        assert_eq!(events.push(&chunk).and_then(|_| events.push(&chunk)), Err(TooLong));
    }
}
