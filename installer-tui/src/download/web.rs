//! HTTP as far as downloads need it: GET, parts of files, a few redirects.

use std::{
    io::{self, Read},
    sync::Arc,
    time::Duration,
};

use ureq::{
    Agent, BodyReader, Timeout,
    http::{HeaderMap, HeaderName, StatusCode, header},
    tls::{Certificate, RootCerts, TlsConfig},
};

use super::{
    problem::{Fault, Problem},
    url::Url,
};
use crate::password::Secret;

/// Redirects that are followed, one after the other.
const REDIRECTS: usize = 5;
/// Bytes that are read of what a server says about an error.
const DETAIL: u64 = 4096;
/// Characters of it that are shown.
const SHOWN: usize = 200;
/// Time to reach a server, name and handshake included.
const CONNECT: Duration = Duration::from_secs(30);

/// Asks servers.
#[derive(Debug)]
pub struct Web {
    agent: Agent,
}

/// A part of a file that is asked for.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) url: &'a Url,
    /// First byte.
    pub(super) from: u64,
    /// The file's tag, without which there is no part.
    pub(super) tag: Option<&'a str>,
    /// What opens files.
    pub(super) token: Option<&'a Secret>,
}

/// An answer with a status of success.
pub(super) struct Answer {
    pub(super) partial: bool,
    /// A strong entity tag, with its quotes.
    pub(super) tag: Option<String>,
    /// Bytes that follow.
    pub(super) length: Option<u64>,
    /// First and last byte, and bytes of the whole file.
    pub(super) range: Option<(u64, u64, u64)>,
    pub(super) body: BodyReader<'static>,
}

impl Web {
    /// `idle` is the longest time without a byte. Certificates of authorities are those of the system, read when `secure`.
    ///
    /// # Errors
    /// When there are none.
    pub fn new(secure: bool, idle: Duration) -> Result<Self, Problem> {
        let roots = if secure { roots()? } else { Vec::new() };
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Redirects are followed here, where it is known what they may not do.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("aegis-installer/", env!("CARGO_PKG_VERSION")))
            // A compressed file is another file.
            .accept_encoding("identity")
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(idle))
            .timeout_per_read(Some(idle))
            .timeout_per_write(Some(idle))
            .tls_config(tls.build());
        Ok(Self { agent: config.build().into() })
    }

    /// Asks for a file or a part of one.
    pub(super) fn get(&self, ask: Ask<'_>) -> Result<Answer, Fault> {
        let mut url = ask.url.clone();
        for _ in 0..=REDIRECTS {
            // What opens files is for the server that was named.
            let token = ask.token.filter(|_| url.origin() == ask.url.origin() && url.is_private());
            let answer = self.once(&Ask { url: &url, token, ..ask })?;
            let status = answer.status();
            if !status.is_redirection() || status == StatusCode::NOT_MODIFIED {
                return judge(answer);
            }
            let to = text(answer.headers(), &header::LOCATION).ok_or(Fault::Location)?;
            let next = url.redirect(to).ok_or(Fault::Location)?;
            if url.is_secure() && !next.is_secure() {
                return Err(Fault::Downgrade);
            }
            url = next;
        }
        Err(Fault::Redirects)
    }

    fn once(&self, ask: &Ask<'_>) -> Result<ureq::http::Response<ureq::Body>, Fault> {
        let mut request = self.agent.get(ask.url.reveal());
        if ask.from > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", ask.from));
            if let Some(tag) = ask.tag {
                request = request.header(header::IF_RANGE, tag);
            }
        }
        if let Some(token) = ask.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()));
        }
        request.call().map_err(|error| match error {
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                Fault::Connection(io::ErrorKind::TimedOut.into())
            }
            ureq::Error::Timeout(_) => Fault::Silent,
            ureq::Error::Protocol(_) => Fault::Malformed("does not speak HTTP as it should"),
            other => Fault::Connection(other.into_io()),
        })
    }
}

/// The fault behind an error of a body's reader.
pub(super) fn reading(error: io::Error) -> Fault {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        Some(ureq::Error::Timeout(_)) => Fault::Silent,
        Some(ureq::Error::Protocol(_)) => Fault::Malformed("does not speak HTTP as it should"),
        _ => Fault::Connection(error),
    }
}

fn roots() -> Result<Vec<Certificate<'static>>, Problem> {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        return Err(Problem::NoRoots);
    }
    Ok(found.iter().map(|one| Certificate::from_der(one).to_owned()).collect())
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    // Two that differ would let two programs understand two things.
    let (value, None) = (values.next()?, values.next()) else { return None };
    value.to_str().ok()
}

fn judge(answer: ureq::http::Response<ureq::Body>) -> Result<Answer, Fault> {
    let (parts, body) = answer.into_parts();
    let headers = &parts.headers;
    let partial = match parts.status {
        StatusCode::OK => false,
        StatusCode::PARTIAL_CONTENT => true,
        status => {
            let retry = text(headers, &header::RETRY_AFTER).and_then(|seconds| seconds.parse().ok());
            return Err(Fault::Status { status: status.as_u16(), detail: detail(body.into_reader()), retry });
        }
    };
    if text(headers, &header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(Fault::Malformed("sends a compressed file, which was not asked for"));
    }
    let tag = text(headers, &header::ETAG).filter(|tag| tag.starts_with('"')).map(Into::into);
    let range = text(headers, &header::CONTENT_RANGE).and_then(content_range);
    if partial && range.is_none() {
        return Err(Fault::Malformed("sends a part without saying which"));
    }
    let length = text(headers, &header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    Ok(Answer { partial, tag, length, range, body: body.into_reader() })
}

/// `bytes FIRST-LAST/SIZE`.
fn content_range(value: &str) -> Option<(u64, u64, u64)> {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
    let (span, size) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let found = (number(first)?, number(last)?, number(size)?);
    (found.0 <= found.1 && found.1 < found.2).then_some(found)
}

/// What a problem (RFC 9457) says; nothing of anything else.
fn detail(body: impl Read) -> String {
    #[derive(serde::Deserialize)]
    struct Told {
        detail: Option<String>,
        title: Option<String>,
    }
    let mut bytes = Vec::new();
    // What cannot be read is not worth a second error.
    let _ = body.take(DETAIL).read_to_end(&mut bytes);
    let told = serde_json::from_slice::<Told>(&bytes).ok();
    let text = told.and_then(|told| told.detail.or(told.title)).unwrap_or_default();
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_content_are_read_strictly() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, 9, 10)));
        for wrong in [
            "",
            "bytes",
            "bytes 5-9",
            "bytes 5-9/*",
            "bytes */10",
            "bytes 9-5/10",
            "bytes 5-10/10",
            "bytes +5-9/10",
        ] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn of_an_error_only_the_words_of_a_problem_are_told() {
        assert_eq!(detail(&br#"{"title":"Forbidden","detail":"no","x":1}"#[..]), "no");
        assert_eq!(detail(&b"<html>"[..]), "");
        let long = format!("{{\"title\":\"{}\"}}", "a".repeat(1000));
        assert_eq!(detail(long.as_bytes()).len(), SHOWN);
    }
}
