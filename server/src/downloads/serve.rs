//! Answers for files.

use std::{
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use aegis_core::edition::Edition;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header, request::Parts},
    response::IntoResponse,
};
use data_encoding::BASE64;

use super::{
    Asked, Blobs, Bucket, Catalogue, File, Links, Outcome, Running, Sending, Span, Validators,
    body::{FileBody, Piece, Source},
    evaluate,
    head::{
        content_type, describe, described, disposition, insert, not_satisfiable, partial, redirect, status,
    },
    mirrors, parse,
    running::Place,
};
use crate::{
    Clock,
    engine::{Answer, Connection},
    http::{Code, Problem},
};

/// What `Repr-Digest` was before (RFC 3230), which Metalink/HTTP asks for.
const DIGEST: HeaderName = HeaderName::from_static("digest");
/// Seconds after which a file that is missing may be there again.
const MISSING: u64 = 60;

/// Conditions name our tags and dates. Another server has others, and would answer that nothing changed, or join parts of
/// two files.
const CONDITIONS: [HeaderName; 5] = [
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
];

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
    /// Downloads that run, by address.
    pub running: Arc<Running>,
    /// Bytes that answers promised, and how many answers.
    pub counted: Counted,
}

/// Counters of downloads.
#[derive(Debug, Default)]
pub struct Counted {
    /// Answers with a file or a part of one.
    pub answers: AtomicU64,
    /// Bytes of them.
    pub bytes: AtomicU64,
}

impl Downloads {
    /// Answers a request for a path below `/download/`, in the way that the configuration of this moment says.
    pub fn answer(&self, request: &Parts, client: IpAddr, how: &Sending) -> Answer {
        self.try_answer(request, client, how).unwrap_or_else(|problem| Answer::Now(problem.into_response()))
    }

    fn try_answer(&self, request: &Parts, client: IpAddr, how: &Sending) -> Result<Answer, Problem> {
        if request.method != Method::GET && request.method != Method::HEAD {
            let mut response = Problem::new(Code::MethodNotAllowed).into_response();
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Ok(Answer::Now(response));
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
        let answer = match evaluate(&request.method, &request.headers, &validators) {
            Outcome::Failed => Content::Here(status(StatusCode::PRECONDITION_FAILED)),
            Outcome::NotModified => Content::Here(status(StatusCode::NOT_MODIFIED)),
            Outcome::Go { ranges } => self.content(request, &file, ranges, (client, how))?,
        };
        let headers = description(&file, &validators, open, (client, how));
        Ok(match answer {
            Content::Here(response) => Answer::Now(described(response, headers)),
            Content::Elsewhere(asked) => Answer::Later(Box::pin(async {
                asked.await.map_or_else(Problem::into_response, |response| described(response, headers))
            })),
        })
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
        (client, how): (IpAddr, &Sending),
    ) -> Result<Content, Problem> {
        let size = file.blob.size;
        let asked = match request.headers.get(header::RANGE).map(HeaderValue::to_str) {
            Some(Ok(value)) if ranges && request.headers.get_all(header::RANGE).iter().count() == 1 => {
                parse(value, size)
            }
            _ => Asked::Whole,
        };
        let movable = size > 0 && is_movable(request, &asked);
        let kind = content_type(&file.name);
        let (mut response, pieces) = match asked {
            Asked::Nothing => return Ok(Content::Here(not_satisfiable(size))),
            Asked::Whole if size == 0 => (status(StatusCode::OK), Vec::new()),
            Asked::Whole => (status(StatusCode::OK), vec![Piece::Part(Span { first: 0, last: size - 1 })]),
            Asked::Spans(spans) => partial(&spans, size, kind),
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length(&pieces)));
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
        // Answered here in any case: who asks for a header wants that of the file, not that of a way to it.
        if request.method == Method::HEAD {
            return Ok(Content::Here(response));
        }
        let place = self.running.place(client, how.at_a_time)?;
        if movable && let Some(mirror) = self.mirror(request, file, (client, how)) {
            return Ok(Content::Here(redirect(&mirror)));
        }
        match &self.blobs {
            Blobs::Bucket(bucket) if movable && how.redirect => {
                Ok(Content::Elsewhere(Box::pin(signed(Arc::clone(bucket), file.clone()))))
            }
            Blobs::Bucket(bucket) => {
                self.count(length(&pieces));
                let passed = passed(Arc::clone(bucket), file.clone(), response, pieces, place);
                Ok(Content::Elsewhere(Box::pin(passed)))
            }
            Blobs::Folder(folder) => {
                let found = folder.get(&file.blob.digest).map_err(Problem::from)?;
                let found = found.ok_or_else(|| missing(file))?;
                self.count(length(&pieces));
                let connection = request.extensions.get::<Connection>();
                let segments = connection.and_then(|connection| connection.segments.clone());
                let source = Source::File(Arc::new(found), segments);
                *response.body_mut() = Body::new(FileBody::new(source, pieces, Arc::new(place)));
                Ok(Content::Here(response))
            }
        }
    }

    /// Where a mirror has a file that everyone may download, unless our own bytes are asked for.
    fn mirror(&self, request: &Parts, file: &File, (client, how): (IpAddr, &Sending)) -> Option<String> {
        let ours = request.uri.query() == Some(mirrors::OURS);
        if ours || !self.open.contains(&file.edition) {
            return None;
        }
        how.mirrors.choose(client, &file.blob.digest).map(|mirror| mirror.address(&file.path()))
    }

    fn count(&self, bytes: u64) {
        self.counted.answers.fetch_add(1, Ordering::Relaxed);
        self.counted.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Headers that every answer about a file has.
fn description(
    file: &File,
    validators: &Validators,
    open: bool,
    (client, how): (IpAddr, &Sending),
) -> HeaderMap {
    let (mut headers, mirrors) = (describe(file, validators, open), &how.mirrors);
    if open && !mirrors.0.is_empty() {
        let digest = BASE64.encode(&file.blob.digest.0);
        insert(&mut headers, DIGEST, &format!("SHA-256={digest}"));
        let chosen = mirrors.choose(client, &file.blob.digest);
        for link in mirrors.links(&file.path(), chosen) {
            if let Ok(link) = HeaderValue::from_str(&link) {
                headers.append(header::LINK, link);
            }
        }
    }
    headers
}

/// What is sent for a file.
enum Content {
    Here(Response<Body>),
    /// A bucket is asked first.
    Elsewhere(Pin<Box<dyn Future<Output = Result<Response<Body>, Problem>> + Send>>),
}

/// Whether another server, which knows none of our tags and dates and sends one span at a time, answers with the same bytes.
fn is_movable(request: &Parts, asked: &Asked) -> bool {
    let conditional = CONDITIONS.iter().any(|name| request.headers.contains_key(name));
    let simple = match asked {
        Asked::Whole => !request.headers.contains_key(header::RANGE),
        Asked::Spans(spans) => spans.len() == 1,
        Asked::Nothing => false,
    };
    simple && !conditional
}

/// Sends a client to a bucket that has the file.
async fn signed(bucket: Arc<Bucket>, file: File) -> Result<Response<Body>, Problem> {
    if !bucket.has(&file.blob).await? {
        return Err(missing(&file));
    }
    let link = bucket.link(&file.blob, &disposition(&file.name), content_type(&file.name)).await?;
    Ok(redirect(&link))
}

/// Sends what a bucket has, as if it were here.
async fn passed(
    bucket: Arc<Bucket>,
    file: File,
    mut response: Response<Body>,
    pieces: Vec<Piece>,
    place: Place,
) -> Result<Response<Body>, Problem> {
    let body = FileBody::from_bucket(bucket, file.blob, pieces, Arc::new(place)).await?;
    *response.body_mut() = Body::new(body.ok_or_else(|| missing(&file))?);
    Ok(response)
}

fn length(pieces: &[Piece]) -> u64 {
    pieces.iter().map(Piece::length).sum()
}

fn missing(file: &File) -> Problem {
    tracing::error!(digest = %file.blob.digest, "a published file is missing");
    Problem::new(Code::Unavailable).retry_after(MISSING)
}
