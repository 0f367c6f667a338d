//! The headers of answers about files.

use std::time::{Duration, SystemTime};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use data_encoding::BASE64;
use hyper::body::Bytes;

use super::{File, Span, Validators, body::Piece};
use crate::http::{Code, Problem};

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
/// What lies between the spans of one answer; any text that a file is unlikely to have.
const BOUNDARY: &str = "aegis-span-6f1c0b5e9d27a348";

/// 307, so that the method stays. Whoever follows comes back here the next time.
pub(super) fn redirect(to: &str) -> Response<Body> {
    let mut response = status(StatusCode::TEMPORARY_REDIRECT);
    insert(response.headers_mut(), header::LOCATION, to);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 206, with one span as it is or several in one body (RFC 9110, section 14.6).
pub(super) fn partial(spans: &[Span], size: u64, kind: &'static str) -> (Response<Body>, Vec<Piece>) {
    let mut response = status(StatusCode::PARTIAL_CONTENT);
    if let [span] = spans {
        insert(response.headers_mut(), header::CONTENT_RANGE, &content_range(*span, size));
        return (response, vec![Piece::Part(*span)]);
    }
    let kinds = format!("multipart/byteranges; boundary={BOUNDARY}");
    insert(response.headers_mut(), header::CONTENT_TYPE, &kinds);
    let mut pieces = Vec::with_capacity(2 * spans.len() + 1);
    for span in spans {
        let range = content_range(*span, size);
        let head = format!("\r\n--{BOUNDARY}\r\nContent-Type: {kind}\r\nContent-Range: {range}\r\n\r\n");
        pieces.extend([Piece::Text(Bytes::from(head)), Piece::Part(*span)]);
    }
    pieces.push(Piece::Text(Bytes::from(format!("\r\n--{BOUNDARY}--\r\n"))));
    (response, pieces)
}

pub(super) fn not_satisfiable(size: u64) -> Response<Body> {
    let mut response = Problem::new(Code::BadRequest).into_response();
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    insert(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{size}"));
    response
}

fn content_range(span: Span, size: u64) -> String {
    format!("bytes {}-{}/{size}", span.first, span.last)
}

/// Headers that every answer about a file has.
pub(super) fn describe(file: &File, validators: &Validators, open: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    insert(&mut headers, header::ETAG, &validators.etag);
    let published = u64::try_from(validators.modified).unwrap_or_default();
    let published = SystemTime::UNIX_EPOCH + Duration::from_secs(published);
    insert(&mut headers, header::LAST_MODIFIED, &httpdate::fmt_http_date(published));
    insert(&mut headers, REPR_DIGEST, &format!("sha-256=:{}:", BASE64.encode(&file.blob.digest.0)));
    insert(&mut headers, header::CONTENT_DISPOSITION, &disposition(&file.name));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The address has version and name, and what was published is never replaced.
    let cache = if open { "public, max-age=31536000, immutable" } else { "private, no-store" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers
}

/// The answer with what is true of the file. A way to the file keeps its own caching.
pub(super) fn described(mut response: Response<Body>, mut headers: HeaderMap) -> Response<Body> {
    if response.headers().contains_key(header::LOCATION) {
        headers.remove(header::CACHE_CONTROL);
    }
    response.headers_mut().extend(headers);
    response
}

pub(super) fn disposition(name: &str) -> String {
    format!("attachment; filename=\"{name}\"")
}

pub(super) fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "iso")) => "application/vnd.efi.iso",
        Some((_, "json")) => "application/json",
        _ if name == "SHA256SUMS" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

pub(super) fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Inserts a value that is made of printable ASCII.
pub(super) fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
