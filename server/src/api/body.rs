//! Reading what a client sends, and saying by a problem what is wrong with it.

use aegis_core::edition::Edition;
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::IntoResponse as _,
};
use serde::{
    Deserialize as _, Deserializer,
    de::{DeserializeOwned, Error as _},
};

use crate::http::{Code, Object, Problem};

/// A body in JSON, which is an object.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(Code::UnsupportedType).because("send application/json"));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            let too_large = rejection.into_response().status() == StatusCode::PAYLOAD_TOO_LARGE;
            Problem::new(if too_large { Code::TooLarge } else { Code::BadRequest })
        })?;
        parse(&bytes).map(|Object(value)| Self(value))
    }
}

/// Whether the content is JSON in UTF-8, its only encoding (RFC 8259, 8.1).
fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(Ok(value)), None) = (values.next().map(|value| value.to_str()), values.next()) else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let is_type = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    is_type
        && parts.all(|part| part.is_empty() || part.trim_matches('"').eq_ignore_ascii_case("charset=utf-8"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.into_inner());
        if error.is_data() { field(&path, &error.to_string()) } else { unreadable(&error) }
    })?;
    json.end().map_err(|error| unreadable(&error))?;
    Ok(value)
}

fn unreadable(error: &serde_json::Error) -> Problem {
    let place = format!("the JSON ends or goes wrong at line {}, column {}", error.line(), error.column());
    Problem::new(Code::BadRequest).because(place)
}

/// Names the field, which of a missing one and of one that is there twice only the message has.
fn field(path: &str, message: &str) -> Problem {
    let named = |start: &str| message.strip_prefix(start)?.split_once('`').map(|(name, _)| name);
    match (named("missing field `"), named("duplicate field `"), path) {
        (Some(name), ..) => Problem::field(name, "is missing"),
        (_, Some(name), _) => Problem::field(name, "is there twice"),
        (.., "." | "?") => Problem::new(Code::InvalidField).because(message),
        (.., path) => Problem::field(path, message),
    }
}

/// A whole number, also one that is written as `25.0` or `2.5e1`: JSON and JSON Schema know no other difference.
pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let whole = |value: f64| (value.fract() == 0.0).then(|| format!("{value:.0}").parse().ok())?;
    let value = match number.as_u64() {
        Some(value) => u32::try_from(value).ok(),
        None => number.as_f64().and_then(whole),
    };
    value.ok_or_else(|| D::Error::custom("must be a whole number, from 0 to 4294967295"))
}

/// What stands behind the question mark.
pub(super) struct Parameters<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(value) = Query::try_from_uri(&parts.uri).map_err(|rejection| {
            let message = rejection.body_text();
            let reason = message.split_once(": ").map_or(message.as_str(), |(_, reason)| reason);
            // `name: what is wrong` where the name is known.
            match reason.split_once(": ") {
                Some((name, reason)) if !name.contains(' ') => field(name, reason),
                _ => field(".", reason),
            }
        })?;
        Ok(Self(value))
    }
}

/// The edition that an address names.
pub(super) struct Named(pub(super) Edition);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = Path::<String>::from_request_parts(parts, state).await.ok();
        let edition = id.and_then(|Path(id)| Edition::from_id(&id));
        edition.map(Self).ok_or_else(|| Problem::new(Code::NotFound).because("there is no such edition"))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_json_is_json() {
        let is = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_TYPE, HeaderValue::from_static(value));
            }
            is_json(&headers)
        };
        for good in
            ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;"]
        {
            assert!(is(&[good]), "{good}");
        }
        for bad in
            ["", "text/plain", "application/jsonp", "application/json; charset=utf-16", "application/x-json"]
        {
            assert!(!is(&[bad]), "{bad}");
        }
        assert!(!is(&[]) && !is(&["application/json", "text/plain"]));
    }
}
