//! The stages of a message's way: decoding a client's send, encoding it for its readers, and showing it to many.
//!
//! `cargo bench --features internals`, or a part of it: `cargo bench --features internals -- fan_out`.
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use parlance::auth::{Claims, TokenError};
use parlance::chat::{
    Admission, Broadcast, CapabilitiesChanged, CatchUpDrained, Confirmed, Connect, Disconnect, Event, FellBehind, Limited,
    Notice, Request, Upgraded,
};
use parlance::dialect::fixtures::{account, message, profile, user};
use parlance::dialect::{Dialect, DialectSet, FileDialect, register};
use parlance::engineio::{CloseReason, ConnectionKey, Encoded, Opening, Output, Slot, decode_payload};
use parlance::model::{ChangesNotified, ConversationKind, Epoch, Offset, OffsetKind, Part, Timestamp};
use parlance::session::{AskConnect, AtConsole, Broker, CallContext, ForwardEvent, KeysWanted, Now, Rules, Session};
use parlance::socketio::Client;
use parlance::transport::FrameDecoder;

// As in the server: what a filter costs is memory taken and given back, above all.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A send in `messenger`, as written by the stock client.
const SEND: &str = r#"2["send_direct_message",{"recipientId":"bob","content":"Hello, Bob! Are you coming tonight?","clientMessageId":"9f2d1c7e-6a3b-4c55-9d6e-0a4c1b8f7d21"}]"#;

/// Same, in `listing`.
const LISTING_SEND: &str = r#"2["sendDirectMessage",{"receiverId":"bob","content":"Hello, Bob! Are you coming tonight?","clientMessageId":"9f2d1c7e-6a3b-4c55-9d6e-0a4c1b8f7d21"}]"#;

/// The dialects that files describe, beside the compiled ones that say the same.
const FILES: [(&str, &str); 2] = [
    ("messenger-file.toml", include_str!("../tests/js/dialects/messenger-file.toml")),
    ("listing-file.toml", include_str!("../tests/js/dialects/listing-file.toml")),
];

fn main() {
    for (path, text) in FILES {
        let dialect = FileDialect::parse(Path::new(path), text, 1_000_000);
        assert!(dialect.is_ok_and(|dialect| register(dialect).is_ok()), "{path}");
    }
    divan::main();
}

// ---- decode ----

/// Decodes masked frames of a client.
#[divan::bench(args = [1, 16])]
fn decode_frames(bencher: Bencher<'_, '_>, frames: usize) {
    let bytes = masked(SEND).repeat(frames);
    bencher.counter(BytesCount::new(bytes.len())).with_inputs(|| bytes.clone()).bench_values(|mut input| {
        let mut seen = 0;
        let decoded = FrameDecoder::new().decode(&mut input, 1_000_000, |_| {
            seen += 1;
            ControlFlow::Continue(())
        });
        assert!(decoded.is_ok() && seen == frames);
    });
}

/// Decodes a polling body.
#[divan::bench(args = [1, 16])]
fn decode_polling_body(bencher: Bencher<'_, '_>, packets: usize) {
    let body = vec![format!("4{SEND}"); packets].join("\u{1e}");
    bencher.counter(BytesCount::new(body.len())).bench(|| {
        let packets = decode_payload(black_box(body.as_bytes())).into_iter().flatten();
        packets.filter(|packet| packet.is_ok()).count()
    });
}

/// Decodes a Socket.IO packet.
#[divan::bench]
fn decode_packet(bencher: Bencher<'_, '_>) {
    let mut client = Client::new();
    assert!(client.on_text("0").is_ok());
    client.join("/");
    bencher.counter(BytesCount::of_str(SEND)).bench_local(|| client.on_text(black_box(SEND)).is_ok());
}

/// Handles a request in a session, from its packet to the broker.
#[divan::bench(args = ["listing", "listing-file", "messenger", "messenger-file"])]
fn decode_request(bencher: Bencher<'_, '_>, dialect: &str) {
    let rules = rules();
    let send = if dialect.starts_with("listing") { LISTING_SEND } else { SEND };
    let requests = bencher.counter(ItemsCount::new(1_usize)).with_inputs(|| Reader::joined(&rules, dialect));
    requests.bench_local_refs(|reader| reader.with(&rules, |session, now, cx| session.on_text(send, now, cx)));
}

// ---- encode ----

/// Encodes a direct message in one dialect, with its frame.
#[divan::bench(args = ["conversation", "listing", "listing-file", "agent", "messenger", "messenger-file"])]
fn encode(bencher: Bencher<'_, '_>, dialect: &str) {
    let Some(dialect) = Dialect::find(dialect) else { return };
    let event = direct_message();
    bencher.counter(ItemsCount::new(1_usize)).bench(|| {
        let packets = dialect.encode(black_box(&event)).into_iter().flatten();
        packets.map(|packet| Encoded::text(&packet).frames().len()).sum::<usize>()
    });
}

/// Reads a dialect's file and compiles its filters, as at the start.
#[divan::bench]
fn read_dialect_file(bencher: Bencher<'_, '_>) {
    let [(path, text), _] = FILES;
    bencher.bench(|| FileDialect::parse(Path::new(path), black_box(text), 1_000_000).is_ok());
}

// ---- fan out ----

/// Shows one message to `readers` sessions: encoded once, added to each outbox.
#[divan::bench(args = [10, 100, 1_000], consts = [false, true])]
fn fan_out<const FILE: bool>(bencher: Bencher<'_, '_>, readers: usize) {
    let rules = rules();
    let dialect = if FILE { "messenger-file" } else { "messenger" };
    let mut sessions: Vec<Reader> = (0..readers).map(|_| Reader::joined(&rules, dialect)).collect();
    let mut event_seq = 5;
    bencher.counter(ItemsCount::new(readers)).bench_local(|| {
        event_seq += 1;
        let event = Arc::new(Broadcast::new(direct_message()).placed(offset(event_seq)));
        for reader in &mut sessions {
            reader.with(&rules, |session, now, cx| session.on_shared(&event, now.instant, cx));
        }
    });
}

// ---- fixtures ----

fn direct_message() -> Event {
    let message = Arc::new(message("ann", "Hello, Bob! Are you coming tonight?"));
    Event::Message { message, kind: ConversationKind::Direct, recipient: Some(profile("bob")) }
}

fn offset(event_seq: u64) -> Offset {
    let (epoch, kind) = (Epoch { number: 1, mark: 0 }, OffsetKind::Event { event_seq, is_message: true });
    Offset { epoch, position: 3, part: Part::ALL, kind, changes: ChangesNotified::all(3) }
}

/// Returns a masked WebSocket frame of text.
fn masked(text: &str) -> Vec<u8> {
    let (mask, payload) = ([0x5a, 0x17, 0xc3, 0x88], format!("4{text}"));
    let Ok(length) = u16::try_from(payload.len()) else { return Vec::new() };
    let [high, low] = length.to_be_bytes();
    let head = [0x81, 0xfe, high, low];
    let body = payload.bytes().zip(mask.into_iter().cycle()).map(|(byte, key)| byte ^ key);
    head.into_iter().chain(mask).chain(body).collect()
}

/// Returns the default rules without rate limits; every token is one of bob's.
fn rules() -> Rules {
    let verify = |_: &str, _: Timestamp| -> Result<Claims, TokenError> { Ok(Claims::of(user("bob"), "key")) };
    let mut rules = Rules { dialects: DialectSet::all(), ..Rules::new(Box::new(verify)) };
    rules.limits.events_per_second = 0;
    rules.limits.receipts_per_second = 0;
    rules
}

/// A connected session, with a wire that drops what is sent and a broker that forgets requests.
struct Reader {
    session: Session,
    wire: Sink,
    broker: Forgetful,
}

impl Reader {
    fn joined(rules: &Rules, dialect: &str) -> Self {
        let key = ConnectionKey { worker: 0, slot: Slot { index: 1, generation: 1 } };
        let session = Session::open(rules, key, &Opening::default(), Instant::now());
        let mut reader = Self { session, wire: Sink::default(), broker: Forgetful::default() };
        let connect = format!(r#"0{{"token":"bob","dialect":"{dialect}"}}"#);
        reader.with(rules, |session, now, cx| session.on_text(&connect, now, cx));
        if let Some(Connect { socket, pid, .. }) = reader.broker.connect.take() {
            let initial_offset = Arc::new(
                Broadcast::new(Event::Connected { user: user("bob"), socket, token: None }).with_initial_offset(offset(5)),
            );
            let admission = Admission {
                account: account("bob"),
                expires_at: None,
                catch_up: false,
                socket,
                pid,
                initial_offset,
                event_seq: 5,
                resume_data: None,
            };
            let admitted = Notice::Admitted(Box::new(admission));
            reader.with(rules, |session, now, cx| session.on_notice(admitted, now, cx));
        }
        reader
    }

    fn with(&mut self, rules: &Rules, act: impl FnOnce(&mut Session, Now, &mut CallContext<'_>)) {
        let now = Now { instant: Instant::now(), wall: Timestamp::from_millis(1_767_225_600_000) };
        act(&mut self.session, now, &mut CallContext { rules, output: &mut self.wire, broker: &mut self.broker });
    }
}

/// Counts packets instead of sending them.
#[derive(Default)]
struct Sink(usize);

impl Output for Sink {
    fn send(&mut self, packets: &Encoded) {
        self.0 += black_box(packets.frames().clone()).len();
    }

    fn send_volatile(&mut self, packets: &Encoded) -> bool {
        self.send(packets);
        true
    }

    fn close(&mut self, _reason: CloseReason) {}

    fn queued_bytes(&self) -> usize {
        0
    }
}

/// Keeps a CONNECT, and nothing else.
#[derive(Default)]
struct Forgetful {
    connect: Option<Connect>,
}

impl Broker for Forgetful {
    fn connect(&mut self, message: Connect) {
        self.connect = Some(message);
    }

    fn request(&mut self, message: Request) {
        black_box(message);
    }

    fn limited(&mut self, _message: Limited) {}
    fn capabilities_changed(&mut self, _message: CapabilitiesChanged) {}
    fn upgraded(&mut self, _message: Upgraded) {}
    fn catch_up_drained(&mut self, _message: CatchUpDrained) {}
    fn fell_behind(&mut self, _message: FellBehind) {}
    fn confirmed(&mut self, _message: Confirmed) {}
    fn disconnect(&mut self, _message: Disconnect) {}
    fn keys_wanted(&mut self, _message: KeysWanted) {}
    fn ask_connect(&mut self, _message: AskConnect) {}
    fn forward(&mut self, _message: ForwardEvent) {}
    fn at_console(&mut self, _message: AtConsole) {}
}
