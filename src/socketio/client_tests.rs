use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::super::encode::*;
use super::ProtocolError::*;
use super::*;

/// Bytes of a packet's attachments.
const MAX: usize = 1_000;

fn joined(namespaces: &[&str]) -> Client {
    let mut client = Client::new();
    for namespace in namespaces {
        client.on_text(&format!("0{namespace}")).unwrap();
        client.join(namespace);
    }
    client
}

fn event(incoming: Option<Incoming>) -> IncomingEvent {
    match incoming {
        Some(Incoming::Event(event)) => event,
        other => panic!("no event: {other:?}"),
    }
}

#[test]
fn connects_with_and_without_auth() {
    for (text, namespace, auth) in [
        ("0", "/", None),
        ("0{\"token\":\"x\"}", "/", Some("{\"token\":\"x\"}")),
        ("0{}", "/", Some("{}")),
        ("0/chat,{\"a\": 1.0}", "/chat", Some("{\"a\": 1.0}")),
        ("0/chat", "/chat", None),
        ("0/chat,", "/chat", None),
    ] {
        let mut client = Client::new();
        let Ok(Some(Incoming::Connect { namespace: asked, auth: given })) = client.on_text(text) else { panic!("{text}") };
        assert_eq!((asked.as_ref(), given.as_deref().map(RawValue::get)), (namespace, auth), "{text}");
        assert!(!client.has_joined(namespace) && !client.has_ever_joined());
        client.join(namespace);
        assert!(client.has_joined(namespace) && client.has_ever_joined());
        assert_eq!(client.joined().collect::<Vec<_>>(), [namespace]);
    }
}

#[test]
fn refused_namespaces_may_be_tried_again() {
    let mut client = Client::new();
    for _ in 0..2 {
        assert!(matches!(client.on_text("0/nope"), Ok(Some(Incoming::Connect { .. }))));
        client.forget_connecting("/nope");
    }
    assert!(matches!(client.on_text("0"), Ok(Some(Incoming::Connect { .. }))));
    assert!(!client.has_ever_joined());
}

#[test]
fn events_and_acks() {
    let mut client = joined(&["/", "/chat"]);
    let first = event(client.on_text("2/chat,12[\"q\",1.0,{\"a\":null}]").unwrap());
    assert_eq!((first.namespace.as_ref(), first.name.as_str(), first.ack_id), ("/chat", "q", Some(12)));
    assert_eq!(first.args.json(), "1.0,{\"a\":null}");
    let Ok(Some(Incoming::Ack { namespace, id, args })) = client.on_text("37[]") else { panic!() };
    assert_eq!((namespace.as_ref(), id, args.len()), ("/", 7, 0));
    assert!(matches!(client.on_text("3[1]"), Ok(None)), "an ack without an id answers nothing");
}

#[test]
fn attachments_are_gathered() {
    let mut client = joined(&["/"]);
    let text = "52-[\"u\",{\"_placeholder\":true,\"num\":1},{\"_placeholder\":true,\"num\":0}]";
    assert!(matches!(client.on_text(text), Ok(None)));
    assert!(matches!(client.on_binary(Bytes::from_static(&[1]), MAX), Ok(None)));
    let upload = event(client.on_binary(Bytes::from_static(&[2]), MAX).unwrap());
    assert_eq!(upload.args.attachments(), [&[1_u8][..], &[2]]);
    assert_eq!(upload.args.len(), 2);
    assert_eq!(event(client.on_text("2[\"next\"]").unwrap()).name, "next");

    assert!(matches!(client.on_text("61-3[{\"_placeholder\":true,\"num\":0}]"), Ok(None)));
    let Ok(Some(Incoming::Ack { id: 3, args, .. })) = client.on_binary(Bytes::from_static(b"x"), MAX) else { panic!() };
    assert_eq!(args.attachments(), [&b"x"[..]]);
}

#[test]
fn placeholders_in_plain_packets_are_data() {
    let mut client = joined(&["/"]);
    assert_eq!(event(client.on_text("2[\"u\",{\"_placeholder\":true,\"num\":9}]").unwrap()).args.len(), 1);
}

#[test]
fn violations() {
    for (sequence, error) in [
        (&["2[\"x\"]"][..], NotConnected),
        (&["31[]"], NotConnected),
        (&["1"], NotConnected),
        (&["0", "2[\"x\"]"], NotConnected),
        (&["0", "0"], AlreadyConnected),
        (&["0", "join", "0"], AlreadyConnected),
        (&["0", "join", "0/,{}"], AlreadyConnected),
        (&["0", "join", "2/chat,[\"x\"]"], NotConnected),
        (&["0", "join", "1", "2[\"x\"]"], NotConnected),
        (&["0", "join", "1", "1"], NotConnected),
        (&["4{\"message\":\"x\"}"], UnexpectedConnectError),
        (&["0", "join", "1{}"], InvalidPayload),
        (&["0", "join", "2"], InvalidPayload),
        (&["0", "join", "31{}"], InvalidPayload),
        (&["0", "join", "51-[\"u\",{\"_placeholder\":true,\"num\":1}]"], IllegalPlaceholder),
        (&["0", "join", "51-[{\"_placeholder\":true,\"num\":0}]"], InvalidPayload),
        (&["0", "join", "51-[\"u\"]", "2[\"x\"]"], UnexpectedText),
        (&["0", "join", "51-[\"u\"]", "1"], UnexpectedText),
        (&["0", "join", "binary"], UnexpectedBinary),
        (&["0", "join", "51-[\"u\"]", "binary", "binary"], UnexpectedBinary),
    ] {
        let mut client = Client::new();
        let (last, before) = sequence.split_last().unwrap();
        let mut step = |text: &str| match text {
            "join" => {
                client.join("/");
                Ok(None)
            }
            "binary" => client.on_binary(Bytes::new(), MAX),
            text => client.on_text(text),
        };
        for text in before {
            step(text).unwrap();
        }
        assert_eq!(step(last).unwrap_err(), error, "{sequence:?}");
    }
}

#[test]
fn leaving_and_coming_back() {
    let mut client = joined(&["/", "/chat"]);
    assert!(matches!(client.on_text("1/chat,"), Ok(Some(Incoming::Disconnect { namespace })) if namespace.as_ref() == "/chat"));
    assert!(client.has_joined("/") && !client.has_joined("/chat"));
    assert!(matches!(client.on_text("0/chat,"), Ok(Some(Incoming::Connect { .. }))));
}

#[test]
fn packets_in_flight_when_the_server_left_are_ignored() {
    let mut client = joined(&["/"]);
    client.on_text("51-[\"u\"]").unwrap();
    client.leave("/");
    assert!(matches!(client.on_binary(Bytes::new(), MAX), Ok(None)));
    for text in ["2[\"x\"]", "31[]", "51-[\"u\"]"] {
        assert!(matches!(client.on_text(text), Ok(None)), "{text}");
    }
    assert!(matches!(client.on_binary(Bytes::new(), MAX), Ok(None)));
    assert_eq!(client.on_text("2").unwrap_err(), InvalidPayload);
    assert!(matches!(client.on_text("0"), Ok(Some(Incoming::Connect { .. }))));
    client.join("/");
    assert_eq!(event(client.on_text("2[\"x\"]").unwrap()).name, "x");
}

#[test]
fn a_disconnect_that_crosses_ours_is_ignored() {
    let mut client = joined(&["/"]);
    client.leave("/");
    assert!(matches!(client.on_text("1"), Ok(None)));
}

#[test]
fn an_idle_client_is_small() {
    assert!(size_of::<Client>() <= 40);
}

/// Describes a packet as text, so that two can be compared.
fn describe(incoming: &Incoming) -> String {
    match incoming {
        Incoming::Connect { namespace, auth } => format!("connect {namespace} {auth:?}"),
        Incoming::Event(IncomingEvent { namespace, name, args, ack_id }) => {
            format!("event {namespace} {name} {ack_id:?} {} {:?}", args.json(), args.attachments())
        }
        Incoming::Ack { namespace, id, args } => format!("ack {namespace} {id} {} {:?}", args.json(), args.attachments()),
        Incoming::Disconnect { namespace } => format!("disconnect {namespace}"),
    }
}

/// Returns a packet with another type digit.
fn retyped(packet: &str, kind: &str) -> String {
    format!("4{kind}{}", &packet[2..])
}

/// Encodes an event that asks for an ack: an ack with another type digit and the name as its first argument.
fn event_with_ack(namespace: &str, name: &str, args: &str, id: u64) -> String {
    let name = serde_json::json!(name).to_string();
    let args = if args.is_empty() { name } else { format!("{name},{args}") };
    retyped(&encode_ack(namespace, id, &args), "2")
}

/// Encodes a received event or ack as a server would.
fn encode(incoming: &Incoming) -> Option<(String, Vec<Bytes>)> {
    let attachments = |args: &Args| args.attachments().to_vec();
    Some(match incoming {
        Incoming::Event(IncomingEvent { namespace, name, args, ack_id }) => {
            let count = args.attachments().len();
            let text = match (ack_id, count) {
                (None, 0) => encode_event(namespace, name, &args.json()),
                (Some(id), 0) => event_with_ack(namespace, name, &args.json(), *id),
                (None, count) => retyped(&encode_event(namespace, name, &args.json()), &format!("5{count}-")),
                // The reference server sends no binary event that asks for an ack.
                (Some(_), _) => return None,
            };
            (text, attachments(args))
        }
        Incoming::Ack { namespace, id, args } if args.attachments().is_empty() => {
            (encode_ack(namespace, *id, &args.json()), Vec::new())
        }
        Incoming::Ack { namespace, id, args } => {
            let kind = format!("6{}-", args.attachments().len());
            (retyped(&encode_ack(namespace, *id, &args.json()), &kind), attachments(args))
        }
        Incoming::Connect { .. } | Incoming::Disconnect { .. } => return None,
    })
}

fn decode(client: &mut Client, text: &str, attachments: &[Bytes]) -> Result<Option<Incoming>, ProtocolError> {
    let mut last = client.on_text(text)?;
    for attachment in attachments {
        last = client.on_binary(attachment.clone(), MAX)?;
    }
    Ok(last)
}

fn short_text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..12).prop_map(String::from_iter)
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        short_text().prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Into::into),
            vec((short_text(), inner), 0..4).prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Packets to mutate, and pieces to insert into them.
const PACKETS: [&str; 12] = [
    "0",
    "0/chat,{\"token\":\"x\"}",
    "1",
    "1/chat,",
    "2[\"message\",{\"text\":\"hi\",\"n\":[1,2.5e3,true,null]}]",
    "2/chat,12[\"q\",\"\\ud83d\\ude00\\\"\"]",
    "213[7,[[[]]],{}]",
    "312[\"r\"]",
    "3/chat,9007199254740991[]",
    "4{\"message\":\"no\"}",
    "51-[\"u\",{\"_placeholder\":true,\"num\":0}]",
    "62-/chat,3[{\"_placeholder\":true,\"num\":1},{\"a\":[{\"num\":0,\"_placeholder\":true}]}]",
];
const PIECES: [&str; 24] = [
    "0",
    "1",
    "2",
    "5",
    "9",
    "-",
    "/",
    ",",
    "\"",
    "\\",
    "\\u",
    "\\ud800",
    "[",
    "]",
    "{",
    "}",
    ":",
    " ",
    ".",
    "e",
    "€",
    "null",
    "{\"_placeholder\":true,\"num\":1}",
    "connect",
];

/// Generates packets with some characters removed and some pieces inserted.
fn mutated() -> impl Strategy<Value = String> {
    let edits = vec((any::<Index>(), 0..3_usize, select(&PIECES[..])), 0..5);
    (select(&PACKETS[..]), edits).prop_map(|(packet, edits)| {
        let mut chars: Vec<char> = packet.chars().collect();
        for (index, removed, piece) in edits {
            let at = index.index(chars.len() + 1);
            let end = (at + removed).min(chars.len());
            chars.splice(at..end, piece.chars());
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn what_is_encoded_is_decoded(
        namespace in select(&["/", "/chat"][..]),
        name in short_text().prop_filter("reserved", |name| !super::super::packet::is_reserved(name)),
        args in vec(json(), 0..4),
        ack_id in any::<Option<u64>>(),
    ) {
        let args = args.iter().map(ToString::to_string).collect::<Vec<_>>();
        let joined_args = args.join(",");
        let text = match ack_id {
            Some(id) => event_with_ack(namespace, &name, &joined_args, id),
            None => encode_event(namespace, &name, &joined_args),
        };
        let decoded = event(joined(&["/", "/chat"]).on_text(&text[1..]).unwrap());
        prop_assert_eq!((decoded.namespace.as_ref(), decoded.name, decoded.ack_id), (namespace, name, ack_id));
        prop_assert_eq!(decoded.args.json(), joined_args);
        prop_assert_eq!(decoded.args.len(), args.len());
        for (index, arg) in args.iter().enumerate() {
            prop_assert_eq!(decoded.args.get(index).unwrap().get(), arg);
        }
    }

    #[test]
    fn what_is_accepted_survives_a_round_trip(text in mutated()) {
        let mut client = joined(&["/", "/chat"]);
        let mut incoming = client.on_text(&text);
        for _ in 0..10 {
            if matches!(incoming, Ok(None)) && client.is_assembling() {
                incoming = client.on_binary(Bytes::from_static(b"data"), MAX);
            }
        }
        prop_assert!(!client.is_assembling());
        if let Ok(Some(incoming)) = &incoming && let Some((text, attachments)) = encode(incoming) {
            let again = decode(&mut joined(&["/", "/chat"]), &text[1..], &attachments);
            prop_assert_eq!(again.unwrap().as_ref().map(describe), Some(describe(incoming)));
        }
    }

    #[test]
    fn an_event_is_accepted_if_it_is_an_array_with_a_name(payload in mutated()) {
        let text = format!("2{}", payload.get(1..).unwrap_or(""));
        let accepted = joined(&["/", "/chat"]).on_text(&text).is_ok();
        // The same rule in other words: after namespace and id comes a JSON array that starts with a name.
        let rest = &text[1..];
        let rest = rest.strip_prefix("/chat,").or(rest.strip_prefix("/,")).unwrap_or(rest);
        let json = rest.trim_start_matches(|digit: char| digit.is_ascii_digit());
        let id = &rest[..rest.len() - json.len()];
        let items: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
        let named = items.first().is_some_and(|name| name.get().starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit()));
        let expected = named && items[0].get() != "\"connect\"" && (id.is_empty() || id.parse::<u64>().is_ok());
        prop_assert_eq!(accepted, expected, "{}", text);
    }

    #[test]
    fn sequences_of_anything_never_panic(steps in vec(prop_oneof![
        4 => mutated().prop_map(Ok),
        1 => any::<String>().prop_map(Ok),
        1 => vec(any::<u8>(), 0..8).prop_map(Err),
    ], 0..20)) {
        let mut client = Client::new();
        for step in steps {
            let result = match step {
                Ok(text) => client.on_text(&text),
                Err(data) => client.on_binary(data.into(), MAX),
            };
            match result {
                Ok(Some(Incoming::Connect { namespace, .. })) => client.join(&namespace),
                Ok(Some(Incoming::Event(event))) => {
                    prop_assert!(client.has_joined(&event.namespace));
                    prop_assert!((0..event.args.len()).all(|index| event.args.get(index).is_some()));
                }
                Ok(Some(Incoming::Disconnect { namespace })) => prop_assert!(!client.has_joined(&namespace)),
                _ => {}
            }
        }
        prop_assert!(client.joined().all(|namespace| client.has_joined(namespace)));
    }
}

#[test]
fn attachments_have_a_bound_together() {
    let mut client = Client::new();
    client.on_text("0").unwrap();
    client.join("/");
    for (max, sizes, expected) in [
        (10, [4, 6].as_slice(), Ok(vec![4, 6])),
        (10, &[4, 7], Err(ProtocolError::AttachmentsTooLarge)),
        (0, &[4, 7], Ok(vec![0, 0])),
    ] {
        client.on_text(r#"52-["a",{"_placeholder":true,"num":0}]"#).unwrap();
        assert!(client.is_assembling());
        let outcomes: Vec<_> = sizes.iter().map(|size| client.on_binary(Bytes::from(vec![0; *size]), max)).collect();
        let last = outcomes.into_iter().next_back().unwrap();
        let sizes = last.map(|incoming| match incoming {
            Some(Incoming::Event(event)) => event.args.attachments().iter().map(Bytes::len).collect(),
            other => panic!("{other:?}"),
        });
        assert_eq!(sizes, expected);
        assert!(!client.is_assembling());
    }
}
