//! Schemas with names.
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::composition::SchemaOf;
use super::request::Shape;

/// Path under which OpenAPI and AsyncAPI keep named schemas.
const PLACE: &str = "/components/schemas";

/// The named schemas of one document, or of one part with its own names.
pub struct Definitions {
    generator: SchemaGenerator,
    /// Prefix of every name.
    prefix: String,
}

impl Definitions {
    /// Makes an empty set. `prefix` is put before every name, so that parts with their own names can share a document.
    pub fn new(prefix: &str) -> Self {
        let mut settings = SchemaSettings::draft2020_12().for_serialize();
        settings.definitions_path = PLACE.into();
        settings.meta_schema = None;
        Self { generator: settings.into_generator(), prefix: prefix.to_owned() }
    }

    /// Returns a schema in which named types are references.
    pub fn schema(&mut self, schema: SchemaOf) -> Value {
        let mut value = schema(&mut self.generator).to_value();
        self.finish(&mut value);
        value
    }

    /// Returns the schema of a request.
    pub fn request(&mut self, shape: &Shape) -> Value {
        let mut value = shape.schema(&mut self.generator).to_value();
        refine(&mut value, &self.prefix);
        value
    }

    fn finish(&self, schema: &mut Value) {
        never_null_where_left_out(schema);
        refine(schema, &self.prefix);
    }

    /// Returns the referenced schemas by their names.
    pub fn take(mut self) -> Map<String, Value> {
        let definitions = self.generator.take_definitions(true);
        let named = definitions.into_iter().map(|(name, mut schema)| {
            self.finish(&mut schema);
            (format!("{}{name}", self.prefix), schema)
        });
        named.collect()
    }
}

/// Marks a field that is omitted in some cases and `null` in others.
const NULLABLE: &str = "x-nullable";

/// Removes `null` from optional fields: a field that may be omitted is never sent as `null`, unless marked
/// [`NULLABLE`].
fn never_null_where_left_out(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let required = fields.get("required").cloned().unwrap_or_default();
            let is_required = |name: &String| required.as_array().is_some_and(|names| names.iter().any(|other| other == name));
            if let Some(Value::Object(properties)) = fields.get_mut("properties") {
                let left_out = properties.iter_mut().filter(|(name, _)| !is_required(name));
                left_out.for_each(|(_, property)| remove_null(property));
            }
            fields.values_mut().for_each(never_null_where_left_out);
        }
        Value::Array(values) => values.iter_mut().for_each(never_null_where_left_out),
        _ => {}
    }
}

fn remove_null(property: &mut Value) {
    let Value::Object(fields) = property else { return };
    if fields.remove(NULLABLE).is_some() {
        return;
    }
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            fields.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(parts)) = fields.get_mut("anyOf") {
        parts.retain(|part| part.get("type").is_none_or(|name| name != "null"));
        if let [only] = parts.as_slice() {
            *property = only.clone();
        }
    }
}

/// Puts `prefix` before referenced names, and removes formats that only Rust knows: `"format": "uint64"`.
fn refine(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(fields) => {
            if fields
                .get("format")
                .and_then(Value::as_str)
                .is_some_and(|format| format.trim_start_matches('u').starts_with("int"))
            {
                fields.remove("format");
            }
            if let Some(Value::String(target)) = fields.get_mut("$ref")
                && let Some(name) = target.strip_prefix(&format!("#{PLACE}/"))
            {
                *target = format!("#{PLACE}/{prefix}{name}");
            }
            fields.values_mut().for_each(|value| refine(value, prefix));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| refine(value, prefix)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Serialize;
    use serde_json::json;

    use super::*;

    #[derive(Serialize, JsonSchema)]
    struct Inner {
        count: u64,
    }

    #[derive(Serialize, JsonSchema)]
    struct Outer {
        always: Option<Inner>,
        #[serde(skip_serializing_if = "Option::is_none")]
        at_times: Option<Inner>,
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(extend("x-nullable" = true))]
        either: Option<String>,
    }

    #[test]
    fn a_field_is_left_out_or_null_and_names_have_their_prefix() {
        let mut definitions = Definitions::new("Part.");
        let reference = definitions.schema(SchemaGenerator::subschema_for::<Outer>);
        assert_eq!(reference, json!({ "$ref": "#/components/schemas/Part.Outer" }));
        let named = definitions.take();
        let inner = json!({ "$ref": "#/components/schemas/Part.Inner" });
        let properties = &named["Part.Outer"]["properties"];
        assert_eq!(properties["always"], json!({ "anyOf": [inner, { "type": "null" }] }));
        assert_eq!(properties["at_times"], inner);
        assert_eq!(properties["text"], json!({ "type": "string" }));
        assert_eq!(properties["either"], json!({ "type": ["string", "null"] }));
        assert_eq!(named["Part.Outer"]["required"], json!(["always"]));
        assert_eq!(named["Part.Inner"]["properties"]["count"], json!({ "type": "integer", "minimum": 0 }));
    }
}
