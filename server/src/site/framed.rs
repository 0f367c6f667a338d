//! Answers of other parts in the dress of the site: the headers of its pages, and a page in place of a bare error.

use std::sync::Arc;

use askama::Template;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
};

use super::{
    Frame, Layout,
    headers::{Scripted, allow_script, security_headers},
};
use crate::http::{Code, Problem};

/// Makes every answer of a router one of the site: security headers on all, `no-store` where nothing is said of caches,
/// and a page in the site's frame for each error that has none. Below `/api/`, and for a script, which asks for JSON,
/// errors stay as they are.
pub fn framed(router: Router, frame: Arc<Frame>) -> Router {
    router.layer(middleware::from_fn_with_state(frame, dress))
}

async fn dress(State(frame): State<Arc<Frame>>, request: Request, next: Next) -> Response {
    let asks_for_json = request.headers().get(header::ACCEPT).is_some_and(|kind| kind == "application/json");
    let is_api = asks_for_json || request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    if !is_api && is_bare(&response) {
        response = with_page(&frame, response);
    }
    let is_scripted = response.extensions().get::<Scripted>().is_some();
    let headers = response.headers_mut();
    security_headers(headers);
    if is_scripted {
        allow_script(headers);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The page in place of an answer that is a bare error; any other answer as it is.
pub(super) fn in_frame(frame: &Frame, response: Response) -> Response {
    if !is_bare(&response) {
        return response;
    }
    let mut response = with_page(frame, response);
    security_headers(response.headers_mut());
    response
}

/// An error that says nothing to people: of a handler as a problem, or of the router itself.
fn is_bare(response: &Response) -> bool {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    (status.is_client_error() || status.is_server_error())
        && !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Page<'a> {
    layout: Layout<'a>,
    status: StatusCode,
    title: &'a str,
    sentence: Option<&'a str>,
}

/// The page of an error; its status, cookies and what else its headers say stay.
fn with_page(frame: &Frame, response: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    let problem = parts.extensions.remove::<Problem>().unwrap_or_else(|| Problem::new(code(parts.status)));
    let title = problem.code().title();
    let page = Page {
        layout: frame.layout("/problem").unlisted(),
        status: parts.status,
        title,
        sentence: Some(problem.sentence()).filter(|sentence| *sentence != title),
    };
    let Ok(text) = page.render() else { return problem.into_response() };
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_TYPE);
    let mut framed = (parts.status, Html(text)).into_response();
    framed.headers_mut().extend(parts.headers);
    framed
}

fn code(status: StatusCode) -> Code {
    Code::ALL.into_iter().find(|code| code.status() == status).unwrap_or(if status.is_client_error() {
        Code::BadRequest
    } else {
        Code::Internal
    })
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, body::to_bytes, routing::get};
    use tower::ServiceExt as _;

    use super::*;
    use crate::site::tests::markup;

    async fn ask(method: &str, path: &str) -> (Response<()>, String) {
        let limited = || async { Problem::new(Code::RateLimited).because("Wait <a> moment").retry_after(7) };
        let router = Router::new()
            .route("/limited", get(limited))
            .route("/api/limited", get(limited))
            .route("/fine", get(|| async { "fine" }))
            .route("/own", get(|| async { (StatusCode::CONFLICT, Html("own")) }))
            .route("/odd", get(|| async { StatusCode::IM_A_TEAPOT }));
        let frame = Frame::new(&aegis_editions::Spec::all().unwrap(), "https://a.example", "Us").unwrap();
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = framed(router, Arc::new(frame)).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(to_bytes(body, 1 << 20).await.unwrap().to_vec()).unwrap();
        (Response::from_parts(parts, ()), text)
    }

    #[tokio::test]
    async fn an_error_is_a_page_with_the_status_and_headers_that_it_had() {
        for (method, path, status, header, word) in [
            ("GET", "/limited", 429, Some(("retry-after", "7")), "Wait &#60;a&#62; moment."),
            ("POST", "/fine", 405, Some(("allow", "GET,HEAD")), "does not take that method"),
            ("GET", "/odd", 418, None, "cannot be read"),
            ("GET", "/none", 404, None, "There is nothing at this address"),
        ] {
            let (response, text) = ask(method, path).await;
            assert_eq!(response.status(), status, "{path}");
            if let Some((name, value)) = header {
                assert_eq!(response.headers()[name], value, "{path}");
            }
            assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
            assert!(
                text.contains(word) && text.contains("class=\"foot\"") && text.contains("noindex"),
                "{text}"
            );
            markup::check(&text).unwrap();
        }
    }

    #[tokio::test]
    async fn what_has_a_page_and_the_api_stay_as_they_are_and_all_have_the_headers() {
        let (own, text) = ask("GET", "/own").await;
        assert_eq!((own.status(), text.as_str()), (StatusCode::CONFLICT, "own"));
        let (api, text) = ask("GET", "/api/limited").await;
        assert_eq!(api.headers()["content-type"], "application/problem+json");
        assert!(text.contains("\"rate_limited\""));
        let (fine, _) = ask("GET", "/fine").await;
        for response in [own, api, fine] {
            assert_eq!(response.headers()["cache-control"], "no-store");
            for name in ["content-security-policy", "x-content-type-options", "referrer-policy"] {
                assert!(response.headers().contains_key(name), "{name}");
            }
        }
    }
}
