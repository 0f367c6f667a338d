//! Plain HTTP beside TLS: every request is sent to the same path of the site, and challenges of ACME are answered.
//!
//! Invariant: where it leads follows from the configuration, never from what a request says of its host.

use std::{
    fs::OpenOptions,
    io::{self, Read as _},
    net::IpAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use axum::{
    body::Body,
    http::{HeaderValue, Method, Response, StatusCode, Uri, header},
};
use hyper::{Request, body::Incoming};

use crate::{
    config::Config,
    engine::{Answer, Connection, Service},
    watch::{self, Metrics},
};

/// Where RFC 8555, section 8.3, looks for the answer to a challenge of the type http-01.
const CHALLENGES: &str = ".well-known/acme-challenge";
/// Bytes of an answer to a challenge: a token and a digest, about 90.
const LONGEST: u64 = 1024;
/// Bytes of a token; it has 128 random bits at least.
const TOKEN: usize = 128;
/// The route in metrics and log.
const ROUTE: &str = "/{redirect}";

/// Answers the sockets that lead to TLS.
pub(super) struct Redirect {
    origin: String,
    webroot: RwLock<Option<PathBuf>>,
    metrics: Arc<Metrics>,
}

impl Redirect {
    pub(super) fn new(config: &Config, metrics: Arc<Metrics>) -> Self {
        let webroot = RwLock::new(config.listen.acme_webroot.clone());
        Self { origin: config.site.origin.clone(), webroot, metrics }
    }

    /// Answers challenges from another folder.
    pub(super) fn change(&self, webroot: Option<PathBuf>) {
        *self.webroot.write().unwrap_or_else(PoisonError::into_inner) = webroot;
    }

    fn challenge(&self, method: &Method, uri: &Uri) -> Option<PathBuf> {
        let token = uri.path().strip_prefix('/')?.strip_prefix(CHALLENGES)?.strip_prefix('/')?;
        let is_read = method == Method::GET || method == Method::HEAD;
        let webroot = self.webroot.read().unwrap_or_else(PoisonError::into_inner);
        webroot.as_ref().filter(|_| is_read && is_token(token)).map(|root| root.join(CHALLENGES).join(token))
    }
}

impl Service for Redirect {
    fn call(&self, request: Request<Incoming>) -> Answer {
        let began = Instant::now();
        let peer = request.extensions().get::<Connection>().map_or(IpAddr::from([0; 4]), |one| one.peer);
        let (method, metrics) = (request.method().clone(), Arc::clone(&self.metrics));
        let told = move |response: Response<Body>| {
            watch::record(&metrics, ROUTE, &method, response.status(), began, 0, peer);
            response
        };
        match self.challenge(request.method(), request.uri()) {
            None => Answer::Now(told(moved(&self.origin, request.uri()))),
            Some(path) => Answer::Later(Box::pin(async move {
                let read = tokio::task::spawn_blocking(move || read(&path)).await;
                told(answered(read.map_err(io::Error::other).flatten()))
            })),
        }
    }
}

/// The characters of base64url, in which tokens are written; none of them leads to another folder.
fn is_token(text: &str) -> bool {
    let lawful = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=TOKEN).contains(&text.len()) && text.bytes().all(lawful)
}

/// A short regular file of this very name: no link, and nothing that could be waited for.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() || about.len() > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut content = Vec::new();
    file.take(LONGEST).read_to_end(&mut content)?;
    Ok(content)
}

fn answered(read: io::Result<Vec<u8>>) -> Response<Body> {
    let found = read.is_ok();
    let mut response = Response::new(Body::from(read.unwrap_or_default()));
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if !found {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

/// 308, which keeps the method and the content of a request.
fn moved(origin: &str, uri: &Uri) -> Response<Body> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    // `*` of OPTIONS, and nothing at all of CONNECT.
    let path = if path.starts_with('/') { path } else { "/" };
    let mut response = Response::new(Body::empty());
    // Made of an origin that was checked and a path that was parsed.
    if let Ok(to) = HeaderValue::from_str(&format!("{origin}{path}")) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    // Browsers keep a 308 for good otherwise, and the site may move.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_is_kept() {
        for (asked, expected) in [
            ("/", "https://a.example/"),
            ("/download/x?y=%20z", "https://a.example/download/x?y=%20z"),
            ("http://evil.example/a?b", "https://a.example/a?b"),
            ("http://evil.example", "https://a.example/"),
            ("//evil.example/a", "https://a.example//evil.example/a"),
            ("*", "https://a.example/"),
            ("evil.example:443", "https://a.example/"),
        ] {
            let response = moved("https://a.example", &asked.parse().unwrap());
            assert_eq!(response.headers()[header::LOCATION], expected, "{asked}");
            assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
        }
    }

    #[test]
    fn a_token_leads_nowhere_else() {
        for good in ["a", "-_09AZaz", &"x".repeat(TOKEN)] {
            assert!(is_token(good), "{good}");
        }
        for bad in ["", ".", "..", "a.b", "a/b", "a%2fb", "a\\b", "a b", "ä", "\0", &"x".repeat(TOKEN + 1)] {
            assert!(!is_token(bad), "{bad:?}");
        }
    }

    #[test]
    fn only_short_files_are_read_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("good"), "token.digest").unwrap();
        std::fs::write(path("long"), vec![b'x'; 2000]).unwrap();
        std::os::unix::fs::symlink(path("good"), path("link")).unwrap();
        std::fs::create_dir(path("folder")).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read(&path("good")).unwrap(), b"token.digest");
        for name in ["long", "link", "folder", "pipe", "missing"] {
            assert!(read(&path(name)).is_err(), "{name}");
        }
    }
}
