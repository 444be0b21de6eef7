//! Finds the ends of HTTP/1 requests in a connection's bytes (RFC 9112, sections 2.2, 6 and 7.1). It validates nothing:
//! malformed requests are left to actix-http, which refuses them.

/// actix-http's answer to `Expect: 100-continue`.
const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// Length up to which a head is followed; actix-http accepts no longer ones.
const HEAD_MAX: usize = 131_072;

/// The next part of a connection's requests.
#[derive(Debug)]
pub enum Requests {
    /// A head; the bytes received so far.
    Head(Vec<u8>),
    /// A body; set if the answer has already begun.
    Body(Body, bool),
    /// Nothing, until the request is answered.
    Answer,
    /// Not HTTP, as far as it can be followed.
    Unknown,
}

/// The part of a body that is still missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// This number of bytes.
    Bytes(u64),
    /// The rest of a chunk-size line; the size read so far, and whether more digits may come.
    ChunkSize(u64, bool),
    /// This number of bytes of a chunk and its line end.
    Chunk(u64),
    /// Trailer lines up to an empty one; set if the present line is empty so far.
    Trailer(bool),
}

impl Default for Requests {
    fn default() -> Self {
        Self::Head(Vec::new())
    }
}

impl Requests {
    /// Follows received bytes; returns how many of them belong to the current request.
    pub fn follow(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match self {
                // Most heads arrive in one piece, and then nothing is kept.
                Self::Head(head)
                    if head.is_empty()
                        && let Some(length) = head_length(rest) =>
                {
                    at += length;
                    *self = Self::behind_head(rest.get(..length).unwrap_or_default());
                }
                Self::Head(head) => {
                    let (taken, is_whole) = take_head(head, rest);
                    at += taken;
                    if is_whole {
                        *self = Self::behind_head(head);
                    } else if head.len() > HEAD_MAX {
                        *self = Self::Unknown;
                    }
                }
                Self::Body(body, is_answered) => {
                    let (taken, left) = body.take(rest);
                    at += taken;
                    match left {
                        Some(left) => *body = left,
                        None => *self = if *is_answered { Self::default() } else { Self::Answer },
                    }
                }
                Self::Answer => break,
                Self::Unknown => at = bytes.len(),
            }
        }
        at
    }

    /// Follows sent bytes. Returns whether they allow the next request to be read.
    pub fn follow_answer(&mut self, bytes: &[u8]) -> bool {
        // An interim answer asks for the body; the final one may follow immediately.
        if bytes.strip_prefix(INTERIM).unwrap_or(bytes).is_empty() {
            return false;
        }
        match self {
            Self::Body(_, is_answered) => *is_answered = true,
            Self::Answer => {
                *self = Self::default();
                return true;
            }
            Self::Head(_) | Self::Unknown => {}
        }
        false
    }

    /// Returns whether a head has begun and not ended.
    pub fn is_within_head(&self) -> bool {
        matches!(self, Self::Head(head) if !head.is_empty())
    }

    /// Returns whether the next bytes belong to the next request.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Answer)
    }

    fn behind_head(head: &[u8]) -> Self {
        let (mut length, mut is_chunked) = (0, false);
        for line in head.split(|byte| *byte == b'\n') {
            if let Some(value) = field(line, "content-length") {
                match value.parse() {
                    Ok(bytes) => length = bytes,
                    Err(_) => return Self::Unknown,
                }
            } else if let Some(value) = field(line, "transfer-encoding") {
                is_chunked = value.to_ascii_lowercase().contains("chunked");
            }
        }
        match (is_chunked, length) {
            (true, _) => Self::Body(Body::ChunkSize(0, true), false),
            (false, 0) => Self::Answer,
            (false, bytes) => Self::Body(Body::Bytes(bytes), false),
        }
    }
}

impl Body {
    /// Takes the bytes that belong to the body; returns their number and the part still missing, `None` if it is
    /// complete.
    fn take(self, bytes: &[u8]) -> (usize, Option<Self>) {
        match self {
            Self::Bytes(missing) => {
                let taken = missing.min(bytes.len() as u64);
                (taken as usize, Some(missing - taken).filter(|missing| *missing > 0).map(Self::Bytes))
            }
            Self::Chunk(missing) => {
                let taken = missing.min(bytes.len() as u64);
                let left = if taken < missing { Self::Chunk(missing - taken) } else { Self::ChunkSize(0, true) };
                (taken as usize, Some(left))
            }
            Self::ChunkSize(size, is_digits) => {
                let Some(byte) = bytes.first() else { return (0, Some(self)) };
                let left = match (char::from(*byte).to_digit(16), byte) {
                    (_, b'\n') if size == 0 => Self::Trailer(true),
                    // Plus two for the line end after the chunk.
                    (_, b'\n') => Self::Chunk(size.saturating_add(2)),
                    (Some(digit), _) if is_digits => Self::ChunkSize(size.saturating_mul(16).saturating_add(digit.into()), true),
                    _ => Self::ChunkSize(size, false),
                };
                (1, Some(left))
            }
            Self::Trailer(is_empty) => match bytes.first() {
                Some(b'\n') if is_empty => (1, None),
                Some(b'\n') => (1, Some(Self::Trailer(true))),
                Some(b'\r') => (1, Some(self)),
                Some(_) => (1, Some(Self::Trailer(false))),
                None => (0, Some(self)),
            },
        }
    }
}

/// Returns the length of the head that starts here, if it is complete.
fn head_length(bytes: &[u8]) -> Option<usize> {
    let (mut length, mut has_begun) = (0, false);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        length += line.len();
        let is_empty = matches!(line, b"\n" | b"\r\n");
        if is_empty && has_begun {
            return (length <= HEAD_MAX).then_some(length);
        }
        has_begun |= !line.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
    }
    None
}

/// Takes the bytes that belong to a head; returns their number, and whether the head is complete. Empty lines before it
/// belong to it.
fn take_head(head: &mut Vec<u8>, bytes: &[u8]) -> (usize, bool) {
    let mut taken = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        taken += line.len();
        let begun = head.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        head.extend_from_slice(line);
        let is_end = matches!(head.get(begun..), Some(b"\n" | b"\r\n"));
        if is_end && !head.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            return (taken, true);
        }
    }
    (taken, false)
}

/// Returns the value of a field line with this name.
fn field<'a>(line: &'a [u8], name: &str) -> Option<&'a str> {
    let (found, value) = line.split_at_checked(name.len())?;
    if !found.eq_ignore_ascii_case(name.as_bytes()) {
        return None;
    }
    std::str::from_utf8(value.strip_prefix(b":")?).ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits a stream into its requests in reads of this length, answering each once it is complete.
    fn split(stream: &str, read: usize) -> Vec<String> {
        let (mut requests, mut found, mut current) = (Requests::default(), Vec::new(), String::new());
        for mut bytes in stream.as_bytes().chunks(read) {
            while !bytes.is_empty() {
                let (taken, rest) = bytes.split_at(requests.follow(bytes));
                current.push_str(std::str::from_utf8(taken).unwrap());
                if requests.is_whole() {
                    found.push(std::mem::take(&mut current));
                    assert!(requests.follow_answer(b"HTTP/1.1 200 OK"));
                }
                assert!(!taken.is_empty(), "{requests:?}");
                bytes = rest;
            }
        }
        assert_eq!(current, "", "{requests:?}");
        found
    }

    #[test]
    fn requests_end_where_their_bodies_do() {
        let requests = [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\n\nHEAD / HTTP/1.1\nHost: a\n\n",
            "POST / HTTP/1.1\r\nContent-length:  7 \r\n\r\n12\r\n\r\n3",
            "POST / HTTP/1.1\r\ncontent-LENGTH: 0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n1A;a=b\r\nabcdefghijklmnopqrstuvwxyz\r\n3\r\n\r\n\r\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n00\r\nA: b\r\nC: d\r\n\r\n",
            "GET / HTTP/1.1\r\nX: content-length: 5\r\n\r\n",
            "\r\r\n\nGET / HTTP/1.1\r\n\r\n",
        ];
        for read in [1, 2, 3, 7, 50, 10_000] {
            assert_eq!(split(&requests.concat(), read), requests, "{read} bytes a read");
        }
    }

    #[test]
    fn a_body_that_is_answered_early_still_belongs_to_its_request() {
        let mut requests = Requests::default();
        let head = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
        assert_eq!(requests.follow(head), head.len());
        assert!(!requests.follow_answer(b"HTTP/1.1 100 Continue\r\n\r\n"));
        assert_eq!(requests.follow(b"ab"), 2);
        assert!(!requests.follow_answer(b"HTTP/1.1 413 Payload Too Large\r\n\r\n"));
        assert_eq!(requests.follow(b"cdGET"), 5);
        assert!(requests.is_within_head());
    }

    #[test]
    fn an_answer_may_stand_right_behind_an_interim_one() {
        let mut requests = Requests::default();
        requests.follow(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
        assert!(!requests.follow_answer(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 Payload Too Large\r\n\r\n"));
        assert_eq!(requests.follow(b"abGET"), 5, "the next request does not wait for another answer");
        assert!(requests.is_within_head());
    }

    #[test]
    fn what_is_no_http_passes() {
        for stream in ["POST / HTTP/1.1\r\nContent-Length: x\r\n\r\nabc", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\nabc"] {
            let mut requests = Requests::default();
            assert_eq!(requests.follow(stream.as_bytes()), stream.len());
            assert_eq!(requests.follow(b"\r\n\r\n"), 4);
            assert!(!requests.is_whole() && !requests.is_within_head());
        }
        let mut requests = Requests::default();
        assert_eq!(requests.follow(&[b'a'; 2 * HEAD_MAX]), 2 * HEAD_MAX);
        assert!(!requests.is_within_head());
    }
}
