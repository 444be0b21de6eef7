//! Parsing of payloads, by rules that all dialects share.
use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::request_error::RequestError;
use crate::chat::ChatError;
use crate::model::limits::{ATTACHMENTS_MAX, ID_MAX, INTEGER_MAX, TYPE_MAX, URL_MAX};
use crate::model::{ConversationId, ListingId, MessageId, RoomId, UserId, upload_path};
use crate::socketio::Args;

/// Longest field name repeated in a refusal, in characters.
const MAX_NAME_LENGTH: usize = 64;

/// Names the payload as a whole, if no field can be named.
const PAYLOAD: &str = "payload";

/// The fields of a payload.
#[derive(Debug)]
pub struct Payload<'a> {
    fields: Object<'a>,
}

impl<'a> Payload<'a> {
    /// Parses the first argument; a missing one has no fields.
    ///
    /// # Errors
    /// [`RequestError::Field`] if it is not an object, or contains U+0000 or an unpaired surrogate anywhere.
    pub fn of(args: &'a Args) -> Result<Self, RequestError> {
        let payload = Self::parse(Field { name: PAYLOAD, json: present(args.get(0)) })?;
        refuse_unusable_rest(args)?;
        Ok(payload)
    }

    fn parse(field: Field<'a>) -> Result<Self, RequestError> {
        let Some(json) = field.json else { return Ok(Self { fields: Object::default() }) };
        if !has_unusable_text(json) {
            return serde_json::from_str(json).map(|fields| Self { fields }).map_err(|_| field.request_error());
        }
        // The offending field is searched only now: texts without such escapes cannot be invalid.
        let fields = serde_json::from_str::<Object<'a>>(json).map_err(|_| field.request_error())?;
        let culprit = fields.0.iter().find(|(_, value)| has_unusable_text(value.get()));
        let name = culprit.map(|(name, _)| name.as_ref()).filter(|name| name.chars().count() <= MAX_NAME_LENGTH);
        Err(RequestError::Field(name.map_or(Cow::Borrowed(field.name), |name| Cow::Owned(name.to_owned()))))
    }

    /// Parses fields that a filter made.
    ///
    /// # Errors
    /// As [`Payload::of`].
    pub(super) fn of_json(json: &'a str) -> Result<Self, RequestError> {
        Self::parse(Field { name: PAYLOAD, json: Some(json) })
    }

    /// Parses the payload of a request that may be refused for other reasons, to echo parts of it in the refusal.
    pub fn as_it_came(args: &'a Args) -> Self {
        let fields = present(args.get(0)).and_then(|json| serde_json::from_str(json).ok());
        Self { fields: fields.unwrap_or_default() }
    }

    /// Returns a field; the last of repeated ones counts, as in JavaScript.
    pub fn field(&self, name: &'static str) -> Field<'a> {
        let json = self.fields.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value);
        Field { name, json: present(json) }
    }

    /// Returns whether a field is there, `null` included.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.0.iter().any(|(key, _)| key == name)
    }
}

/// A value of a payload.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    name: &'static str,
    /// `None` if absent or `null`.
    json: Option<&'a str>,
}

impl<'a> Field<'a> {
    /// Takes the first argument of an event whose payload is a single value.
    ///
    /// # Errors
    /// [`RequestError::Field`] if U+0000 or an unpaired surrogate occurs anywhere.
    pub fn of(args: &'a Args, name: &'static str) -> Result<Self, RequestError> {
        let field = Self { name, json: present(args.get(0)) };
        if field.json.is_some_and(has_unusable_text) {
            return Err(field.request_error());
        }
        refuse_unusable_rest(args)?;
        Ok(field)
    }

    /// Returns the field by the name that its front end knows.
    pub(super) fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// Returns the refusal for this field: it is missing or invalid.
    pub fn request_error(&self) -> RequestError {
        if self.json.is_none() { RequestError::Missing(self.name) } else { RequestError::Field(Cow::Borrowed(self.name)) }
    }

    /// Returns its JSON as it came, if it can be echoed: `None` also for U+0000 or an unpaired surrogate.
    pub fn repeatable(&self) -> Option<&'a str> {
        self.json.filter(|json| !has_unusable_text(json))
    }

    /// Returns its JSON as it came.
    pub fn json(&self) -> Option<&'a str> {
        self.json
    }

    /// Parses a text of any length.
    pub fn text(&self) -> Result<Option<String>, RequestError> {
        self.json.map(|json| serde_json::from_str(json).map_err(|_| self.request_error())).transpose()
    }

    /// Parses a text of 1 to `max` characters.
    fn short_text(&self, max: usize) -> Result<Option<String>, RequestError> {
        let text = self.text()?;
        if text.as_ref().is_some_and(|text| text.is_empty() || text.chars().nth(max).is_some()) {
            return Err(self.request_error());
        }
        Ok(text)
    }

    /// Parses `true` or `false`.
    pub fn flag(&self) -> Result<Option<bool>, RequestError> {
        self.json.map(|json| json.parse().map_err(|_| self.request_error())).transpose()
    }

    /// Parses a message type: 1–32 characters.
    pub fn message_type(&self) -> Result<Option<String>, RequestError> {
        self.short_text(TYPE_MAX)
    }

    /// Parses a text of 1–200 characters, or an integer from 0 to 2^53−1 as its decimal text.
    pub fn id(&self) -> Result<Option<String>, RequestError> {
        match self.json {
            Some(json) if json.starts_with(|first: char| first.is_ascii_digit() || first == '-') => match json.parse::<u64>() {
                Ok(integer) if integer <= INTEGER_MAX => Ok(Some(json.to_owned())),
                _ => Err(self.request_error()),
            },
            _ => self.short_text(ID_MAX),
        }
    }

    fn required_id(&self) -> Result<String, RequestError> {
        self.id()?.ok_or_else(|| self.request_error())
    }

    /// Parses a required user id.
    pub fn user(&self) -> Result<UserId, RequestError> {
        UserId::parse(&self.required_id()?).map_err(|_| self.request_error())
    }

    /// Parses a required id of a public room.
    pub fn room(&self) -> Result<RoomId, RequestError> {
        RoomId::parse(&self.required_id()?).map_err(|_| self.request_error())
    }

    /// Parses a listing's id.
    pub fn listing(&self) -> Result<Option<ListingId>, RequestError> {
        self.id()?.map(|id| ListingId::parse(&id).map_err(|_| self.request_error())).transpose()
    }

    /// Parses a required conversation id. A text that we never issue is an unknown id.
    pub fn conversation(&self) -> Result<ConversationId, RequestError> {
        ConversationId::parse(&self.required_id()?).map_err(|_| ChatError::ConversationNotFound.into())
    }

    /// Parses a required message id. A text that we never issue is an unknown id.
    pub fn message(&self) -> Result<MessageId, RequestError> {
        MessageId::parse(&self.required_id()?).map_err(|_| ChatError::MessageNotFound.into())
    }

    /// Parses a list of at most 20 files; returns the `url` of each, or an empty list if there is none.
    pub fn file_urls(&self) -> Result<Vec<String>, RequestError> {
        let Some(json) = self.json else { return Ok(Vec::new()) };
        let files: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| self.request_error())?;
        if files.len() > ATTACHMENTS_MAX {
            return Err(self.request_error());
        }
        let file = |file: &'a RawValue| Field { name: self.name, json: present(Some(file)) };
        files.into_iter().map(|entry| file(entry).file_url()?.ok_or_else(|| self.request_error())).collect()
    }

    /// Parses a `file`; returns its `url`.
    pub fn file_url(&self) -> Result<Option<String>, RequestError> {
        if self.json.is_none() {
            return Ok(None);
        }
        let url = Payload::parse(*self)?.field("url");
        let url = url.short_text(URL_MAX).map_err(|_| self.request_error())?;
        url.map(|url| Some(upload_path(&url).to_owned())).ok_or_else(|| self.request_error())
    }
}

/// Treats `null` as absent.
fn present(value: Option<&RawValue>) -> Option<&str> {
    value.map(RawValue::get).filter(|json| *json != "null")
}

/// Refuses unstorable text in further arguments, which are otherwise ignored.
fn refuse_unusable_rest(args: &Args) -> Result<(), RequestError> {
    let mut rest = (1..args.len()).filter_map(|index| args.get(index));
    if rest.any(|value| has_unusable_text(value.get())) { Err(RequestError::Field(Cow::Borrowed(PAYLOAD))) } else { Ok(()) }
}

/// Refuses unstorable text anywhere in the arguments.
pub(super) fn refuse_unusable(args: &Args) -> Result<(), RequestError> {
    Field::of(args, PAYLOAD).map(|_| ())
}

/// Returns whether valid JSON contains U+0000 or an unpaired surrogate. Both can only be written as escapes.
fn has_unusable_text(json: &str) -> bool {
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let escape = rest.get(at + 1..).unwrap_or_default();
        let Some(unit) = code_unit(escape) else {
            rest = escape.get(1..).unwrap_or_default();
            continue;
        };
        rest = escape.get(5..).unwrap_or_default();
        match unit {
            0 | 0xdc00..=0xdfff => return true,
            0xd800..=0xdbff => match rest.strip_prefix('\\').and_then(code_unit) {
                Some(0xdc00..=0xdfff) => rest = rest.get(6..).unwrap_or_default(),
                _ => return true,
            },
            _ => {}
        }
    }
    false
}

/// Parses `u` and four hexadecimal digits.
fn code_unit(escape: &str) -> Option<u32> {
    u32::from_str_radix(escape.strip_prefix('u')?.get(..4)?, 16).ok()
}

/// The entries of a JSON object in order, values unparsed.
#[derive(Debug, Default)]
struct Object<'a>(SmallVec<[(Cow<'a, str>, &'a RawValue); 6]>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Object<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Object::default();
                while let Some((Key(name), value)) = map.next_entry()? {
                    entries.0.push((name, value));
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
