//! OpenAPI 3.1 description of all routes (source: spec.openapis.org, 3.1.0).
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::authority::scope_of;
use super::operation::{Answer, DocumentedError, Operation, Sent, Who};
use crate::chat::HOOK_REFUSED;
use crate::schema::{Call, Definitions, Field, Shape, kinds, pascal_case};

/// Refusals possible on every route.
const ANYWHERE: &[DocumentedError] = &[
    (400, "INVALID_PAYLOAD"),
    (403, "FORBIDDEN"),
    (429, "RATE_LIMITED"),
    (500, "INTERNAL"),
    (503, "STORAGE_UNAVAILABLE"),
    (503, "DRAINING"),
];
/// Refusals of requests without a valid token.
const UNAUTHENTICATED: &[DocumentedError] =
    &[(401, "NO_TOKEN"), (401, "INVALID_TOKEN"), (401, "TOKEN_EXPIRED"), (401, "USER_NOT_FOUND"), (401, "ACCOUNT_DISABLED")];
/// Refusals of requests that change something.
const UNSURE: &[DocumentedError] = &[(503, "NOT_STORED")];
/// Refusals of requests with a body.
const UNREADABLE: &[DocumentedError] = &[(413, "TOO_LARGE"), (415, "UNSUPPORTED_TYPE")];

/// Returns the document of these operations, and of the requests to the operator's own server.
pub fn openapi(operations: &[Operation], calls: &[Call]) -> Value {
    let mut definitions = Definitions::new("");
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations {
        let described = describe(operation, &mut definitions);
        paths.entry(operation.path).or_default().insert(operation.method.to_ascii_lowercase(), described);
    }
    let webhooks: BTreeMap<String, Value> =
        calls.iter().map(|call| (format!("{}.{}", call.setting, call.name), describe_call(call, &mut definitions))).collect();
    let mut schemas = definitions.take();
    schemas.insert("Failure".to_owned(), http_error_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Parlance",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "JSON in and out; unknown fields are ignored, null is as if absent. Every GET answers HEAD too. Another method \
                of a path is 405 METHOD_NOT_ALLOWED with Allow, another path 404 NOT_FOUND. While the server stops it answers 503 DRAINING. \
                Lists page by key: without a cursor the newest page; nextCursor is the value for before (for after where the request had after), \
                null at the end.",
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "webhooks": webhooks,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
                "cookie": { "type": "apiKey", "in": "cookie", "name": "token" },
                "key": { "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "One of the keys in the setting API_KEYS." },
                "text": { "type": "http", "scheme": "bearer", "description": "The value of a setting." },
            },
        },
    })
}

/// Returns the schema of a refusal.
fn http_error_schema() -> Value {
    json!({
        "description": "A refusal.",
        "type": "object",
        "properties": {
            "success": { "type": "boolean", "const": false },
            "error": { "type": "string", "description": "A sentence for people." },
            "message": { "type": "string", "description": "Usually equal to error." },
            "code": { "type": "string", "description": "Stable code, see docs/errors.md." },
            "errorId": { "type": "string", "description": "Id of the refusal in the server's log." },
            "retryAfterMs": { "type": "integer", "minimum": 0 },
        },
        "required": ["success", "error", "message", "code"],
        "additionalProperties": true,
    })
}

fn describe(operation: &Operation, definitions: &mut Definitions) -> Value {
    let Operation { method, path, summary, who, path_fields, query, sent, answers, refusals } = operation;
    let mut parameters: Vec<_> = path_names(path).map(|name| path_parameter(name, path_fields, definitions)).collect();
    parameters.extend(query.iter().map(|field| parameter("query", field, definitions)));
    let mut responses: BTreeMap<String, Value> = BTreeMap::new();
    for answer in *answers {
        let (status, response) = answer_response(method, answer, definitions);
        responses.insert(status.to_string(), response);
    }
    let mut codes: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    let unproven = if *who == Who::Anyone { &[] } else { UNAUTHENTICATED };
    let unsure = if *method == "GET" { &[] } else { UNSURE };
    let unreadable = if matches!(sent, Sent::Nothing) { &[] } else { UNREADABLE };
    for (status, code) in [ANYWHERE, unproven, unreadable, unsure, refusals].into_iter().flatten() {
        let known = codes.entry(*status).or_default();
        if !known.contains(code) {
            known.push(code);
        }
    }
    for (status, codes) in codes {
        // A readiness probe also answers with this status.
        responses.entry(status.to_string()).or_insert_with(|| http_error_response(status, &codes));
    }
    let mut described = json!({
        "operationId": format!("{}{}", method.to_ascii_lowercase(), pascal_case(path)),
        "summary": summary,
        "tags": [tag(path)],
        "security": security(*who),
        "responses": responses,
    });
    if let Some(fields) = described.as_object_mut() {
        if matches!(who, Who::Admin | Who::UserOrServer) {
            fields.insert("x-key-scope".to_owned(), scope_of(method, path).as_str().into());
        }
        if !parameters.is_empty() {
            fields.insert("parameters".to_owned(), parameters.into());
        }
        if let Some(body) = request_body(sent, definitions) {
            fields.insert("requestBody".to_owned(), body);
        }
    }
    described
}

/// Describes a request that is signed as Standard Webhooks has it.
fn describe_call(call: &Call, definitions: &mut Definitions) -> Value {
    let Call { setting, name, summary, data, answer } = call;
    let json_of = |schema: Value| json!({ "application/json": { "schema": schema } });
    let body = json!({
        "type": "object",
        "properties": {
            "type": { "const": name },
            "id": { "type": "string", "description": "The same as the header webhook-id; of a repetition, too." },
            "timestamp": { "type": "string", "format": "date-time" },
            "data": definitions.schema(*data),
        },
        "required": ["type", "id", "timestamp", "data"],
    });
    let header = |name: &str, description: &str| json!({ "name": name, "in": "header", "required": true, "schema": { "type": "string" }, "description": description });
    let mut response = json!({ "description": "The answer, of at most 64 KB." });
    if let (Some(fields), Some(answer)) = (response.as_object_mut(), answer) {
        fields.insert("content".to_owned(), json_of(definitions.schema(*answer)));
    }
    json!({ "post": {
        "operationId": format!("{setting}{}", pascal_case(name)),
        "summary": summary,
        "parameters": [
            header("webhook-id", "Id of the request."),
            header("webhook-timestamp", "Seconds since 1970."),
            header("webhook-signature", "`v1,` and the base64 of the HMAC-SHA256 of `id.timestamp.body`."),
        ],
        "requestBody": { "required": true, "content": json_of(body) },
        "responses": { "200": response },
    } })
}

fn path_names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn path_parameter(name: &str, known: &[Field], definitions: &mut Definitions) -> Value {
    let known = known.iter().find(|field| field.name == name);
    let schema = definitions.schema(known.map_or(kinds::some_text, |field| field.schema));
    json!({ "name": name, "in": "path", "required": true, "schema": schema })
}

fn parameter(place: &str, field: &Field, definitions: &mut Definitions) -> Value {
    let schema = definitions.schema(field.schema);
    json!({ "name": field.name, "in": place, "required": field.is_required, "schema": schema })
}

fn request_body(sent: &Sent, definitions: &mut Definitions) -> Option<Value> {
    match sent {
        Sent::Nothing => None,
        Sent::Json(shape) => {
            let schema = match shape {
                Shape::Nothing => return None,
                shape => definitions.request(shape),
            };
            Some(json!({ "required": !shape.may_be_absent(), "content": { "application/json": { "schema": schema } } }))
        }
        Sent::File => {
            let file = json!({ "type": "string", "contentMediaType": "application/octet-stream" });
            let schema = json!({ "type": "object", "properties": { "file": file }, "required": ["file"] });
            Some(json!({ "required": true, "content": { "multipart/form-data": { "schema": schema } } }))
        }
    }
}

fn answer_response(method: &str, answer: &Answer, definitions: &mut Definitions) -> (u16, Value) {
    let json_of = |schema: Value| json!({ "application/json": { "schema": schema } });
    let (status, content) = match answer {
        Answer::Success(status, fields) => {
            let mut properties = Map::from_iter([("success".to_owned(), json!({ "type": "boolean", "const": true }))]);
            properties.extend(fields.iter().map(|(name, schema)| ((*name).to_owned(), definitions.schema(*schema))));
            let required: Vec<_> = properties.keys().cloned().collect();
            if method == "PATCH" {
                let names =
                    json!({ "type": "array", "items": { "type": "string" }, "description": "Fields that were passed over." });
                properties.insert("ignored".to_owned(), names);
            }
            (*status, Some(json_of(json!({ "type": "object", "properties": properties, "required": required }))))
        }
        Answer::Json(status, schema) => (*status, Some(json_of(definitions.schema(*schema)))),
        Answer::Other(status, content_type) => (*status, Some(json!({ *content_type: {} }))),
        Answer::Empty(status) => (*status, None),
    };
    let mut response = json!({ "description": "Success." });
    if let (Some(fields), Some(content)) = (response.as_object_mut(), content) {
        fields.insert("content".to_owned(), content);
    }
    (status, response)
}

fn http_error_response(status: u16, codes: &[&str]) -> Value {
    // The operator's hook refuses with codes of its own.
    let code = match codes.contains(&HOOK_REFUSED) {
        true => json!({ "anyOf": [
            { "enum": codes },
            { "type": "string", "description": "A code of the operator's hook", "pattern": "^[A-Za-z0-9_.-]{1,64}$" },
        ] }),
        false => json!({ "enum": codes }),
    };
    let schema = json!({ "allOf": [
        { "$ref": "#/components/schemas/Failure" },
        { "properties": { "code": code } },
    ] });
    let mut response = json!({ "description": codes.join(", "), "content": { "application/json": { "schema": schema } } });
    if let (429, Some(fields)) = (status, response.as_object_mut()) {
        let seconds = json!({ "schema": { "type": "integer", "minimum": 1 } });
        fields.insert("headers".to_owned(), json!({ "Retry-After": seconds }));
    }
    response
}

/// Returns the first specific part of the path.
fn tag(path: &str) -> &str {
    path.split('/').find(|part| !part.is_empty() && *part != "api").unwrap_or("api")
}

fn security(who: Who) -> Value {
    match who {
        Who::Anyone => json!([]),
        Who::AnyoneOrUsers => json!([{}, { "token": [] }, { "cookie": [] }]),
        Who::User => json!([{ "token": [] }, { "cookie": [] }]),
        Who::Admin | Who::UserOrServer => json!([{ "token": [] }, { "cookie": [] }, { "key": [] }]),
        Who::Bearer => json!([{}, { "text": [] }]),
    }
}
