//! Answers of the API that follow from the specifications alone: asked of the router once, answered from memory.
//!
//! They cost less than a refusal by a limit would, so none holds for them. A request with anything that could change the
//! answer goes to the router.

use std::collections::HashMap;

use aegis_core::edition::Edition;
use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header},
};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::{Error, Result, api};

/// Headers of a request that matter to the API.
const ASKS_MORE: [HeaderName; 6] = [
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::RANGE,
    HeaderName::from_static("x-request-id"),
];
/// Headers of an answer that are about one request.
const OF_ONE: [HeaderName; 3] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
];

/// The answers, by path.
#[derive(Default)]
pub(super) struct Memo {
    answers: HashMap<String, (HeaderMap, Bytes)>,
}

impl Memo {
    /// Asks the router for each.
    ///
    /// # Errors
    /// When one of them is not an answer.
    pub(super) async fn of(router: &Router) -> Result<Self> {
        let one = |edition: Edition| {
            let path = format!("/api/v1/editions/{edition}");
            [format!("{path}/features"), path]
        };
        let fixed = ["/api/v1/editions", "/api/v1/pricing", "/api/v1/version"].map(str::to_owned);
        let mut memo = Self::default();
        for path in fixed.into_iter().chain(Edition::ALL.into_iter().flat_map(one)) {
            let wrong = |problem: &str| Error::Corrupt { what: path.clone(), problem: problem.into() };
            let request = Request::get(path.as_str()).body(Body::empty());
            let request = request.map_err(|_malformed| wrong("is no path"))?;
            let response = router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
            let (mut parts, body) = response.into_parts();
            if parts.status != StatusCode::OK {
                return Err(wrong("is not answered"));
            }
            let body = body.collect().await.map_err(|_cut| wrong("is not answered to the end"))?.to_bytes();
            for name in OF_ONE {
                parts.headers.remove(name);
            }
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            memo.answers.insert(path, (parts.headers, body));
        }
        Ok(memo)
    }

    /// The answer, when nothing of the request could change it.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let is_plain = request.uri().query().is_none()
            && (request.method() == Method::GET || request.method() == Method::HEAD)
            && !ASKS_MORE.iter().any(|name| request.headers().contains_key(name));
        let (headers, body) = self.answers.get(request.uri().path()).filter(|_| is_plain)?;
        let body = if request.method() == Method::HEAD { Body::empty() } else { Body::from(body.clone()) };
        let mut response = Response::new(body);
        response.headers_mut().clone_from(headers);
        if let Ok(id) = HeaderValue::from_str(&api::new_request_id()) {
            response.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
        }
        Some(response)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Clock, api::Api, store::Sqlite};

    #[tokio::test]
    async fn what_is_remembered_is_what_the_router_says() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(Sqlite::open(&directory.path().join("db"), &Clock::default()).unwrap());
        let api = Api::new(store, Clock::default(), Vec::new()).unwrap();
        let router = api::request_ids(api::router(Arc::new(api)));
        let memo = Memo::of(&router).await.unwrap();
        assert_eq!(memo.answers.len(), 17);
        for path in memo.answers.keys() {
            let asked = |headers: &[(&str, &str)]| {
                let request = Request::get(path.as_str());
                headers
                    .iter()
                    .fold(request, |request, (name, value)| request.header(*name, *value))
                    .body(Body::empty())
                    .unwrap()
            };
            let ours = memo.answer(&asked(&[])).unwrap();
            let theirs = router.clone().oneshot(asked(&[])).await.unwrap();
            assert_ne!(
                ours.headers()["x-request-id"],
                memo.answer(&asked(&[])).unwrap().headers()["x-request-id"]
            );
            for name in ["etag", "content-type", "cache-control"] {
                assert_eq!(ours.headers().get(name), theirs.headers().get(name), "{path}: {name}");
            }
            let bytes =
                |response: Response<Body>| async { response.into_body().collect().await.unwrap().to_bytes() };
            assert_eq!(bytes(ours).await, bytes(theirs).await, "{path}");
            assert!(memo.answer(&asked(&[("if-none-match", "*")])).is_none());
            assert!(memo.answer(&asked(&[("x-request-id", "mine")])).is_none());
        }
        let ask = |method: Method, path: &str| {
            Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
        };
        assert!(memo.answer(&ask(Method::POST, "/api/v1/editions")).is_none());
        assert!(memo.answer(&ask(Method::GET, "/api/v1/editions?x=1")).is_none());
        let head = memo.answer(&ask(Method::HEAD, "/api/v1/editions")).unwrap();
        assert!(head.headers().contains_key("content-length"));
        assert!(head.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
}
