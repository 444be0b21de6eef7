//! Shapes of data from clients. It is parsed by hand, so its shape is described beside the parser.
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::composition::SchemaOf;

/// A field of a request. Unknown fields are ignored.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name on the wire.
    pub name: &'static str,
    /// Set if the field must be present. If it is optional, `null` counts as absent.
    pub is_required: bool,
    /// Schema of its value.
    pub schema: SchemaOf,
}

impl Field {
    /// Makes a required field.
    pub const fn required(name: &'static str, schema: SchemaOf) -> Self {
        Self { name, is_required: true, schema }
    }

    /// Makes an optional field.
    pub const fn optional(name: &'static str, schema: SchemaOf) -> Self {
        Self { name, is_required: false, schema }
    }

    fn schema(&self, generator: &mut SchemaGenerator) -> Value {
        let schema = (self.schema)(generator).to_value();
        if self.is_required { schema } else { or_null(schema) }
    }
}

/// Shape of a request.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Nothing; any content is ignored.
    Nothing,
    /// One value.
    Value(Field),
    /// An object with these fields.
    Object(&'static [Field]),
    /// An object with these fields that also satisfies at least one alternative of each list.
    ObjectWith(&'static [Field], &'static [&'static [Field]]),
}

impl Shape {
    /// Returns whether nothing in it is required.
    pub fn may_be_absent(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Value(field) => !field.is_required,
            Self::Object(fields) => !fields.iter().any(|field| field.is_required),
            Self::ObjectWith(..) => false,
        }
    }

    /// Returns its schema.
    pub fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        match self {
            Self::Nothing => json_schema!({}),
            Self::Value(field) => Schema::try_from(field.schema(generator)).unwrap_or_default(),
            Self::Object(fields) => object(fields, generator),
            Self::ObjectWith(fields, choices) => {
                let mut schema = object(fields, generator);
                let mut choice = |alternatives: &[Field]| {
                    let like: Vec<_> = alternatives.iter().map(|field| object(&[*field], generator)).collect();
                    json!({ "anyOf": like })
                };
                let choices: Vec<_> = choices.iter().map(|alternatives| choice(alternatives)).collect();
                schema.insert("allOf".to_owned(), choices.into());
                schema
            }
        }
    }
}

fn object(fields: &[Field], generator: &mut SchemaGenerator) -> Schema {
    let properties: Map<_, _> = fields.iter().map(|field| (field.name.to_owned(), field.schema(generator))).collect();
    let required: Vec<_> = fields.iter().filter(|field| field.is_required).map(|field| field.name).collect();
    let mut schema = json_schema!({ "type": "object" });
    if !properties.is_empty() {
        schema.insert("properties".to_owned(), properties.into());
    }
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

fn or_null(schema: Value) -> Value {
    let Value::Object(mut fields) = schema else { return schema };
    let types = match fields.get("type") {
        Some(Value::Array(types)) => types.iter().cloned().chain([json!("null")]).collect(),
        Some(only) if !fields.contains_key("enum") => json!([only, "null"]),
        // A schema without a type accepts anything, `null` too.
        None if fields.is_empty() => return Value::Object(fields),
        _ => return json!({ "anyOf": [fields, { "type": "null" }] }),
    };
    fields.insert("type".to_owned(), types);
    Value::Object(fields)
}

/// Values that many requests share.
pub mod kinds {
    use schemars::{Schema, SchemaGenerator, json_schema};

    /// 2^53 − 1, the largest integer that JavaScript represents exactly.
    const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

    /// Any JSON.
    pub fn anything(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }

    /// `true` or `false`.
    pub fn flag(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "boolean" })
    }

    /// A text.
    pub fn text(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }

    /// A non-empty text.
    pub fn some_text(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }

    /// A non-negative integer.
    pub fn count(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 0 })
    }

    /// A text of `MIN` to `MAX` characters.
    pub fn text_of<const MIN: usize, const MAX: usize>(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": MIN, "maxLength": MAX })
    }

    /// An id of 1 to `MAX` characters; an integer from 0 to 2^53−1 counts as its decimal text.
    pub fn id_of<const MAX: usize>(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "minLength": 1, "maxLength": MAX, "minimum": 0, "maximum": MAX_SAFE_INTEGER })
    }

    /// A user's id.
    pub fn user(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "maxLength": 200, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$", "minimum": 0, "maximum": MAX_SAFE_INTEGER,
        })
    }
}
