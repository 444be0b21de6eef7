//! Server-Sent Events, as far as answers use them (source: HTML standard, "Parsing an event stream").

/// More of one event is not kept.
const EVENT_MAX_BYTES: usize = 4 * 1024 * 1024;

/// One event is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// Splits what comes into events.
#[derive(Debug, Default)]
pub struct Events {
    line: Vec<u8>,
    data: Option<String>,
    /// The last line ended with a carriage return: a line feed that follows belongs to it.
    after_return: bool,
}

impl Events {
    /// Takes what came and gives the data of the events that it completes.
    ///
    /// # Errors
    /// [`TooLong`] if one event is longer than any part of an answer.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, TooLong> {
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

    /// The data of the event that an empty line completes.
    fn end_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.data.take();
        }
        let line = String::from_utf8_lossy(&line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
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
                let found: Vec<String> = stream.as_bytes().chunks(size).flat_map(|chunk| events.push(chunk).unwrap()).collect();
                assert_eq!(found, expected, "{stream:?} by {size}");
            }
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
