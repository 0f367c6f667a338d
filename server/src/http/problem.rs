//! Errors for clients, as `application/problem+json` (RFC 9457), with codes that stay.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use serde::Serialize;

use crate::Error;

/// A stable name of a problem. Clients compare these; sentences may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// There is nothing at this address.
    NotFound,
    /// The address exists and not with this method.
    MethodNotAllowed,
    /// The request cannot be read.
    BadRequest,
    /// A field is missing, unknown, of the wrong type or out of range.
    InvalidField,
    /// The request is larger than what is read.
    TooLarge,
    /// The content is of a type that is not read here.
    UnsupportedType,
    /// The request did not arrive in time.
    Timeout,
    /// Nobody is signed in, or the token is no longer good.
    Unauthenticated,
    /// Signed in, and not allowed to.
    Forbidden,
    /// The form did not come from a page of this site.
    CrossSite,
    /// The same key came with another request, or the state does not allow it.
    Conflict,
    /// More often than allowed.
    RateLimited,
    /// A fault of ours.
    Internal,
    /// Not at the moment.
    Unavailable,
}

impl Code {
    /// Every code, for the documentation.
    pub const ALL: [Self; 14] = [
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::BadRequest,
        Self::InvalidField,
        Self::TooLarge,
        Self::UnsupportedType,
        Self::Timeout,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::CrossSite,
        Self::Conflict,
        Self::RateLimited,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The status that goes with it.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::InvalidField => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::Conflict => StatusCode::CONFLICT,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// For people: what it means, without a full stop.
    pub const fn title(self) -> &'static str {
        match self {
            Self::NotFound => "There is nothing at this address",
            Self::MethodNotAllowed => "This address does not take that method",
            Self::BadRequest => "The request cannot be read",
            Self::InvalidField => "A field is not as it must be",
            Self::TooLarge => "The request is too large",
            Self::UnsupportedType => "The content type is not read here",
            Self::Timeout => "The request did not arrive in time",
            Self::Unauthenticated => "Nobody is signed in",
            Self::Forbidden => "This is not allowed",
            Self::CrossSite => "The form did not come from this site",
            Self::Conflict => "The state does not allow this",
            Self::RateLimited => "Too many requests",
            Self::Internal => "A fault of the server",
            Self::Unavailable => "Not available at the moment",
        }
    }
}

/// What went wrong with a request.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    code: Code,
    title: &'static str,
    status: u16,
    /// What is wrong here; never a secret, never another person's data.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The field, for `invalid_field`.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    /// A problem without further words.
    pub const fn new(code: Code) -> Self {
        let (title, status) = (code.title(), code.status().as_u16());
        Self { code, title, status, detail: None, field: None, retry_after: None }
    }

    /// A field that is not as it must be.
    pub fn field(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: Some(name.into()), ..Self::new(Code::InvalidField).because(detail) }
    }

    /// Says what is wrong here.
    #[must_use]
    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says after how many seconds it is worth trying again.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Its code.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Its status.
    pub const fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// What is wrong here, or what the code means.
    pub fn sentence(&self) -> &str {
        self.detail.as_deref().unwrap_or(self.title)
    }
}

/// The log's line of a failure. Where every request of a flood fails alike, there is one line a second.
fn tell(error: &Error) {
    let kind = match error {
        Error::Busy(what) => what,
        Error::Database { doing, .. } | Error::Blobs { doing, .. } => doing,
        _ => {
            tracing::error!(error = aegis_core::report::render(error), "a request failed");
            return;
        }
    };
    let Some(left_out) = LINES.lock().unwrap_or_else(PoisonError::into_inner).ask(kind, Instant::now())
    else {
        return;
    };
    let error_text = aegis_core::report::render(error);
    if matches!(error, Error::Busy(_)) {
        tracing::warn!(error = error_text, left_out, "a request failed");
    } else {
        tracing::error!(error = error_text, left_out, "a request failed");
    }
}

static LINES: Mutex<Seldom> = Mutex::new(Seldom(BTreeMap::new()));

/// Lets one line of each kind through in a second. Kinds are words of this program, and so few.
struct Seldom(BTreeMap<&'static str, (Instant, u64)>);

impl Seldom {
    /// How many lines of the kind were left out since the last one; `None` when this one is left out too.
    fn ask(&mut self, kind: &'static str, now: Instant) -> Option<u64> {
        match self.0.get_mut(kind) {
            Some((last, left_out)) if now.duration_since(*last) < Duration::from_secs(1) => {
                *left_out += 1;
                None
            }
            before => {
                let left_out = before.map_or(0, |(_, left_out)| *left_out);
                self.0.insert(kind, (now, 0));
                Some(left_out)
            }
        }
    }
}

impl From<Error> for Problem {
    /// Says nothing of the cause to the client; the log has it.
    fn from(error: Error) -> Self {
        let code = match error {
            Error::Condition(_) => Code::Conflict,
            Error::Busy(_) | Error::Database { .. } | Error::Blobs { .. } => Code::Unavailable,
            _ => Code::Internal,
        };
        tell(&error);
        let problem = Self::new(code);
        if code == Code::Unavailable { problem.retry_after(5) } else { problem }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let status = self.status();
        // Serialising plain data cannot fail.
        let mut response = Response::new(Body::from(serde_json::to_vec(&self).unwrap_or_default()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // For whoever makes a page of it.
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use super::*;

    #[test]
    fn a_kind_is_told_once_a_second_and_counted_meanwhile() {
        let (mut seldom, began) = (Seldom(BTreeMap::new()), Instant::now());
        let at = |millis| began + Duration::from_millis(millis);
        assert_eq!(seldom.ask("sign-ins", at(0)), Some(0));
        assert_eq!(seldom.ask("sign-ins", at(1)), None);
        assert_eq!(seldom.ask("writes", at(2)), Some(0), "another kind");
        assert_eq!(seldom.ask("sign-ins", at(999)), None);
        assert_eq!(seldom.ask("sign-ins", at(1000)), Some(2));
        assert_eq!(seldom.ask("sign-ins", at(2001)), Some(0));
    }

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_flood_of_refusals_does_not_flood_the_log() {
        let written = Written::default();
        let writer = written.clone();
        let lines = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        let began = Instant::now();
        tracing::subscriber::with_default(lines, || {
            for _ in 0..5000 {
                let problem = Problem::from(Error::Busy("tests of a flood"));
                assert_eq!((problem.code(), problem.retry_after), (Code::Unavailable, Some(5)));
            }
            // What does not come in floods is told each time.
            for _ in 0..2 {
                let corrupt = Error::Corrupt { what: "a row".into(), problem: "is another".into() };
                assert_eq!(Problem::from(corrupt).code(), Code::Internal);
            }
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let busy = text.lines().filter(|line| line.contains("tests of a flood")).count() as u64;
        assert!((1..=1 + began.elapsed().as_secs()).contains(&busy), "{busy}");
        assert!(text.contains("\"WARN\"") && text.lines().filter(|line| line.contains("a row")).count() == 2);
    }
}
