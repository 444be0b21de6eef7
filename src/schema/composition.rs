//! Schemas composed of others.
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, json};

/// Generates a schema; for a type, use `SchemaGenerator::subschema_for::<T>`.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Schema of either of two types.
pub fn either<A: JsonSchema, B: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let (one, other) = (generator.subschema_for::<A>(), generator.subschema_for::<B>());
    json_schema!({ "anyOf": [one, other] })
}

/// Schema of `{success: true}` with these fields, all required.
pub fn success(generator: &mut SchemaGenerator, fields: &[(&str, SchemaOf)]) -> Schema {
    let mut properties = Map::from_iter([("success".to_owned(), json!({ "type": "boolean", "const": true }))]);
    properties.extend(fields.iter().map(|(name, schema)| ((*name).to_owned(), schema(generator).to_value())));
    let required: Vec<_> = properties.keys().cloned().collect();
    json_schema!({ "type": "object", "properties": properties, "required": required })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_has_its_fields() {
        let text: SchemaOf = SchemaGenerator::subschema_for::<String>;
        let schema = success(&mut SchemaGenerator::default(), &[("userId", text)]).to_value();
        assert_eq!(schema["required"], json!(["success", "userId"]));
        assert_eq!(schema["properties"]["success"], json!({ "type": "boolean", "const": true }));
    }
}
