//! TypeScript declarations from schemas.
use serde_json::{Map, Value};

/// Returns the declaration of an interface named `name`, or of a type alias if the schema is not an object.
pub fn interface(name: &str, schema: &Value) -> String {
    let comment = comment(schema, "");
    match properties(schema) {
        Some(properties) => format!("{comment}interface {name} {}\n", members(schema, properties, "")),
        None => format!("{comment}type {name} = {};\n", type_of(schema, "")),
    }
}

/// Returns the type of a schema; a reference becomes the name. Further lines are indented by `indent`.
pub fn type_of(schema: &Value, indent: &str) -> String {
    let Value::Object(fields) = schema else { return "unknown".to_owned() };
    if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
        return target.rsplit(['/', '.']).next().unwrap_or_default().to_owned();
    }
    if let Some(value) = fields.get("const") {
        return value.to_string();
    }
    if let Some(Value::Array(values)) = fields.get("enum") {
        return union(values.iter().map(Value::to_string));
    }
    if let Some(properties) = properties(schema) {
        let is_nullable = fields.get("type").and_then(Value::as_array).is_some_and(|types| types.contains(&"null".into()));
        return format!("{}{}", members(schema, properties, indent), if is_nullable { " | null" } else { "" });
    }
    if let Some(Value::Array(parts)) = fields.get("anyOf").or_else(|| fields.get("oneOf")) {
        return union(parts.iter().map(|part| type_of(part, indent)));
    }
    match fields.get("type") {
        Some(Value::String(name)) => named_type(name, fields, indent),
        Some(Value::Array(names)) => union(names.iter().filter_map(Value::as_str).map(|name| named_type(name, fields, indent))),
        _ => "unknown".to_owned(),
    }
}

fn named_type(name: &str, fields: &Map<String, Value>, indent: &str) -> String {
    match name {
        "integer" | "number" => "number".to_owned(),
        "array" => {
            let item = fields.get("items").map_or_else(|| "unknown".to_owned(), |items| type_of(items, indent));
            format!("Array<{item}>")
        }
        "object" => "Record<string, unknown>".to_owned(),
        same => same.to_owned(),
    }
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

fn members(schema: &Value, properties: &Map<String, Value>, indent: &str) -> String {
    let required: Vec<_> = schema.get("required").and_then(Value::as_array).into_iter().flatten().collect();
    let inner = format!("{indent}  ");
    let member = |(name, schema): (&String, &Value)| {
        let mark = if required.iter().any(|required| *required == name) { "" } else { "?" };
        format!("{}{inner}{name}{mark}: {};\n", comment(schema, &inner), type_of(schema, &inner))
    };
    let members: String = properties.iter().map(member).collect();
    // An open object accepts any other field, so a misspelt one is not an error.
    let others = if schema.get("additionalProperties") == Some(&Value::Bool(true)) {
        format!("{inner}[field: string]: unknown;\n")
    } else {
        String::new()
    };
    format!("{{\n{members}{others}{indent}}}")
}

fn union(types: impl Iterator<Item = String>) -> String {
    let mut union: Vec<String> = Vec::new();
    types.for_each(|name| {
        if !union.contains(&name) {
            union.push(name);
        }
    });
    union.join(" | ")
}

fn comment(schema: &Value, indent: &str) -> String {
    let Some(text) = schema.get("description").and_then(Value::as_str) else { return String::new() };
    format!("{indent}/** {} */\n", text.replace("*/", "").replace('\n', " "))
}

/// Returns a type name: `message:send` becomes `MessageSend`.
pub fn pascal_case(name: &str) -> String {
    let capitalized = |word: &str| {
        let mut characters = word.chars();
        characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
    };
    name.split(|character: char| !character.is_ascii_alphanumeric()).map(capitalized).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_have_types() {
        for (schema, expected) in [
            (json!({}), "unknown"),
            (json!(true), "unknown"),
            (json!({ "type": "string", "format": "uuid" }), "string"),
            (json!({ "type": ["string", "integer", "null"] }), "string | number | null"),
            (json!({ "type": ["integer", "number"] }), "number"),
            (json!({ "type": "boolean", "const": true }), "true"),
            (json!({ "type": "string", "enum": ["a", "b"] }), "\"a\" | \"b\""),
            (json!({ "oneOf": [{ "const": "a" }, { "const": "b" }] }), "\"a\" | \"b\""),
            (json!({ "$ref": "#/components/schemas/Messenger.User" }), "User"),
            (json!({ "anyOf": [{ "$ref": "#/components/schemas/File" }, { "type": "null" }] }), "File | null"),
            (json!({ "type": "array", "items": { "type": ["string", "null"] } }), "Array<string | null>"),
            (json!({ "type": "object" }), "Record<string, unknown>"),
            (
                json!({ "type": ["object", "null"], "properties": { "a": { "type": "string" } }, "additionalProperties": true }),
                "{\n  a?: string;\n  [field: string]: unknown;\n} | null",
            ),
        ] {
            assert_eq!(type_of(&schema, ""), expected, "{schema}");
        }
    }

    #[test]
    fn objects_are_interfaces_and_all_else_has_another_name() {
        let schema = json!({
            "description": "Who\nit */ is.",
            "properties": { "id": { "type": "string", "description": "Opaque." }, "in": { "properties": { "x": {} } } },
            "required": ["id"],
        });
        assert_eq!(
            interface("User", &schema),
            "/** Who it  is. */\ninterface User {\n  /** Opaque. */\n  id: string;\n  in?: {\n    x?: unknown;\n  };\n}\n"
        );
        assert_eq!(interface("Word", &json!({ "enum": ["a", null] })), "type Word = \"a\" | null;\n");
    }

    #[test]
    fn types_are_called_as_types_are() {
        for (name, expected) in
            [("message:send", "MessageSend"), ("user_online", "UserOnline"), ("ai-error", "AiError"), ("joinRoom", "JoinRoom")]
        {
            assert_eq!(pascal_case(name), expected);
        }
    }
}
