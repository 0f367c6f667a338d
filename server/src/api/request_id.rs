//! Names of requests, so that a client's report finds its line in the log.

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, HeaderValue},
    middleware::{self, Next},
    response::Response,
};
use data_encoding::HEXLOWER;

const HEADER: &str = "x-request-id";
/// Characters of a name that a client gives.
const LENGTH: usize = 64;

/// The name of a request, in its extensions and those of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

/// Names every request of `router` and answers with the name in `x-request-id`. The client's own name is kept when it is a
/// plain word, which can be written into a log.
pub fn request_ids(router: Router) -> Router {
    router.layer(middleware::from_fn(name))
}

async fn name(mut request: Request, next: Next) -> Response {
    let id = given(request.headers()).unwrap_or_else(made);
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response.extensions_mut().insert(RequestId(id));
    response
}

fn given(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(HEADER).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let lawful = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let text = value.to_str().ok()?;
    ((1..=LENGTH).contains(&text.len()) && text.bytes().all(lawful)).then(|| text.to_owned())
}

/// 16 random bytes. When the system gives none the name is zero, which is no secret and harms nothing.
pub(crate) fn made() -> String {
    let mut bytes = [0; 16];
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    HEXLOWER.encode(&bytes)
}
