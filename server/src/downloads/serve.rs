//! Answers for files.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aegis_core::edition::Edition;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header, request::Parts},
    response::IntoResponse,
};
use data_encoding::BASE64;
use hyper::body::Bytes;

use super::{
    Asked, Blobs, Catalogue, File, Links, Outcome, Span, Validators,
    body::{FileBody, Piece},
    evaluate, parse,
};
use crate::{
    Clock,
    engine::Connection,
    http::{Code, Problem},
};

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
/// What lies between the spans of one answer; any text that a file is unlikely to have.
const BOUNDARY: &str = "aegis-span-6f1c0b5e9d27a348";

/// Whether a person may have the files of an edition that is not free. Licenses will say it; until then signed links do.
pub trait Permit: Send + Sync {
    /// Asked for each request without a signed link.
    fn allows(&self, edition: Edition, headers: &HeaderMap) -> bool;
}

/// Serves the files of a catalogue.
pub struct Downloads {
    /// What there is.
    pub catalogue: Arc<Catalogue>,
    /// Where the content is.
    pub blobs: Blobs,
    /// Who signs links.
    pub links: Links,
    /// Editions that everyone may download.
    pub open: Vec<Edition>,
    /// Who else may download.
    pub permit: Box<dyn Permit>,
    /// The time.
    pub clock: Clock,
    /// Downloads of one address at a time.
    pub at_a_time: usize,
    /// Downloads that run, by address.
    pub running: Arc<Running>,
    /// Bytes that answers promised, and how many answers.
    pub counted: Counted,
}

/// Downloads that run.
#[derive(Debug, Default)]
pub struct Running {
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// Counters of downloads.
#[derive(Debug, Default)]
pub struct Counted {
    /// Answers with a file or a part of one.
    pub answers: AtomicU64,
    /// Bytes of them.
    pub bytes: AtomicU64,
}

/// One place among the downloads of an address.
struct Place {
    running: Arc<Running>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = self.running.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = running.get_mut(&self.address) {
            *taken -= 1;
            if *taken == 0 {
                running.remove(&self.address);
            }
        }
    }
}

impl Downloads {
    /// Answers a request for a path below `/download/`.
    pub fn answer(&self, request: &Parts, client: IpAddr) -> Response<Body> {
        self.try_answer(request, client).unwrap_or_else(Problem::into_response)
    }

    fn try_answer(&self, request: &Parts, client: IpAddr) -> Result<Response<Body>, Problem> {
        if request.method != Method::GET && request.method != Method::HEAD {
            let mut response = Problem::new(Code::MethodNotAllowed).into_response();
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Ok(response);
        }
        let file = self.catalogue.at(request.uri.path()).ok_or(Problem::new(Code::NotFound))?;
        let open = self.open.contains(&file.edition) || file.is_description();
        if !open && !self.allowed(&file, &request.uri, &request.headers) {
            return Err(Problem::new(Code::Forbidden).because(format!(
                "files of {} need a license or a link that has not expired",
                file.edition
            )));
        }
        let etag = format!("\"{}\"", file.blob.digest);
        let validators = Validators { etag, modified: file.published };
        let mut response = match evaluate(&request.method, &request.headers, &validators) {
            Outcome::Failed => status(StatusCode::PRECONDITION_FAILED),
            Outcome::NotModified => status(StatusCode::NOT_MODIFIED),
            Outcome::Go { ranges } => self.content(request, &file, ranges, client)?,
        };
        describe(response.headers_mut(), &file, &validators, open);
        Ok(response)
    }

    fn allowed(&self, file: &File, uri: &Uri, headers: &HeaderMap) -> bool {
        uri.query().is_some_and(|query| self.links.opens(uri.path(), query, self.clock.now()))
            || self.permit.allows(file.edition, headers)
    }

    fn content(
        &self,
        request: &Parts,
        file: &File,
        ranges: bool,
        client: IpAddr,
    ) -> Result<Response<Body>, Problem> {
        let size = file.blob.size;
        let asked = match request.headers.get(header::RANGE).map(HeaderValue::to_str) {
            Some(Ok(value)) if ranges && request.headers.get_all(header::RANGE).iter().count() == 1 => {
                parse(value, size)
            }
            _ => Asked::Whole,
        };
        let kind = content_type(&file.name);
        let (mut response, pieces) = match asked {
            Asked::Nothing => {
                let mut response = Problem::new(Code::BadRequest).into_response();
                *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
                insert(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{size}"));
                return Ok(response);
            }
            Asked::Whole if size == 0 => (status(StatusCode::OK), Vec::new()),
            Asked::Whole => (status(StatusCode::OK), vec![Piece::Part(Span { first: 0, last: size - 1 })]),
            Asked::Spans(spans) => partial(&spans, size, kind),
        };
        let length: u64 = pieces.iter().map(Piece::length).sum();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
        if request.method == Method::HEAD {
            return Ok(response);
        }
        let place = self.place(client)?;
        let blob = self.blobs.get(&file.blob.digest).map_err(Problem::from)?;
        let blob = blob.ok_or_else(|| {
            tracing::error!(digest = %file.blob.digest, "a published file is missing");
            Problem::new(Code::Unavailable).retry_after(60)
        })?;
        self.counted.answers.fetch_add(1, Ordering::Relaxed);
        self.counted.bytes.fetch_add(length, Ordering::Relaxed);
        let segments =
            request.extensions.get::<Connection>().and_then(|connection| connection.segments.clone());
        *response.body_mut() = Body::new(FileBody::new(blob, segments, pieces, Arc::new(place)));
        Ok(response)
    }

    fn place(&self, address: IpAddr) -> Result<Place, Problem> {
        let mut running = self.running.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = running.entry(address).or_default();
        if *taken >= self.at_a_time {
            let why = format!("{} downloads run for this address already", self.at_a_time);
            return Err(Problem::new(Code::RateLimited).because(why).retry_after(30));
        }
        *taken += 1;
        Ok(Place { running: Arc::clone(&self.running), address })
    }
}

fn partial(spans: &[Span], size: u64, kind: &'static str) -> (Response<Body>, Vec<Piece>) {
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

fn content_range(span: Span, size: u64) -> String {
    format!("bytes {}-{}/{size}", span.first, span.last)
}

/// Headers that every answer about a file has.
fn describe(headers: &mut HeaderMap, file: &File, validators: &Validators, open: bool) {
    insert(headers, header::ETAG, &validators.etag);
    let published = u64::try_from(validators.modified).unwrap_or_default();
    let published = SystemTime::UNIX_EPOCH + Duration::from_secs(published);
    insert(headers, header::LAST_MODIFIED, &httpdate::fmt_http_date(published));
    insert(headers, REPR_DIGEST, &format!("sha-256=:{}:", BASE64.encode(&file.blob.digest.0)));
    insert(headers, header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{}\"", file.name));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The address has version and name, and what was published is never replaced.
    let cache = if open { "public, max-age=31536000, immutable" } else { "private, no-store" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "iso")) => "application/vnd.efi.iso",
        Some((_, "json")) => "application/json",
        _ if name == "SHA256SUMS" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Inserts a value that is made of printable ASCII.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
