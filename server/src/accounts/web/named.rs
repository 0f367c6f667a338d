//! This machine by its number, where the site is this machine by its name.
//!
//! Browsers take `127.0.0.1` and `localhost` for two sites. Forms are taken from the site's origin alone, and passkeys need a
//! name, so whoever types the number is led to the name.

use std::net::IpAddr;

use axum::{
    extract::Request,
    http::{Method, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};

/// Answers a request for a page, when it came by the number; `origin` is that of the site.
pub(super) async fn lead(origin: String, request: Request, next: Next) -> Response {
    match elsewhere(&origin, &request) {
        Some(address) => Redirect::temporary(&address).into_response(),
        None => next.run(request).await,
    }
}

fn elsewhere(origin: &str, request: &Request) -> Option<String> {
    let ours = host(origin.strip_prefix("http://")?);
    if ours != "localhost" || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let asked = request.headers().get(header::HOST)?.to_str().ok()?;
    let number: IpAddr = host(asked).trim_matches(['[', ']']).parse().ok()?;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    number.is_loopback().then(|| format!("{origin}{path}"))
}

/// The host of an authority, without its port.
fn host(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_the_number_of_this_machine_leads_to_its_name() {
        let to = |origin: &str, method: &str, host: &str| {
            let request = Request::builder().method(method).uri("/account?next=/a").header("host", host);
            elsewhere(origin, &request.body(Body::empty()).unwrap())
        };
        let local = "http://localhost:8080";
        let there = Some("http://localhost:8080/account?next=/a".to_owned());
        for host in ["127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "127.1.2.3:99"] {
            assert_eq!(to(local, "GET", host), there, "{host}");
            assert_eq!(to(local, "POST", host), None, "{host}");
        }
        for host in ["localhost:8080", "192.0.2.1:8080", "evil.example", "", "127.0.0.1.evil.example", "[::1"]
        {
            assert_eq!(to(local, "GET", host), None, "{host}");
        }
        for origin in ["http://127.0.0.1:8080", "https://aegis-os.example", "https://localhost"] {
            assert_eq!(to(origin, "GET", "127.0.0.1:8080"), None, "{origin}");
        }
    }
}
