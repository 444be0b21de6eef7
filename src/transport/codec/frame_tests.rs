use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Owned {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
}

impl From<Message<'_>> for Owned {
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.into()),
            Message::Binary(data) => Self::Binary(data.into()),
            Message::Ping(data) => Self::Ping(data.into()),
            Message::Pong(data) => Self::Pong(data.into()),
            Message::Close(code) => Self::Close(code),
        }
    }
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Returns a masked frame; `first` is its first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        length @ 0..=125 => out.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend(MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

/// Decodes `input` in reads of the given lengths, repeated as necessary.
fn decode_in_reads(input: &[u8], max_bytes: usize, reads: &[usize]) -> (Vec<Owned>, Option<FrameError>) {
    let (mut decoder, mut messages, mut rest) = (FrameDecoder::new(), Vec::new(), input);
    let mut reads = reads.iter().cycle();
    while !rest.is_empty() {
        let (read, after) = rest.split_at((*reads.next().unwrap()).clamp(1, rest.len()));
        rest = after;
        let result = decoder.decode(&mut read.to_vec(), max_bytes, |message| {
            messages.push(message.into());
            ControlFlow::Continue(())
        });
        if let Err(error) = result {
            return (messages, Some(error));
        }
        let held = decoder.incomplete.as_ref().map_or(0, |held| held.message.capacity() + held.control.capacity());
        assert!(held <= 2 * input.len().max(8), "held {held} of {} bytes received", input.len());
    }
    (messages, None)
}

fn decode(input: &[u8]) -> (Vec<Owned>, Option<FrameError>) {
    let whole = decode_in_reads(input, 1_000, &[usize::MAX]);
    assert_eq!(decode_in_reads(input, 1_000, &[1]), whole, "byte by byte");
    whole
}

fn text(text: &str) -> Owned {
    Owned::Text(text.into())
}

#[test]
fn examples_of_the_rfc() {
    // RFC 6455 §5.7: a masked text "Hello", a masked pong.
    assert_eq!(decode(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]), (vec![text("Hello")], None));
    assert_eq!(
        decode(&[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]),
        (vec![Owned::Pong(b"Hello".to_vec())], None)
    );
}

#[test]
fn messages_of_every_length() {
    for length in [0, 1, 7, 8, 9, 125, 126, 127, 1_000] {
        let data = vec![b'x'; length];
        let input = [frame(0x82, &data), frame(0x81, &data)].concat();
        let expected = vec![Owned::Binary(data.clone()), text(std::str::from_utf8(&data).unwrap())];
        assert_eq!(decode(&input), (expected, None), "{length}");
    }
    let long = vec![7; 70_000];
    assert_eq!(decode_in_reads(&frame(0x82, &long), 70_000, &[4_096]), (vec![Owned::Binary(long)], None));
}

#[test]
fn control_frames_come_between_fragments() {
    let euro = "€".as_bytes();
    let input = [
        frame(0x01, &euro[..1]),
        frame(0x89, b"a"),
        frame(0x00, &[]),
        frame(0x8a, &[]),
        frame(0x80, &euro[1..]),
        frame(0x02, &[]),
        frame(0x80, &[0xff]),
    ]
    .concat();
    let expected = vec![Owned::Ping(b"a".to_vec()), Owned::Pong(vec![]), text("€"), Owned::Binary(vec![0xff])];
    assert_eq!(decode(&input), (expected, None));
}

#[test]
fn violations_are_named() {
    let unmasked = vec![0x81, 0x01, b'x'];
    let announced = |bytes: u64| [&[0x82, 0xff][..], &bytes.to_be_bytes()].concat();
    for (input, error, code) in [
        (frame(0xc1, b"x"), FrameError::ReservedBit, 1002),
        (frame(0xa1, b"x"), FrameError::ReservedBit, 1002),
        (frame(0x91, b"x"), FrameError::ReservedBit, 1002),
        (frame(0x83, b"x"), FrameError::UnknownOpcode, 1002),
        (frame(0x8b, b"x"), FrameError::UnknownOpcode, 1002),
        (unmasked, FrameError::Unmasked, 1002),
        (frame(0x09, b"x"), FrameError::BadControl, 1002),
        (frame(0x89, &[0; 126]), FrameError::BadControl, 1002),
        (frame(0x80, b"x"), FrameError::BadFragment, 1002),
        ([frame(0x01, b"x"), frame(0x81, b"x")].concat(), FrameError::BadFragment, 1002),
        (frame(0x81, &[0xff]), FrameError::NotUtf8, 1007),
        (frame(0x81, &[0xed, 0xa0, 0x80]), FrameError::NotUtf8, 1007),
        ([frame(0x01, &[0xe2]), frame(0x80, b"x")].concat(), FrameError::NotUtf8, 1007),
        (frame(0x88, &[3]), FrameError::BadClose, 1002),
        (frame(0x88, &1005_u16.to_be_bytes()), FrameError::BadClose, 1002),
        (frame(0x88, &999_u16.to_be_bytes()), FrameError::BadClose, 1002),
        (frame(0x88, &[3, 232, 0xff]), FrameError::NotUtf8, 1007),
        (frame(0x82, &[0; 1_001]), FrameError::TooLarge, 1009),
        (announced(1 << 40), FrameError::TooLarge, 1009),
        (announced(u64::MAX), FrameError::TooLarge, 1009),
        ([frame(0x02, &[0; 600]), frame(0x80, &[0; 401])].concat(), FrameError::TooLarge, 1009),
    ] {
        assert_eq!(decode(&input), (vec![], Some(error)), "{input:x?}");
        assert_eq!(error.close_code(), code);
        // Messages before the error are passed on, those after it are not.
        let among_others = [frame(0x81, b"before"), input, frame(0x81, b"after")].concat();
        assert_eq!(decode(&among_others), (vec![text("before")], Some(error)));
    }
}

#[test]
fn nothing_follows_a_close() {
    for (payload, code) in [(&b""[..], None), (&[3, 232], Some(1000)), (&[15, 160, b'o', b'k'], Some(4000))] {
        let input = [frame(0x88, payload), frame(0x81, b"x"), vec![0xff; 20]].concat();
        assert_eq!(decode(&input), (vec![Owned::Close(code)], None));
    }
}

#[test]
fn breaking_off_ends_the_stream() {
    let mut decoder = FrameDecoder::new();
    let mut count = 0;
    for _ in 0..2 {
        let mut input = [frame(0x81, b"a"), frame(0x81, b"b")].concat();
        let result = decoder.decode(&mut input, 1_000, |_| {
            count += 1;
            ControlFlow::Break(())
        });
        assert_eq!(result, Ok(()));
    }
    assert_eq!(count, 1);
}

#[test]
fn memory_follows_what_came_not_what_was_announced() {
    let mut decoder = FrameDecoder::new();
    let mut input = [&[0x82, 0xff][..], &(1_u64 << 40).to_be_bytes(), &MASK, b"some"].concat();
    decoder.decode(&mut input, usize::MAX, |_| panic!("a message")).unwrap();
    assert!(decoder.incomplete.as_ref().unwrap().message.capacity() < 64);
    assert!(!decoder.is_idle());
}

#[test]
fn nothing_is_held_between_messages() {
    let mut decoder = FrameDecoder::new();
    let input = [frame(0x01, b"a"), frame(0x89, b"b"), frame(0x80, b"c")].concat();
    for byte in input {
        decoder.decode(&mut [byte], 10, |_| ControlFlow::Continue(())).unwrap();
    }
    assert!(decoder.is_idle());
    assert!(size_of::<FrameDecoder>() <= 16);
}

#[test]
fn unmasking_at_every_alignment() {
    for length in 0..40 {
        let plain: Vec<u8> = (0..length).collect();
        let mut data: Vec<u8> = plain.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        unmask(&mut data, MASK);
        assert_eq!(data, plain);
    }
}

/// Generates a message and the positions at which it is cut into fragments; control frames have none.
fn message() -> impl Strategy<Value = (Owned, Vec<usize>)> {
    let whole = prop_oneof![
        any::<String>().prop_map(Owned::Text),
        vec(any::<u8>(), 0..300).prop_map(Owned::Binary),
        vec(any::<u8>(), 0..=125).prop_map(Owned::Ping),
        vec(any::<u8>(), 0..=125).prop_map(Owned::Pong),
    ];
    (whole, vec(0..40_usize, 0..4))
}

fn encode((message, cuts): &(Owned, Vec<usize>)) -> Vec<u8> {
    let (opcode, mut data) = match message {
        Owned::Text(text) => (0x1, text.as_bytes()),
        Owned::Binary(data) => (0x2, &data[..]),
        Owned::Ping(data) => return frame(0x89, data),
        Owned::Pong(data) => return frame(0x8a, data),
        Owned::Close(_) => return frame(0x88, &[]),
    };
    let mut out = Vec::new();
    for (index, cut) in cuts.iter().enumerate() {
        let (fragment, rest) = data.split_at((*cut).min(data.len()));
        out.extend(frame(if index == 0 { opcode } else { 0 }, fragment));
        data = rest;
    }
    out.extend(frame(0x80 | if cuts.is_empty() { opcode } else { 0 }, data));
    out
}

/// Changes some bytes of a stream.
fn mutate(bytes: &mut Vec<u8>, edits: &[(prop::sample::Index, u8, u8)]) {
    for (index, edit, value) in edits {
        if bytes.is_empty() {
            return;
        }
        let at = index.index(bytes.len());
        match edit % 4 {
            0 => bytes[at] = *value,
            1 => bytes[at] ^= 1 << (value % 8),
            2 => bytes.insert(at, *value),
            _ => {
                bytes.remove(at);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn messages_survive_fragments_and_reads(messages in vec(message(), 0..6), reads in vec(1..200_usize, 1..8)) {
        let input = messages.iter().flat_map(encode).collect::<Vec<_>>();
        let expected = messages.into_iter().map(|(message, _)| message).collect::<Vec<_>>();
        prop_assert_eq!(decode_in_reads(&input, 100_000, &reads), (expected, None));
    }

    #[test]
    fn mutated_streams_decode_alike_in_any_reads(
        messages in vec(message(), 1..5),
        edits in vec(any::<(prop::sample::Index, u8, u8)>(), 1..5),
        reads in vec(1..60_usize, 1..8),
        max_bytes in 0..400_usize,
    ) {
        let mut input = messages.iter().flat_map(encode).collect::<Vec<_>>();
        mutate(&mut input, &edits);
        prop_assert_eq!(
            decode_in_reads(&input, max_bytes, &reads),
            decode_in_reads(&input, max_bytes, &[usize::MAX])
        );
    }

    #[test]
    fn random_streams_decode_alike_in_any_reads(
        input in vec(prop_oneof![any::<u8>(), Just(0x81), Just(0x80), Just(0xfe), Just(0xff)], 0..200),
        reads in vec(1..20_usize, 1..5),
    ) {
        prop_assert_eq!(decode_in_reads(&input, 50, &reads), decode_in_reads(&input, 50, &[usize::MAX]));
    }
}
