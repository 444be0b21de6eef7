//! The arguments of events and acks.
use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use smallvec::SmallVec;

/// Argument values as received: exact JSON texts, and the attachments that their placeholders refer to.
///
/// One allocation holds all texts, so numbers, key order and repeated keys are relayed unchanged.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// The values, with the commas between them.
    json: Box<str>,
    /// Start and end of each value in `json`.
    spans: SmallVec<[(u32, u32); 2]>,
    attachments: Vec<Bytes>,
}

impl Args {
    /// Number of arguments.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns whether there are no arguments.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Returns the JSON text of one argument.
    pub fn get(&self, index: usize) -> Option<&RawValue> {
        serde_json::from_str(self.text(index)?).ok()
    }

    /// Parses one argument; a missing one is parsed from `null`.
    ///
    /// # Errors
    /// If the argument is not a `T`.
    pub fn parse<T: DeserializeOwned>(&self, index: usize) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.text(index).unwrap_or("null"))
    }

    /// Returns the attachments that the placeholders refer to, indexed by their `num`.
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// Returns the number of bytes of all arguments and attachments.
    pub fn bytes(&self) -> usize {
        self.json.len() + self.attachments.iter().map(Bytes::len).sum::<usize>()
    }

    /// Returns all arguments as received, joined by commas.
    pub fn json(&self) -> String {
        self.json.clone().into_string()
    }

    pub(super) fn as_str(&self) -> &str {
        &self.json
    }

    pub(super) fn set_attachments(&mut self, attachments: Vec<Bytes>) {
        self.attachments = attachments;
    }

    fn text(&self, index: usize) -> Option<&str> {
        let &(start, end) = self.spans.get(index)?;
        self.json.get(start as usize..end as usize)
    }
}

/// A valid JSON array split into items without copying; if `NAMED`, it starts with an event name.
pub(super) struct Items<'a, const NAMED: bool> {
    name: Option<&'a RawValue>,
    values: SmallVec<[&'a RawValue; 4]>,
}

impl<'a, const NAMED: bool> Items<'a, NAMED> {
    /// Returns the first item, if `NAMED` and there is one.
    pub(super) fn name(&self) -> Option<&'a str> {
        self.name.map(RawValue::get)
    }

    /// Copies the values out of `source`, the text that they were parsed from.
    pub(super) fn to_args(&self, source: &str) -> Args {
        // All values are slices of `source`, so their addresses give their offsets.
        let offset_of = |value: &RawValue| value.get().as_ptr().addr().wrapping_sub(source.as_ptr().addr());
        let (Some(first), Some(last)) = (self.values.first(), self.values.last()) else { return Args::default() };
        let (start, end) = (offset_of(first), offset_of(last) + last.get().len());
        let spans = self.values.iter().map(|value| {
            let from = offset_of(value) - start;
            (from as u32, (from + value.get().len()) as u32)
        });
        Args { spans: spans.collect(), json: source.get(start..end).unwrap_or_default().into(), attachments: Vec::new() }
    }
}

impl<'de, const NAMED: bool> Deserialize<'de> for Items<'de, NAMED> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsVisitor<const NAMED: bool>;

        impl<'de, const NAMED: bool> Visitor<'de> for ItemsVisitor<NAMED> {
            type Value = Items<'de, NAMED>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
                let name = if NAMED { array.next_element()? } else { None };
                let mut values = SmallVec::new();
                while let Some(value) = array.next_element()? {
                    values.push(value);
                }
                Ok(Items { name, values })
            }
        }

        deserializer.deserialize_seq(ItemsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(array: &str) -> Args {
        serde_json::from_str::<Items<'_, false>>(array).unwrap().to_args(array)
    }

    #[test]
    fn texts_are_kept_exactly() {
        let args = args("[ 1.0 , {\"b\":1,\"a\":2,\"b\":9007199254740993}, \"\\u0041\",-0]");
        assert_eq!(args.len(), 4);
        assert_eq!(args.get(0).unwrap().get(), "1.0");
        assert_eq!(args.get(1).unwrap().get(), "{\"b\":1,\"a\":2,\"b\":9007199254740993}");
        assert_eq!(args.get(3).unwrap().get(), "-0");
        assert!(args.get(4).is_none());
        assert_eq!(args.json(), "1.0 , {\"b\":1,\"a\":2,\"b\":9007199254740993}, \"\\u0041\",-0");
        assert_eq!(args.parse::<String>(2).unwrap(), "A");
        assert_eq!(args.parse::<Option<u8>>(9).unwrap(), None);
    }

    #[test]
    fn no_arguments() {
        let args = args("[ ]");
        assert!(args.is_empty());
        assert_eq!(args.json(), "");
    }
}
