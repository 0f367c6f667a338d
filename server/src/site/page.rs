//! One resource in memory, in every coding that makes it smaller.

use std::io::Write as _;

use aws_lc_rs::digest;
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header},
    response::IntoResponse,
};

use super::{
    encoding::{self, Coding},
    headers::security_headers,
};
use crate::{
    Error, Result,
    http::{Code, Problem},
};

/// For resources whose address changes with their content.
pub(super) const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// For the others: kept, and asked for again each time.
pub(super) const REVALIDATE: &str = "no-cache";

/// A resource: its bytes, and smaller forms of them.
#[derive(Debug)]
pub struct Page {
    identity: Form,
    brotli: Option<Form>,
    gzip: Option<Form>,
}

/// Bytes with the headers that go with them. Both are shared by all answers.
#[derive(Debug)]
struct Form {
    bytes: Bytes,
    etag: String,
    headers: HeaderMap,
}

impl Page {
    /// Compresses the bytes, and keeps what became smaller.
    ///
    /// # Errors
    /// When a header cannot hold a value.
    pub(super) fn new(bytes: Vec<u8>, content_type: &str, cache_control: &'static str) -> Result<Self> {
        let smaller = |coded: Vec<u8>| (coded.len() < bytes.len()).then_some(coded);
        let (brotli, gzip) = (smaller(brotli(&bytes)?), smaller(gzip(&bytes)?));
        let form = |bytes, coding| Form::new(bytes, coding, content_type, cache_control);
        Ok(Self {
            brotli: brotli.map(|bytes| form(bytes, Some("br"))).transpose()?,
            gzip: gzip.map(|bytes| form(bytes, Some("gzip"))).transpose()?,
            identity: form(bytes, None)?,
        })
    }

    /// The uncompressed bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.identity.bytes
    }

    /// The strong entity tag of the uncompressed bytes: their SHA-256.
    pub fn etag(&self) -> &str {
        &self.identity.etag
    }

    /// Answers a request for this resource.
    pub(super) fn answer(&self, method: &Method, headers: &HeaderMap) -> Response<Body> {
        if !is_read(method) {
            return not_allowed();
        }
        match self.form(headers) {
            None => not_acceptable(),
            Some(form) if encoding::has(headers, &form.etag) => form.not_modified(),
            Some(form) => form.response(StatusCode::OK, method),
        }
    }

    /// Answers with these bytes and another status, whatever the client has or refuses.
    pub(super) fn answer_as(
        &self,
        status: StatusCode,
        method: &Method,
        headers: &HeaderMap,
    ) -> Response<Body> {
        self.form(headers).unwrap_or(&self.identity).response(status, method)
    }

    fn form(&self, headers: &HeaderMap) -> Option<&Form> {
        match encoding::choose(headers, self.brotli.is_some(), self.gzip.is_some())? {
            Coding::Brotli => self.brotli.as_ref(),
            Coding::Gzip => self.gzip.as_ref(),
            Coding::Identity => Some(&self.identity),
        }
    }
}

impl Form {
    fn new(
        bytes: Vec<u8>,
        coding: Option<&'static str>,
        content_type: &str,
        cache_control: &'static str,
    ) -> Result<Self> {
        let digest = digest::digest(&digest::SHA256, &bytes);
        let etag = format!("\"{}\"", data_encoding::HEXLOWER.encode(digest.as_ref()));
        let mut headers = HeaderMap::with_capacity(16);
        headers.insert(header::CONTENT_TYPE, value(content_type)?);
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        if let Some(coding) = coding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        headers.insert(header::ETAG, value(&etag)?);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache_control));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        security_headers(&mut headers);
        Ok(Self { bytes: bytes.into(), etag, headers })
    }

    fn response(&self, status: StatusCode, method: &Method) -> Response<Body> {
        let body = if method == Method::HEAD { Body::empty() } else { Body::from(self.bytes.clone()) };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = self.headers.clone();
        if !status.is_success() {
            response.headers_mut().remove(header::ETAG);
        }
        response
    }

    fn not_modified(&self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        for name in [header::ETAG, header::CACHE_CONTROL, header::VARY] {
            if let Some(value) = self.headers.get(&name) {
                response.headers_mut().insert(name, value.clone());
            }
        }
        response
    }
}

/// Whether a method only reads.
pub(super) fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// The answer to a method that only forms and programs use.
pub(super) fn not_allowed() -> Response<Body> {
    let mut response = Problem::new(Code::MethodNotAllowed).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn not_acceptable() -> Response<Body> {
    let mut response = Response::new(Body::from("This is here plain, in gzip or in br.\n"));
    *response.status_mut() = StatusCode::NOT_ACCEPTABLE;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|error| Error::Corrupt {
        what: format!("the header value {text:?}"),
        problem: error.to_string(),
    })
}

fn brotli(bytes: &[u8]) -> Result<Vec<u8>> {
    // 9 of 11: the last steps take ten times as long for two per cent.
    let settings = brotli::enc::BrotliEncoderParams { quality: 9, ..Default::default() };
    let mut coded = Vec::new();
    let mut source = bytes;
    brotli::BrotliCompress(&mut source, &mut coded, &settings).map_err(Error::io("compressing", "a page"))?;
    Ok(coded)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    // Without a time in the header, so that the same page has the same tag after the next start.
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).map_err(Error::io("compressing", "a page"))
}
