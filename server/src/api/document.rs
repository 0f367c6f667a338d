//! The description of the interface, OpenAPI 3.1, from the table of routes.

use serde_json::{Value, json};
use utoipa::OpenApi;

use crate::{accounts, http::Code};

/// The tag of operations whose requests and answers hold secrets.
const SECRET: &str = "accounts";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Aegis OS",
        version = "1",
        description = "The catalogue of editions, prices, releases, accounts and the state of the service. Times are RFC 3339 in \
                       UTC, amounts are whole cents. Every error is application/problem+json (RFC 9457) with a code that stays; \
                       sentences may change. Unknown fields and parameters are refused.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT")
    ),
    tags(
        (name = "catalogue", description = "The editions"),
        (name = "pricing", description = "What they cost"),
        (name = "releases", description = "What can be downloaded"),
        (name = "accounts", description = "Signing in, by a password or a passkey, for tokens; what is answered is kept nowhere, so \
                                           these requests take no Idempotency-Key. Each address of a client may ask so often in a \
                                           minute, and attempts on one account are slowed down: wait as Retry-After says"),
        (name = "service", description = "The service itself")
    )
)]
struct Document;

/// The description: indented JSON with a final line feed, the same at every call.
pub fn openapi() -> String {
    let mut document = Document::openapi();
    document.merge(super::table().into_openapi());
    document.merge(accounts::description());
    // A tree of strings and numbers always serialises.
    let mut value = serde_json::to_value(&document).unwrap_or_default();
    add_problems(&mut value);
    value["components"]["securitySchemes"]["bearer"] = json!({
        "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
        "description": "An access token of `/api/v1/auth/…`: a JWT (RFC 9068), always signed with EdDSA, good for minutes"
    });
    if let Some(operations) = value.get_mut("paths").and_then(Value::as_object_mut) {
        for (method, operation) in operations.values_mut().filter_map(Value::as_object_mut).flatten() {
            complete(method, operation);
        }
    }
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}

/// What every operation has: problems; and where no secrets are, entity tags of what is read and keys for what is done once.
fn complete(method: &str, operation: &mut Value) {
    operation["responses"]["default"] = json!({ "description": "A problem" });
    if let Some(responses) = operation["responses"].as_object_mut() {
        responses.iter_mut().for_each(|(status, response)| complete_problem(status, response));
    }
    if operation["tags"] == json!([SECRET]) {
        return;
    }
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

/// The content of a response that is a problem, and the headers that come with some.
fn complete_problem(status: &str, response: &mut Value) {
    if status != "default" && status < "400" {
        return;
    }
    response["content"]["application/problem+json"]["schema"] =
        json!({ "$ref": "#/components/schemas/Problem" });
    let (name, description, kind) = match status {
        "401" => ("WWW-Authenticate", "The scheme of authentication, `Bearer`", "string"),
        "429" => ("Retry-After", "Seconds until it is worth trying again", "integer"),
        _ => return,
    };
    response["headers"][name] =
        json!({ "description": description, "required": true, "schema": { "type": kind } });
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
