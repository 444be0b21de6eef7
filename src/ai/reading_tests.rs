//! Answers of all kinds, read byte by byte.
use proptest::prelude::*;

use super::super::gemini::Gemini;
use super::super::openai::OpenAi;
use super::*;
use crate::config::ModelAddress;

const SURE: Stop = Stop::Ended { is_sure: true };
const UNSURE: Stop = Stop::Ended { is_sure: false };

fn protocols() -> [Box<dyn Protocol>; 2] {
    let none = ModelAddress::default();
    [Box::new(OpenAi::new(&none, "", "")), Box::new(Gemini::new(&none, "", ""))]
}

/// Reads a body in chunks of `size` bytes; returns the text as shown, and the answer.
fn read_by(protocol: &dyn Protocol, body: &[u8], size: usize, stop: Stop) -> Result<Option<(String, Said)>, Broken> {
    let (mut reading, mut shown) = (Reading::new(protocol), String::new());
    for bytes in body.chunks(size) {
        shown += &reading.push(bytes)?;
        if reading.is_over() {
            break;
        }
    }
    let finished = reading.finish(stop)?;
    Ok(finished.map(|(piece, said)| (shown + &piece, said)))
}

/// Reads an answer of chat completions; asserts that chunk sizes make no difference.
fn openai(body: &str, stop: Stop) -> Result<Option<Said>, Broken> {
    let [protocol, _] = protocols();
    let results: Vec<_> = [1, 2, 3, 7, body.len().max(1)].map(|size| read_by(&*protocol, body.as_bytes(), size, stop)).into();
    assert!(results.windows(2).all(|two| two[0] == two[1]), "{body}: {results:?}");
    let result = results.into_iter().next().unwrap();
    result.map(|read| {
        read.map(|(shown, said)| {
            assert_eq!(shown, said.text);
            said
        })
    })
}

fn whole(text: &str) -> Result<Option<Said>, Broken> {
    Ok(Some(Said { text: text.to_owned(), is_truncated: false }))
}

fn cut(text: &str) -> Result<Option<Said>, Broken> {
    Ok(Some(Said { text: text.to_owned(), is_truncated: true }))
}

fn delta(text: &str, reason: &str) -> String {
    format!("data: {{\"choices\":[{{\"delta\":{{\"content\":{text}}},\"finish_reason\":{reason}}}]}}\n\n")
}

#[test]
fn an_answer_ends_where_its_stream_ends() {
    let empty = r#""""#;
    let (hel, lo, done) = (delta(r#""Hel""#, empty), delta(r#""lo""#, empty), "data: [DONE]\n\n");
    for body in [
        format!("{hel}{lo}{done}"),
        format!("{hel}{lo}"),
        format!("{hel}{}{lo}{done}", delta("null", "\"stop\"")),
        format!("{hel}{}", delta(r#""lo""#, "\"stop\"").trim_end()),
        format!("{hel}data: null\n\ndata:\n\n: ping\n\n{lo}data: [DONE]"),
        format!("{hel}data: {{\"choices\":null}}\n\ndata: {{\"choices\":[]}}\n\n{lo}{done}junk"),
        format!("\u{FEFF}\r\n{hel}{lo}"),
        format!("{}{}", hel.trim_end(), "\n").repeat(1) + &format!("{}\n", lo.trim_end()),
        format!("{hel}{lo}{}data: <html>\n\n", delta("null", "\"stop\"")),
        hel.replace("data: ", "") + &lo.replace("data: ", ""),
    ] {
        assert_eq!(openai(&body, SURE), whole("Hello"), "{body}");
    }
}

#[test]
fn a_stream_that_may_have_been_cut_needs_a_mark_of_its_end() {
    let hel = delta(r#""Hel""#, "null");
    assert_eq!(openai(&hel, UNSURE), Err(Broken::Off("the stream broke off")));
    assert_eq!(openai(&hel, SURE), whole("Hel"));
    assert_eq!(openai(&(hel.clone() + "data: [DONE]"), UNSURE), whole("Hel"));
    assert_eq!(openai(&(hel.clone() + &delta("null", "\"stop\"")), UNSURE), whole("Hel"));
    assert_eq!(openai(&(hel + "data: {\"choi"), SURE), Err(Broken::Off("an event is no JSON")));
}

#[test]
fn what_the_provider_broke_off_is_no_answer() {
    let hel = delta(r#""Hel""#, "null");
    for end in [
        "data: {\"error\":{\"message\":\"x\"}}\n\n",
        "event: error\ndata: {\"message\":\"x\"}\n\n",
        "error: {\"code\":500}\n\n",
        "data: {\"object\":\"error\",\"message\":\"x\"}",
        &delta("\"lo\"", "\"content_filter\""),
        &delta("\"lo\"", "\"error\""),
    ] {
        assert!(matches!(openai(&(hel.clone() + end), SURE), Err(Broken::Off(_))), "{end}");
    }
    assert_eq!(openai(&(hel.clone() + "data: {\"error\":\"context window\"}\n\n"), SURE), Err(Broken::TooLong));
    assert_eq!(openai("<html>It works!</html>", SURE), Err(Broken::Off("the answer is empty")));
    assert_eq!(openai("", SURE), Err(Broken::Off("the answer is empty")));
    assert_eq!(openai(&delta("\" \"", "\"stop\""), SURE), Err(Broken::Off("the answer is empty")));
    assert_eq!(openai(r#"{"choices":[{"message":{"content":"Hello"},"finish_reason":"content_filter"}]}"#, SURE).ok(), None);
}

#[test]
fn what_was_cut_by_length_or_time_is_kept_and_known_as_such() {
    let (hel, length) = (delta(r#""Hel""#, "null"), delta(r#""lo""#, "\"length\""));
    assert_eq!(openai(&(hel.clone() + &length + "data: [DONE]\n\n"), SURE), cut("Hello"));
    assert_eq!(openai(&(hel.clone() + &length + &delta("null", "\"stop\"")), SURE), cut("Hello"));
    assert_eq!(openai(r#"{"choices":[{"message":{"content":"Hello"},"finish_reason":"length"}]}"#, SURE), cut("Hello"));
    assert_eq!(openai(&(hel.clone() + "data: {\"cho"), Stop::Late), cut("Hel"));
    assert_eq!(openai(&delta(r#""Hello""#, "\"stop\""), Stop::Late), whole("Hello"), "the end had been announced");
    assert_eq!(openai(": ping\n\n", Stop::Late), Ok(None));
    assert_eq!(openai(r#"{"choices":[{"mess"#, Stop::Late), Ok(None));
    assert_eq!(openai(&delta(r#""<think>hm""#, "null"), Stop::Late), Ok(None));
    assert_eq!(openai(&(hel + &delta(r#""<think>hm""#, "\"length\"")), SURE), cut("Hel"));
}

#[test]
fn a_pair_of_surrogates_and_a_tag_may_be_cut_in_two() {
    let body = delta(r#""\ud83d""#, "null") + &delta(r#""\ude00 <thi""#, "null") + &delta(r#""nk>hm</th""#, "null");
    assert_eq!(openai(&(body + &delta(r#""ink>!""#, "\"stop\"")), SURE), whole("😀 !"));
    assert_eq!(openai(&delta(r#""a\ud83d""#, "\"stop\""), SURE), whole("a\u{FFFD}"));
}

#[test]
fn an_answer_that_was_not_to_come_at_once_may_all_the_same() {
    let json = r#"{"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}"#;
    assert_eq!(openai(json, SURE), whole("Hello"));
    assert_eq!(openai(&format!(" \n{json}\n"), UNSURE), whole("Hello"));
    let [_, gemini] = protocols();
    let part = |text: &str| format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}]}}}}]}}"#);
    let list = format!("[{}\n,{}]", part("Hel"), part("lo"));
    let (shown, said) = read_by(&*gemini, list.as_bytes(), 5, SURE).unwrap().unwrap();
    assert_eq!((shown.as_str(), said.text.as_str(), said.is_truncated), ("Hello", "Hello", false));
}

#[test]
fn nothing_is_read_without_a_bound() {
    let [protocol, _] = protocols();
    let piece = delta(&format!("\"{}\"", "ö".repeat(1_000)), "null");
    let mut reading = Reading::new(&*protocol);
    let pushed = (0..10_000).take_while(|_| !reading.is_over() && reading.push(piece.as_bytes()).is_ok()).count();
    assert!((400..=501).contains(&pushed) && reading.is_over(), "{pushed}");
    let (_, said) = reading.finish(SURE).unwrap().unwrap();
    assert!(said.is_truncated && (ANSWER_MAX_BYTES - 3..=ANSWER_MAX_BYTES).contains(&said.text.len()));

    for begin in ["data: ", "{\"a\":\""] {
        let mut reading = Reading::new(&*protocol);
        reading.push(begin.as_bytes()).unwrap();
        let chunk = vec![b'x'; 1024 * 1024];
        assert!((0..20).any(|_| reading.push(&chunk).is_err()), "{begin}");
    }
}

proptest! {
    #[test]
    fn any_answer_is_the_same_however_its_bytes_are_cut(
        said in proptest::collection::vec(r#"([a-zö😀`]|<think>|</think>|\\ud83d|\\ude00|\\n| ){0,5}"#, 0..6),
        ends in proptest::collection::vec(r#"(null|""|"stop"|"length")"#, 6),
        noise in "(|data: |: ping\n|\n|data: null\n\n|data: \\[1,\"x\"\\]\n\n|\u{FEFF})",
        size in 1usize..16,
        is_sure in any::<bool>(),
    ) {
        let body: String = said.iter().zip(&ends).map(|(text, end)| delta(&format!("\"{text}\""), end)).collect();
        let body = noise + &body;
        let [protocol, _] = protocols();
        let stop = Stop::Ended { is_sure };
        let at_once = read_by(&*protocol, body.as_bytes(), body.len().max(1), stop).map(|read| read.map(|(_, said)| said));
        let by_pieces = read_by(&*protocol, body.as_bytes(), size, stop).map(|read| read.map(|(_, said)| said));
        prop_assert_eq!(at_once, by_pieces);
    }

    #[test]
    fn any_bytes_are_an_answer_or_none(
        words in proptest::collection::vec(
            r#"(data: |error: |event: error|\n\n|\n|\{|\}|\[|\]|"|:|,|null|\\u|\\ud83d|choices|candidates|delta|content|parts|text|<think>|[\x00-\x7F])"#,
            0..40,
        ),
        noise in proptest::collection::vec(any::<u8>(), 0..8),
        size in 1usize..16,
        is_sure in any::<bool>(),
    ) {
        let bytes: Vec<u8> = words.concat().into_bytes().into_iter().chain(noise).collect();
        for protocol in protocols() {
            for stop in [Stop::Ended { is_sure }, Stop::Late] {
                if let Ok(Some((_, said))) = read_by(&*protocol, &bytes, size, stop) {
                    prop_assert!(!said.text.trim().is_empty() && !said.text.contains('\0'));
                }
            }
        }
    }
}
