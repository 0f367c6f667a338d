//! Requests that are done once, however often they are sent: `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).
//!
//! Invariant: who runs a request is decided by one conditional statement, so that of two that come at once, at two
//! processes, one runs. Answers are kept for a day with their status, type and content; other headers are not, and routes
//! whose answers hold secrets must not be here.
//!
//! A run whose process died is taken over by the same request after [`LEASE`]. What the dead one had done is then done
//! again, so handlers behind this layer make their change in one batch.

use std::sync::Arc;

use aws_lc_rs::{digest, rand};
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

use super::BODY;
use crate::{
    Clock, Error, Result,
    clock::TOLERANCE,
    http::{Code, Problem},
    limits::{Client, Person},
    store::{Row, Statement, Store, Value},
};

/// Seconds that an answer is kept.
const KEPT: i64 = 24 * 3600;
/// Seconds after which a run without an answer counts as dead; longer than any request may take.
const LEASE: i64 = 120;
/// Bytes of an answer that is kept.
const ANSWER: usize = 256 << 10;
/// Characters of a key.
const KEY: usize = 255;

/// The answers of requests with a key.
pub struct Idempotency {
    store: Arc<dyn Store>,
    clock: Clock,
}

/// Lets POST requests of `router` that carry an `Idempotency-Key` be done once. A person who is signed in, and otherwise an
/// address, has keys of its own.
pub fn idempotent(router: Router, idempotency: Arc<Idempotency>) -> Router {
    router.layer(middleware::from_fn_with_state(idempotency, once))
}

/// A request with a key.
struct Keyed {
    name: [u8; 32],
    request: [u8; 32],
    run: [u8; 16],
}

/// What became of the attempt to run a request.
enum Claim {
    Run,
    Running,
    Other,
    Done(Response),
}

impl Idempotency {
    /// Keeps answers in `store`; whatever is made for one database is the same.
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Removes answers that are no longer kept, and what a clock that was ahead would keep longer; for every hour or so.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn sweep(&self) -> Result<()> {
        let (now, sql) = (self.clock.now(), "DELETE FROM idempotency WHERE expires <= $1 OR expires > $2");
        let values = [now.into(), (now + KEPT + TOLERANCE).into()];
        self.store.write(vec![Statement::new(sql, values)]).await.map(|_| ())
    }

    /// Takes the request to run, unless it runs or is done.
    async fn claim(&self, keyed: &Keyed) -> Result<Claim> {
        let now = self.clock.now();
        let sql = "INSERT INTO idempotency (name, request, run, lease, expires) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (name) DO UPDATE SET request = $6, run = $7, lease = $8, expires = $9, \
                   status = NULL, content_type = NULL, body = NULL \
                   WHERE idempotency.expires <= $10 OR (idempotency.status IS NULL \
                   AND idempotency.lease <= $11 AND idempotency.request = $12)";
        let mine: [Value; 4] =
            [keyed.request.into(), keyed.run.into(), (now + LEASE).into(), (now + KEPT).into()];
        let [request, run, lease, expires] = mine.clone();
        let [request_again, run_again, lease_again, expires_again] = mine;
        let values = [
            keyed.name.into(),
            request,
            run,
            lease,
            expires,
            request_again,
            run_again,
            lease_again,
            expires_again,
            now.into(),
            now.into(),
            keyed.request.into(),
        ];
        let ask = "SELECT request, status, content_type, body FROM idempotency WHERE name = $1";
        let ask = Statement::new(ask, [keyed.name.into()]).expecting(1);
        let outcomes = self.store.write(vec![Statement::new(sql, values), ask]).await?;
        match outcomes.as_slice() {
            [claimed, _] if claimed.rows == 1 => Ok(Claim::Run),
            [_, found] => found.returned.first().map_or(Ok(Claim::Running), |row| keyed.kept(row)),
            _ => Ok(Claim::Running),
        }
    }

    /// Keeps the answer, or lets the request be tried again when it was a fault that passes.
    async fn keep(&self, keyed: &Keyed, status: StatusCode, kind: Option<&str>, body: &Bytes) -> Result<()> {
        let passing = status.is_server_error()
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        let (name, run): (Value, Value) = (keyed.name.into(), keyed.run.into());
        let statement = if passing {
            Statement::new("DELETE FROM idempotency WHERE name = $1 AND run = $2", [name, run])
        } else {
            let sql = "UPDATE idempotency SET status = $1, content_type = $2, body = $3 \
                       WHERE name = $4 AND run = $5";
            let status = i64::from(status.as_u16()).into();
            Statement::new(sql, [status, kind.map(str::to_owned).into(), body.to_vec().into(), name, run])
        };
        self.store.write(vec![statement]).await.map(|_| ())
    }
}

impl Keyed {
    fn new(parts: &Parts, key: &str, body: &Bytes) -> Result<Self, Problem> {
        let extensions = &parts.extensions;
        let scope = match (extensions.get::<Person>(), extensions.get::<Client>()) {
            (Some(person), _) => [b"person ".as_slice(), &person.0].concat(),
            (None, Some(client)) => format!("address {}", client.0).into_bytes(),
            (None, None) => Vec::new(),
        };
        let (method, target) = (parts.method.as_str().as_bytes(), parts.uri.to_string());
        let kind = parts.headers.get(header::CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
        let mut run = [0; 16];
        rand::fill(&mut run).map_err(|_unspecified| Problem::new(Code::Internal))?;
        Ok(Self {
            name: hash(&[&scope, method, parts.uri.path().as_bytes(), key.as_bytes()]),
            request: hash(&[method, target.as_bytes(), kind, body]),
            run,
        })
    }

    fn kept(&self, row: &Row) -> Result<Claim> {
        if row.blob(0)? != self.request {
            return Ok(Claim::Other);
        }
        if row.is_null(1) {
            return Ok(Claim::Running);
        }
        let corrupt =
            || Error::Corrupt { what: "a kept answer".into(), problem: "has no such status".into() };
        let mut response = Response::new(Body::from(row.blob(3)?.to_vec()));
        let status = u16::try_from(row.int(1)?).ok().and_then(|status| StatusCode::from_u16(status).ok());
        *response.status_mut() = status.ok_or_else(corrupt)?;
        if !row.is_null(2)
            && let Ok(kind) = HeaderValue::from_str(row.text(2)?)
        {
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
        Ok(Claim::Done(response))
    }
}

/// The parts with their lengths, so that no two lists have one hash.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// The key of a request: one header, a word, perhaps in quotes as the draft has it.
fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    let bare =
        text.map(|text| text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text));
    let lawful = |byte: u8| byte.is_ascii_graphic() && !b"\"\\".contains(&byte);
    bare.filter(|key| (1..=KEY).contains(&key.len()) && key.bytes().all(lawful))
        .map(|key| Some(key.to_owned()))
        .ok_or_else(|| {
            Problem::new(Code::BadRequest).because("Idempotency-Key is one word of 1 to 255 characters")
        })
}

async fn once(State(idempotency): State<Arc<Idempotency>>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let answered = match key_of(request.headers()) {
        Ok(None) => return next.run(request).await,
        Ok(Some(key)) => keyed(idempotency, &key, request, next).await,
        Err(problem) => Err(problem),
    };
    answered.unwrap_or_else(Problem::into_response)
}

async fn keyed(
    idempotency: Arc<Idempotency>,
    key: &str,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY).await.map_err(|_too_large_or_cut| Problem::new(Code::TooLarge))?;
    let keyed = Keyed::new(&parts, key, &body)?;
    match idempotency.claim(&keyed).await? {
        Claim::Done(response) => Ok(response),
        Claim::Other => Err(Problem::new(Code::Conflict).because("this key came with another request")),
        Claim::Running => Err(Problem::new(Code::Conflict)
            .because("the first request with this key still runs")
            .retry_after(1)),
        Claim::Run => {
            let request = Request::from_parts(parts, Body::from(body));
            // On its own, so that it ends and its answer is kept when the client hangs up.
            let run = tokio::spawn(async move { run(&idempotency, &keyed, request, next).await });
            run.await.map_err(|_panic| Problem::new(Code::Internal))
        }
    }
}

async fn run(idempotency: &Idempotency, keyed: &Keyed, request: Request, next: Next) -> Response {
    let (parts, body) = next.run(request).await.into_parts();
    let read = to_bytes(body, ANSWER).await;
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let (status, bytes) = match &read {
        Ok(bytes) => (parts.status, bytes.clone()),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()),
    };
    if let Err(error) = idempotency.keep(keyed, status, kind, &bytes).await {
        tracing::error!(%error, "an answer could not be kept for repetitions");
    }
    match read {
        Ok(bytes) => Response::from_parts(parts, Body::from(bytes)),
        Err(_) => Problem::new(Code::Internal).into_response(),
    }
}
