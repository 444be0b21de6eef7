//! Clients that write every byte themselves.
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than any correct answer takes.
const LIMIT: Duration = Duration::from_secs(10);
const POLLING: &str = "/engine.io/?EIO=4&transport=polling";

/// An HTTP response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn told(&self) -> (u16, &str) {
        (self.status, self.text())
    }
}

/// A TCP connection that speaks HTTP.
pub struct Http {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Http {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends a request; `headers` are complete lines.
    pub fn send(&mut self, method: &str, target: &str, headers: &[&str], body: &[u8]) {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: chat.example\r\n");
        for header in headers {
            request += &format!("{header}\r\n");
        }
        if method != "GET" {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        let mut request = (request + "\r\n").into_bytes();
        request.extend(body);
        self.write(&request);
    }

    pub fn receive(&mut self) -> Response {
        let end = self.fill_until(|buffer| buffer.windows(4).position(|part| part == b"\r\n\r\n")).expect("no response") + 4;
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> =
            lines.map(|line| line.split_once(": ").unwrap()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut response = Response { status, headers, body: Vec::new() };
        let length: usize = response.header("content-length").map_or(0, |length| length.parse().unwrap());
        self.fill_until(|buffer| (buffer.len() >= length).then_some(0)).expect("body cut off");
        response.body = self.buffer.drain(..length).collect();
        response
    }

    pub fn request(&mut self, method: &str, target: &str, headers: &[&str], body: &[u8]) -> Response {
        self.send(method, target, headers, body);
        self.receive()
    }

    /// Returns whether nothing comes for this time.
    pub fn is_silent(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let mut byte = [0];
        let outcome = self.stream.peek(&mut byte);
        self.stream.set_read_timeout(Some(LIMIT)).unwrap();
        matches!(outcome, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// Reads to the end of the stream.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        !matches!(self.stream.read_to_end(&mut rest), Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// Reads until `done` finds a position; `None` at the end of the stream.
    fn fill_until(&mut self, done: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
        loop {
            if let Some(place) = done(&self.buffer) {
                return Some(place);
            }
            let mut chunk = [0; 65536];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(length) => self.buffer.extend(&chunk[..length]),
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => return None,
                Err(error) => panic!("nothing came within {LIMIT:?}: {error}"),
            }
        }
    }
}

/// A polling session with a TCP connection for each direction.
pub struct Poller {
    pub sid: String,
    pub get: Http,
    pub post: Http,
}

impl Poller {
    pub fn open(address: SocketAddr) -> Self {
        Self::open_with(address, "")
    }

    /// Opens a session; `query` starts with `&`.
    pub fn open_with(address: SocketAddr, query: &str) -> Self {
        let mut get = Http::connect(address);
        let response = get.request("GET", &format!("{POLLING}{query}"), &[], b"");
        assert_eq!(response.status, 200, "{}", response.text());
        let sid = sid_of(response.text());
        Self { sid, get, post: Http::connect(address) }
    }

    pub fn target(&self) -> String {
        format!("{POLLING}&sid={}", self.sid)
    }

    pub fn start_get(&mut self) {
        let target = self.target();
        self.get.send("GET", &target, &[], b"");
    }

    pub fn poll(&mut self) -> Response {
        self.start_get();
        self.get.receive()
    }

    pub fn push(&mut self, body: &str) -> Response {
        let target = self.target();
        self.post.request("POST", &target, &[], body.as_bytes())
    }

    /// Returns whether the server no longer knows the session.
    pub fn is_gone(&mut self) -> bool {
        let target = self.target();
        self.post.request("GET", &target, &[], b"").told() == (400, r#"{"code":1,"message":"Session ID unknown"}"#)
    }
}

/// Returns the sid in an open packet.
pub fn sid_of(open: &str) -> String {
    let start = open.find(r#""sid":""#).expect("no sid") + 7;
    open[start..start + 20].to_owned()
}

/// A frame from the server.
#[derive(Debug, PartialEq, Eq, Clone)]
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
    /// The end of the stream.
    End,
}

/// A WebSocket.
pub struct Ws {
    pub http: Http,
}

impl Ws {
    /// Opens a session and reads its open packet.
    pub fn open(address: SocketAddr) -> Self {
        let mut ws = Self::connect(address, "/engine.io/?EIO=4&transport=websocket");
        assert!(matches!(ws.next(), Frame::Text(text) if text.starts_with("0{")));
        ws
    }

    /// Opens a WebSocket for a session.
    pub fn for_session(address: SocketAddr, sid: &str) -> Self {
        Self::connect(address, &format!("/engine.io/?EIO=4&transport=websocket&sid={sid}"))
    }

    pub fn connect(address: SocketAddr, target: &str) -> Self {
        let mut http = Http::connect(address);
        let response = http.request("GET", target, &UPGRADE, b"");
        assert_eq!(response.status, 101, "{}", response.text());
        // the example in RFC 6455 §1.3
        assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        Self { http }
    }

    pub fn send(&mut self, text: &str) {
        self.http.write(&frame(0x81, text.as_bytes()));
    }

    pub fn send_binary(&mut self, data: &[u8]) {
        self.http.write(&frame(0x82, data));
    }

    pub fn next(&mut self) -> Frame {
        let Some(header) = self.take(2) else { return Frame::End };
        assert_eq!(header[0] & 0x80, 0x80, "we never fragment");
        assert_eq!(header[1] & 0x80, 0, "we never mask");
        let length = match header[1] {
            126 => u64::from(u16::from_be_bytes(self.take(2).unwrap().try_into().unwrap())),
            127 => u64::from_be_bytes(self.take(8).unwrap().try_into().unwrap()),
            short => u64::from(short),
        };
        let Some(data) = self.take(length as usize) else { return Frame::End };
        match header[0] & 0x0f {
            1 => Frame::Text(String::from_utf8(data).unwrap()),
            2 => Frame::Binary(data),
            8 => Frame::Close(data.get(..2).map(|code| u16::from_be_bytes(code.try_into().unwrap()))),
            9 => Frame::Ping(data),
            10 => Frame::Pong(data),
            other => panic!("opcode {other}"),
        }
    }

    /// Returns the next text frame.
    pub fn text(&mut self) -> String {
        match self.next() {
            Frame::Text(text) => text,
            other => panic!("{other:?} in place of a text"),
        }
    }

    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        self.http.fill_until(|buffer| (buffer.len() >= length).then_some(0))?;
        Some(self.http.buffer.drain(..length).collect())
    }
}

/// Headers of a WebSocket handshake.
pub const UPGRADE: [&str; 4] = [
    "Connection: keep-alive, Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// Returns a masked frame with this first byte.
pub fn frame(first: u8, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match data.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=65535 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    frame.extend(mask);
    frame.extend(data.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}
