//! The description of the interface: fresh, whole and true.

use std::{collections::BTreeSet, fs, path::Path};

use aegis_server::api;
use serde_json::{Value, json};

pub(crate) fn description() -> Value {
    serde_json::from_str(&api::openapi()).unwrap()
}

#[test]
fn the_committed_description_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, api::openapi()).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    assert!(committed == api::openapi(), "openapi.json is stale; UPDATE_SNAPSHOTS=1 writes it anew");
    assert!(description()["openapi"].as_str().unwrap().starts_with("3.1."));
}

/// Follows `$ref`, and collects every schema that is named.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(name)) = map.get("$ref") {
                found.insert(name.clone());
            }
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn the_description_is_whole() {
    let description = description();
    let mut named = BTreeSet::new();
    references(&description, &mut named);
    for name in &named {
        assert!(description.pointer(name.strip_prefix('#').unwrap()).is_some(), "{name}");
    }
    for schema in description["components"]["schemas"].as_object().unwrap().keys() {
        assert!(named.contains(&format!("#/components/schemas/{schema}")), "{schema} is used nowhere");
    }
    let mut ids = BTreeSet::new();
    for operation in
        description["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values())
    {
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()));
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{operation}");
        assert!(operation["responses"]["default"].is_object());
        for (status, response) in operation["responses"].as_object().unwrap() {
            let is_problem = response["content"]["application/problem+json"].is_object();
            assert_eq!(is_problem, status == "default" || status.as_str() >= "400", "{operation}");
        }
        for scheme in operation["security"].as_array().into_iter().flatten() {
            for name in scheme.as_object().unwrap().keys() {
                assert!(description["components"]["securitySchemes"][name].is_object(), "{name}");
            }
        }
    }
}

/// Whether a value is of a schema, as far as ours go: types, fields, choices.
pub(crate) fn conforms(value: &Value, schema: &Value, place: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        return conforms(value, description().pointer(name.strip_prefix('#').unwrap()).unwrap(), place);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let possible: Vec<_> =
            choices.iter().filter(|choice| value.is_null() == (choice["type"] == "null")).collect();
        assert_eq!(possible.len(), 1, "{place}");
        return conforms(value, possible[0], place);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed = &schema["type"];
    let fits = allowed == kind || allowed.as_array().is_some_and(|list| list.contains(&json!(kind)));
    assert!(fits, "{place}: {kind} is not {allowed}");
    if let (Some(choices), false) = (schema["enum"].as_array(), value.is_null()) {
        assert!(choices.contains(value), "{place}: {value}");
    }
    match value {
        Value::Array(list) => list.iter().for_each(|value| conforms(value, &schema["items"], place)),
        Value::Object(map) if schema["properties"].is_object() => {
            for (name, value) in map {
                let place = format!("{place} {name}");
                assert!(schema["properties"][name].is_object(), "{place} is not documented");
                conforms(value, &schema["properties"][name], &place);
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(map.contains_key(name.as_str().unwrap()), "{place}: {name} is missing");
            }
        }
        _ => {}
    }
}
