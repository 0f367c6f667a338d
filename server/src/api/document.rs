//! The description of the interface, OpenAPI 3.1, from the table of routes.

use serde_json::{Value, json};
use utoipa::OpenApi;

use crate::http::Code;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Aegis OS",
        version = "1",
        description = "The catalogue of editions, prices, releases and the state of the service. Times are RFC 3339 in UTC, \
                       amounts are whole cents. Every error is application/problem+json (RFC 9457) with a code that stays; \
                       sentences may change. Unknown fields and parameters are refused.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT")
    ),
    tags(
        (name = "catalogue", description = "The editions"),
        (name = "pricing", description = "What they cost"),
        (name = "releases", description = "What can be downloaded"),
        (name = "service", description = "The service itself")
    )
)]
struct Document;

/// The description: indented JSON with a final line feed, the same at every call.
pub fn openapi() -> String {
    let mut document = Document::openapi();
    document.merge(super::table().into_openapi());
    // A tree of strings and numbers always serialises.
    let mut value = serde_json::to_value(&document).unwrap_or_default();
    add_problems(&mut value);
    if let Some(operations) = value.get_mut("paths").and_then(Value::as_object_mut) {
        for (method, operation) in operations.values_mut().filter_map(Value::as_object_mut).flatten() {
            complete(method, operation);
        }
    }
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}

/// What every operation has: problems, entity tags of what is read, keys for what is done once.
fn complete(method: &str, operation: &mut Value) {
    operation["responses"]["default"] = json!({
        "description": "A problem",
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } }
    });
    if method == "get" {
        operation["responses"]["304"] = json!({ "description": "What `If-None-Match` names is still right" });
        return;
    }
    let key = json!({
        "name": "Idempotency-Key", "in": "header", "required": false,
        "description": "A name for this request, made by the client: a repetition within 24 hours is answered as the first \
                        was, and not done again",
        "schema": { "type": "string", "pattern": "^[!#-\\[\\]-~]{1,255}$", "minLength": 1, "maxLength": 255 }
    });
    match operation.get_mut("parameters").and_then(Value::as_array_mut) {
        Some(parameters) => parameters.push(key),
        None => operation["parameters"] = json!([key]),
    }
}

fn add_problems(document: &mut Value) {
    let codes: Vec<_> = Code::ALL.iter().map(|code| json!(code)).collect();
    document["components"]["schemas"]["Problem"] = json!({
        "type": "object",
        "description": "What went wrong with a request",
        "required": ["code", "title", "status"],
        "properties": {
            "code": { "type": "string", "enum": codes, "description": "A name that stays" },
            "title": { "type": "string", "description": "What the code means" },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": { "type": "string", "description": "What is wrong here" },
            "field": { "type": "string", "description": "The field, for `invalid_field`" }
        }
    });
}
