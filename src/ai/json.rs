//! Lenient JSON: a value that is missing, `null` or of another type counts as absent.
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{Error, Visitor};
use serde_json::value::RawValue;

/// A value that is parsed only when accessed. Everything else in it is ignored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Json<'a>(&'a RawValue);

impl<'a> Json<'a> {
    /// Parses consecutive values of a text; `None` if one of them is not JSON.
    pub(super) fn all(text: &'a str) -> Option<Vec<Self>> {
        serde_json::Deserializer::from_str(text).into_iter().map(|value| value.ok().map(Self)).collect()
    }

    /// Returns the JSON text.
    pub(super) fn raw(self) -> &'a str {
        self.0.get()
    }

    fn is_null(self) -> bool {
        self.raw() == "null"
    }

    /// Returns a field of an object, unless it is `null`.
    pub(super) fn get(self, name: &str) -> Option<Self> {
        let mut fields: BTreeMap<String, &'a RawValue> = serde_json::from_str(self.raw()).ok()?;
        fields.remove(name).map(Self).filter(|field| !field.is_null())
    }

    /// Returns the elements of a list that are not `null`; any other value counts as a list of one.
    pub(super) fn items(self) -> Vec<Self> {
        let items = serde_json::from_str::<Vec<&'a RawValue>>(self.raw()).unwrap_or_else(|_| vec![self.0]);
        items.into_iter().map(Self).filter(|item| !item.is_null()).collect()
    }

    /// Returns the first of [`Json::items`].
    pub(super) fn first(self) -> Option<Self> {
        self.items().into_iter().next()
    }

    /// Returns a string. Unpaired surrogates are encoded as UTF-8 would encode them if it could (source: WTF-8,
    /// "Encoding").
    pub(super) fn text(self) -> Option<Vec<u8>> {
        serde_json::Deserializer::from_str(self.raw()).deserialize_bytes(Bytes).ok()
    }

    /// Returns a string that is a name, not a part of an answer.
    pub(super) fn word(self) -> Option<String> {
        String::from_utf8(self.text()?).ok()
    }
}

struct Bytes;

impl Visitor<'_> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }
}

/// Joins consecutive strings into text: a surrogate pair may have been split between two of them.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// First half of a pair, at the end of the strings so far.
    half: Option<u16>,
}

impl Pairs {
    /// Adds a string as [`Json::text`] returns it; returns the text that is complete by now, without characters that no
    /// message may hold.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> String {
        let mut text = String::new();
        while !bytes.is_empty() {
            match surrogate_at(bytes) {
                Some(unit) => {
                    self.take(unit, &mut text);
                    bytes = bytes.get(3..).unwrap_or_default();
                }
                None => {
                    text.extend(self.finish());
                    let end = (1..bytes.len()).find(|at| bytes.get(*at..).is_some_and(|rest| surrogate_at(rest).is_some()));
                    let (plain, rest) = bytes.split_at_checked(end.unwrap_or(bytes.len())).unwrap_or((bytes, &[]));
                    text.push_str(&String::from_utf8_lossy(plain));
                    bytes = rest;
                }
            }
        }
        text.retain(|character| character != '\0');
        text
    }

    fn take(&mut self, unit: u16, text: &mut String) {
        let whole = self.half.and_then(|half| char::decode_utf16([half, unit]).next()?.ok());
        if let Some(character) = whole {
            self.half = None;
            text.push(character);
            return;
        }
        text.extend(self.finish());
        if unit < 0xDC00 { self.half = Some(unit) } else { text.push(char::REPLACEMENT_CHARACTER) }
    }

    /// Returns the replacement for a first half whose second half never came.
    pub(super) fn finish(&mut self) -> Option<char> {
        self.half.take().map(|_| char::REPLACEMENT_CHARACTER)
    }
}

/// Returns the surrogate that these bytes begin with. In UTF-8, 0xED is never followed by more than 0x9F.
fn surrogate_at(bytes: &[u8]) -> Option<u16> {
    match bytes {
        [0xED, second @ 0xA0..=0xBF, third, ..] => Some(0xD000 | (u16::from(*second & 0x3F) << 6) | u16::from(*third & 0x3F)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn joined(pieces: &[&str]) -> String {
        let mut pairs = Pairs::default();
        let read = |json: &&str| pairs.push(&Json::all(json).unwrap()[0].text().unwrap());
        let mut text: String = pieces.iter().map(read).collect();
        text.extend(pairs.finish());
        text
    }

    #[test]
    fn a_pair_that_was_cut_in_two_is_one_character() {
        for (pieces, expected) in [
            (&[r#""\ud83d\ude00""#][..], "😀"),
            (&[r#""a\ud83d""#, r#""\ude00b""#], "a😀b"),
            (&[r#""\ud83d""#, r#""""#, r#""\ude00""#], "😀"),
            (&[r#""\ud83d""#, r#""x""#], "\u{FFFD}x"),
            (&[r#""\ude00\ud83d""#], "\u{FFFD}\u{FFFD}"),
            (&[r#""\ud83d\ud83d""#, r#""\ude00""#], "\u{FFFD}😀"),
            (&[r#""\\ud83d""#, r#""\\ude00""#], "\\ud83d\\ude00"),
            (&[r#""퟿힣\u0000é""#], "퟿힣é"),
        ] {
            assert_eq!(joined(pieces), expected, "{pieces:?}");
        }
    }

    #[test]
    fn what_is_not_as_expected_is_not_there() {
        let json = Json::all(r#" {"a":[null,{"b":"x"}],"n":null,"c":7,"\ud83d":1} "#).unwrap()[0];
        assert!(json.get("a").is_none(), "an object with a broken name has no fields that can be read");
        let json = Json::all(r#"{"a":[null,{"b":"x"}],"n":null,"c":7}"#).unwrap()[0];
        assert_eq!(json.get("a").and_then(Json::first).and_then(|b| b.get("b")?.word()).as_deref(), Some("x"));
        assert!(json.get("n").is_none() && json.get("x").is_none() && json.get("c").unwrap().get("d").is_none());
        assert!(json.get("c").unwrap().text().is_none() && json.text().is_none());
        assert_eq!(json.get("c").unwrap().items().len(), 1);
        assert!(Json::all("{\"a\":").is_none() && Json::all("<html>").is_none());
        assert_eq!(Json::all("").map(|all| all.len()), Some(0));
        assert_eq!(Json::all("{}\n{}").map(|all| all.len()), Some(2));
    }

    proptest! {
        #[test]
        fn any_text_comes_through_however_its_units_are_cut(text in "[^\\u{0}]{0,20}", cut in 0usize..40) {
            let units: Vec<u16> = text.encode_utf16().collect();
            let escaped = |units: &[u16]| format!("\"{}\"", units.iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>());
            let (one, two) = units.split_at(cut.min(units.len()));
            prop_assert_eq!(joined(&[&escaped(one), &escaped(two)]), text);
        }

        #[test]
        fn any_bytes_become_text(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut pairs = Pairs::default();
            pairs.push(&bytes);
            pairs.finish();
        }
    }
}
