//! Entity tags of what is read: strong, from the content (RFC 9110, 8.8.3), and `304 Not Modified`.

use aws_lc_rs::digest;
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use data_encoding::BASE64URL_NOPAD;

use crate::http::{Code, Problem};

/// Bytes of an answer; none of ours is near it.
const ANSWER: usize = 4 << 20;

/// Tags the answers of `router` to GET and HEAD.
pub(super) fn tagged(router: Router) -> Router {
    router.layer(middleware::from_fn(tag))
}

async fn tag(mut request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    // The tag of HEAD is that of what GET would answer; the router drops the content afterwards.
    *request.method_mut() = Method::GET;
    let wanted: Vec<_> = request.headers().get_all(header::IF_NONE_MATCH).iter().cloned().collect();
    let response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, ANSWER).await else { return Problem::new(Code::Internal).into_response() };
    let tag = tag_of(&bytes);
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let known = wanted.iter().any(|value| names(value, &tag));
    if let Ok(value) = HeaderValue::from_str(&tag) {
        parts.headers.insert(header::ETAG, value);
    }
    if known { not_modified(&parts.headers) } else { Response::from_parts(parts, Body::from(bytes)) }
}

fn not_modified(headers: &HeaderMap) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    for name in [header::ETAG, header::CACHE_CONTROL] {
        if let Some(value) = headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn tag_of(bytes: &Bytes) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    format!("\"{}\"", BASE64URL_NOPAD.encode(&digest.as_ref()[..16]))
}

/// Whether a value of `If-None-Match` names a tag; compared weakly (RFC 9110, 13.1.2). Our tags hold no comma.
fn names(value: &HeaderValue, tag: &str) -> bool {
    let Ok(value) = value.to_str() else { return false };
    let named = |one: &str| one.strip_prefix("W/").unwrap_or(one) == tag;
    value.trim() == "*" || value.split(',').map(str::trim).any(named)
}
