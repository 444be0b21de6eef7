//! Fixture of the Socket.IO v5 suite: namespaces `/` and `/custom`, and two events that are echoed.
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use parlance::engineio::{CloseReason, ConnectionKey, Encoded, Opening, Output, Service};
use parlance::socketio::{
    Client, Incoming, IncomingEvent, ProtocolError, encode_ack, encode_connect, encode_connect_error, encode_event,
};
use serde_json::value::RawValue;

use crate::attachments::{encode_binary_ack, encode_binary_event};

/// Time within which a namespace must be joined, as the suite expects.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1_000);

/// One connection of the suite.
pub(crate) struct SocketIoFixture {
    client: Client,
    opened_at: Instant,
}

impl SocketIoFixture {
    fn on_incoming(&mut self, incoming: Result<Option<Incoming>, ProtocolError>, out: &mut dyn Output) {
        match incoming {
            Ok(Some(Incoming::Connect { namespace, auth })) => {
                self.on_connect(&namespace, auth.as_deref().map_or("{}", RawValue::get), out)
            }
            Ok(Some(Incoming::Event(event))) if event.namespace.as_ref() == "/" => on_event(&event, out),
            Ok(_) => {}
            Err(_) => out.close(CloseReason::ForcedClose),
        }
    }

    fn on_connect(&mut self, namespace: &str, auth: &str, out: &mut dyn Output) {
        if !matches!(namespace, "/" | "/custom") {
            self.client.forget_connecting(namespace);
            return out.send(&Encoded::text(&encode_connect_error(namespace, "Invalid namespace", None)));
        }
        self.client.join(namespace);
        let sid = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 15]>());
        out.send(&Encoded::text(&encode_connect(namespace, &sid, None)));
        out.send(&Encoded::text(&encode_event(namespace, "auth", auth)));
    }
}

fn on_event(event: &IncomingEvent, out: &mut dyn Output) {
    let IncomingEvent { namespace, name, args, ack_id } = event;
    let attachments = args.attachments();
    let text = match (name.as_str(), ack_id, attachments.len()) {
        ("message", _, 0) => encode_event(namespace, "message-back", &args.json()),
        ("message", _, count) => encode_binary_event(namespace, "message-back", &args.json(), count),
        ("message-with-ack", Some(id), 0) => encode_ack(namespace, *id, &args.json()),
        ("message-with-ack", Some(id), count) => encode_binary_ack(namespace, *id, &args.json(), count),
        _ => return,
    };
    out.send(&Encoded::with_attachments(&text, attachments));
}

impl Service for SocketIoFixture {
    type Context = ();
    type Shared = ();
    type Notice = ();

    fn open((): &(), _key: ConnectionKey, _opening: &Opening, now: Instant, _out: &mut dyn Output) -> Self {
        Self { client: Client::new(), opened_at: now }
    }

    fn on_text(&mut self, text: &str, _now: Instant, out: &mut dyn Output) {
        let incoming = self.client.on_text(text);
        self.on_incoming(incoming, out);
    }

    fn on_binary(&mut self, data: Bytes, _now: Instant, out: &mut dyn Output) {
        let incoming = self.client.on_binary(data, 1_000_000);
        self.on_incoming(incoming, out);
    }

    fn on_shared(&mut self, _event: &Arc<()>, _now: Instant, _out: &mut dyn Output) {}

    fn on_notice(&mut self, (): (), _now: Instant, _out: &mut dyn Output) {}

    fn deadline(&self) -> Option<Instant> {
        (!self.client.has_ever_joined()).then(|| self.opened_at + CONNECT_TIMEOUT)
    }

    fn on_deadline(&mut self, now: Instant, out: &mut dyn Output) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            out.close(CloseReason::ConnectTimeout);
        }
    }

    fn on_drained(&mut self, _now: Instant, _out: &mut dyn Output) {}

    fn on_close(&mut self, _reason: CloseReason, _now: Instant) {}
}

#[cfg(test)]
mod tests {
    use parlance::engineio::Seat;

    use super::*;

    /// Keeps sent packets as a polling payload.
    #[derive(Default)]
    struct Sent {
        packets: Vec<String>,
        closed: Option<CloseReason>,
    }

    impl Output for Sent {
        fn send(&mut self, packets: &Encoded) {
            self.packets.push(String::from_utf8(packets.payload().to_vec()).unwrap());
        }

        fn send_volatile(&mut self, packets: &Encoded) -> bool {
            self.send(packets);
            true
        }

        fn close(&mut self, reason: CloseReason) {
            self.closed = Some(reason);
        }

        fn queued_bytes(&self) -> usize {
            0
        }
    }

    fn open(now: Instant) -> (SocketIoFixture, Sent) {
        let key = ConnectionKey { worker: 0, seat: Seat { slot: 0, generation: 0 } };
        let mut sent = Sent::default();
        (SocketIoFixture::open(&(), key, &Opening::default(), now, &mut sent), sent)
    }

    /// Returns the answers to a sequence of texts.
    fn answers(texts: &[&str]) -> (Vec<String>, Option<CloseReason>) {
        let now = Instant::now();
        let (mut fixture, mut sent) = open(now);
        for text in texts {
            match text.strip_prefix("binary ") {
                Some(data) => fixture.on_binary(Bytes::copy_from_slice(data.as_bytes()), now, &mut sent),
                None => fixture.on_text(text, now, &mut sent),
            }
        }
        (sent.packets, sent.closed)
    }

    #[test]
    fn connecting() {
        for (text, prefix, auth) in [
            ("0", "40{\"sid\":\"", "42[\"auth\",{}]"),
            ("0{\"token\":\"123\"}", "40{\"sid\":\"", "42[\"auth\",{\"token\":\"123\"}]"),
            ("0/custom,", "40/custom,{\"sid\":\"", "42/custom,[\"auth\",{}]"),
            ("0/custom,{\"token\":\"abc\"}", "40/custom,{\"sid\":\"", "42/custom,[\"auth\",{\"token\":\"abc\"}]"),
        ] {
            let (packets, closed) = answers(&[text]);
            let [connect, event] = packets.as_slice() else { panic!("{packets:?}") };
            assert!(connect.starts_with(prefix) && connect.len() == prefix.len() + 22, "{connect}");
            assert_eq!((event.as_str(), closed), (auth, None));
        }
        assert_eq!(answers(&["0/random"]), (vec!["44/random,{\"message\":\"Invalid namespace\"}".into()], None));
    }

    #[test]
    fn messages_come_back() {
        let placeholder = "{\"_placeholder\":true,\"num\":0}";
        for (texts, answer) in [
            (vec!["2[\"message\",1,\"2\",{\"3\":[true]}]".to_owned()], "42[\"message-back\",1,\"2\",{\"3\":[true]}]".to_owned()),
            (vec!["2[\"message\"]".into()], "42[\"message-back\"]".into()),
            (vec!["2456[\"message-with-ack\",1,[false]]".into()], "43456[1,[false]]".into()),
            (
                vec![format!("51-[\"message\",{placeholder}]"), "binary abc".into()],
                format!("451-[\"message-back\",{placeholder}]\u{1e}bYWJj"),
            ),
            (
                vec![format!("51-789[\"message-with-ack\",{placeholder}]"), "binary abc".into()],
                format!("461-789[{placeholder}]\u{1e}bYWJj"),
            ),
        ] {
            let mut all = vec!["0"];
            all.extend(texts.iter().map(String::as_str));
            let (packets, closed) = answers(&all);
            assert_eq!((packets.get(2..), closed), (Some(&[answer][..]), None));
        }
    }

    #[test]
    fn only_the_default_namespace_answers() {
        assert_eq!(answers(&["0/custom", "2/custom,[\"message\",1]", "2/custom,1[\"message-with-ack\"]"]).0.len(), 2);
        assert_eq!(answers(&["0", "2[\"message-with-ack\"]", "2[\"other\"]", "1"]).0.len(), 2);
    }

    #[test]
    fn bad_packets_close() {
        for text in ["4", "abc", "0", "2{}", "2/custom,[\"message\"]", "binary x"] {
            assert_eq!(answers(&["0", text]).1, Some(CloseReason::ForcedClose), "{text}");
        }
    }

    #[test]
    fn only_a_joined_namespace_stops_the_timeout() {
        let now = Instant::now();
        let (mut fixture, mut sent) = open(now);
        fixture.on_text("0/random", now, &mut sent);
        assert_eq!(fixture.deadline(), Some(now + CONNECT_TIMEOUT));
        fixture.on_deadline(now + CONNECT_TIMEOUT, &mut sent);
        assert_eq!(sent.closed, Some(CloseReason::ConnectTimeout));

        let (mut fixture, mut sent) = open(now);
        for text in ["0", "1"] {
            fixture.on_text(text, now, &mut sent);
        }
        assert_eq!(fixture.deadline(), None);
    }
}
