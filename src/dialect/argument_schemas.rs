//! Schemas of the fields that [`super::fields`] reads for several dialects.
use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::model::limits::{ATTACHMENTS_MAX, ID_MAX, TYPE_MAX, URL_MAX};
use crate::schema::{Field, kinds};

/// Schema of an id, as parsed by [`super::fields::Field::id`], and by `conversation`, `message`, `room` and `listing`.
pub(super) fn id(generator: &mut SchemaGenerator) -> Schema {
    kinds::id_of::<ID_MAX>(generator)
}

/// Schema of an id that is echoed as it came.
pub(super) struct GivenId;

impl JsonSchema for GivenId {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "GivenId".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        id(generator)
    }
}

/// Schema of an id that must be a text, because a number would mean something else.
pub(super) fn id_text(generator: &mut SchemaGenerator) -> Schema {
    kinds::text_of::<1, ID_MAX>(generator)
}

/// Schema of a message type, as parsed by [`super::fields::Field::message_type`].
fn message_type(generator: &mut SchemaGenerator) -> Schema {
    kinds::text_of::<1, TYPE_MAX>(generator)
}

/// Schema of an uploaded file; only its address is read, by [`super::fields::Field::file_url`].
fn file(_: &mut SchemaGenerator) -> Schema {
    let url = json_schema!({ "type": "string", "minLength": 1, "maxLength": URL_MAX });
    json_schema!({ "type": "object", "properties": { "url": url }, "required": ["url"], "additionalProperties": true })
}

/// Schema of several files, as parsed by [`super::fields::Field::file_urls`].
fn files(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": file(generator), "maxItems": ATTACHMENTS_MAX })
}

fn some_files(generator: &mut SchemaGenerator) -> Schema {
    let mut files = files(generator);
    files.insert("minItems".to_owned(), 1.into());
    files
}

pub(super) const CLIENT_MESSAGE_ID: Field = Field::optional("clientMessageId", id);
pub(super) const CONTENT: Field = Field::optional("content", kinds::text);
pub(super) const SOME_CONTENT: Field = Field::required("content", kinds::some_text);
pub(super) const FILE: Field = Field::optional("file", file);
pub(super) const SOME_FILE: Field = Field::required("file", file);
pub(super) const ATTACHMENTS: Field = Field::optional("attachments", files);
pub(super) const SOME_ATTACHMENTS: Field = Field::required("attachments", some_files);
pub(super) const CONVERSATION_ID: Field = Field::required("conversationId", id);
pub(super) const MESSAGE_ID: Field = Field::required("messageId", id);
pub(super) const MESSAGE_TYPE: Field = Field::optional("messageType", message_type);
pub(super) const TYPE: Field = Field::optional("type", message_type);

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::super::events::ClientEvent;
    use super::super::fixtures::args;
    use super::super::request_error::RequestError;
    use super::super::table::DialectSet;
    use super::super::vocabulary::{Asked, Vocabulary};
    use super::*;
    use crate::schema::Shape;

    /// Returns values that a schema allows.
    fn allowed(schema: &Value) -> Vec<Value> {
        if let Some(Value::Array(words)) = schema.get("enum") {
            return words.clone();
        }
        if let Some(Value::Array(parts)) = schema.get("oneOf") {
            return parts.iter().map(|part| part["const"].clone()).collect();
        }
        let longest = schema.get("maxLength").and_then(Value::as_u64).unwrap_or(1_000);
        let of_type = |name: &Value| match name.as_str() {
            Some("string") => vec![json!("x".repeat(longest.try_into().unwrap())), json!("7")],
            Some("integer") => vec![json!(0), schema["maximum"].clone()],
            Some("boolean") => vec![json!(true), json!(false)],
            Some("array") => vec![Value::Array(allowed(&schema["items"]))],
            Some("object") => vec![json!({ "url": "/uploads/x.png", "filename": "x", "size": 7 })],
            Some("null") => vec![Value::Null],
            other => panic!("{other:?}"),
        };
        match schema.get("type") {
            Some(Value::Array(names)) => names.iter().flat_map(of_type).collect(),
            Some(name) => of_type(name),
            None => vec![json!("c-1"), json!({ "deep": [1] })],
        }
    }

    /// Returns values that a schema forbids.
    fn forbidden(schema: &Value) -> Vec<Value> {
        let types = schema.get("type").map(ToString::to_string).unwrap_or_default();
        let mut values = Vec::new();
        if types.is_empty() && schema.get("oneOf").is_none() {
            return values;
        }
        if !types.contains("boolean") {
            values.push(json!(true));
        }
        if !types.contains("object") {
            values.push(json!({ "url": "/x" }));
        }
        if !types.contains("array") {
            values.push(json!(["x"]));
        }
        values.extend([json!(-1), json!(1.5), json!("\0")]);
        if let Some(longest) = schema.get("maxLength").and_then(Value::as_u64) {
            values.push(json!("x".repeat(usize::try_from(longest).unwrap() + 1)));
        }
        if schema.get("minLength").is_some() {
            values.push(json!(""));
        }
        if let Some(most) = schema.get("maximum").and_then(Value::as_u64) {
            values.push(json!(most + 1));
        }
        if let Some(most) = schema.get("maxItems").and_then(Value::as_u64) {
            values.push(json!(vec![json!({ "url": "/x" }); usize::try_from(most).unwrap() + 1]));
        }
        if types.contains("object") {
            values.extend([json!({}), json!({ "url": 7 })]);
        }
        values
    }

    /// Returns whether a request is well-formed, whatever the broker would say to it.
    fn is_taken(dialect: &dyn Vocabulary, entry: &ClientEvent, argument: Option<&Value>) -> bool {
        let mut asked = Asked { event: entry.name, ..Asked::default() };
        let args = args(&argument.map(Value::to_string).unwrap_or_default()).unwrap();
        // Existence is checked only once everything else is right.
        match dialect.decode(&mut asked, &args) {
            Ok(_) => true,
            Err(RequestError::Chat(error)) => error.code() == "NOT_FOUND",
            Err(RequestError::Field(_) | RequestError::Missing(_) | RequestError::UnknownEvent) => false,
        }
    }

    fn schema_of(field: &Field) -> Value {
        (field.schema)(&mut SchemaGenerator::default()).to_value()
    }

    /// Returns a minimal request; `but` is the index of the alternative to leave out.
    fn least(fields: &[Field], choices: &[&[Field]], but: Option<usize>) -> Map<String, Value> {
        let chosen = choices.iter().enumerate().filter(|(place, _)| Some(*place) != but).map(|(_, choice)| &choice[0]);
        let needed = fields.iter().filter(|field| field.is_required).chain(chosen);
        needed.map(|field| (field.name.to_owned(), allowed(&schema_of(field))[0].clone())).collect()
    }

    #[test]
    fn requests_are_taken_and_refused_as_they_are_described() {
        let mut seen = 0;
        for dialect in DialectSet::all().iter().filter(|dialect| !dialect.server_events().is_empty()) {
            for entry in dialect.events() {
                let taken = |argument: Option<&Value>| {
                    seen += 1;
                    is_taken(&*dialect, entry, argument)
                };
                check(entry, taken);
            }
        }
        assert!(seen > 500, "{seen}");
    }

    fn check(entry: &ClientEvent, mut taken: impl FnMut(Option<&Value>) -> bool) {
        let name = entry.name;
        assert_eq!(taken(None), entry.doc.takes.may_be_absent(), "{name} without an argument");
        let (fields, choices) = match entry.doc.takes {
            Shape::Nothing => return,
            Shape::Value(field) => {
                let schema = schema_of(&field);
                allowed(&schema).iter().for_each(|value| assert!(taken(Some(value)), "{name} {value}"));
                forbidden(&schema).iter().for_each(|value| assert!(!taken(Some(value)), "{name} {value}"));
                return;
            }
            Shape::Object(fields) => (fields, &[] as &[&[Field]]),
            Shape::ObjectWith(fields, choices) => (fields, choices),
        };
        [json!("x"), json!(7), json!([]), json!(true)].iter().for_each(|value| assert!(!taken(Some(value)), "{name} {value}"));
        let whole = least(fields, choices, None);
        assert!(taken(Some(&Value::Object(whole.clone()))), "{name} {whole:?}");
        let mut with = |fields: &Map<String, Value>, field: &Field, value: Option<Value>, is_allowed: bool| {
            let mut fields = fields.clone();
            match value {
                Some(value) => fields.insert(field.name.to_owned(), value),
                None => fields.remove(field.name),
            };
            let request = Value::Object(fields);
            assert_eq!(taken(Some(&request)), is_allowed, "{name} {:.200}", request.to_string());
        };
        for field in fields {
            let schema = schema_of(field);
            let nothing = [None, Some(Value::Null)];
            let is_chosen = whole.contains_key(field.name) && !field.is_required;
            if !is_chosen {
                nothing.into_iter().for_each(|value| with(&whole, field, value, !field.is_required));
                allowed(&schema).into_iter().for_each(|value| with(&whole, field, Some(value), true));
            }
            forbidden(&schema).into_iter().for_each(|value| with(&whole, field, Some(value), false));
        }
        for (place, choice) in choices.iter().enumerate() {
            let rest = least(fields, choices, Some(place));
            with(&rest, &choice[0], None, false);
            for field in *choice {
                allowed(&schema_of(field)).into_iter().for_each(|value| with(&rest, field, Some(value), true));
                with(&rest, field, Some(Value::Null), false);
            }
        }
    }
}
