//! What is answered to requests.

use std::io::Read as _;

use axum::body::to_bytes;

use super::*;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (header::HeaderName::from_static(name), value.parse().unwrap())
    };
    pairs.iter().map(pair).collect()
}

fn ask(method: &Method, path: &str, pairs: &[(&'static str, &str)]) -> Option<Response<Body>> {
    site().answer(method, path, &headers(pairs))
}

fn get(path: &str, pairs: &[(&'static str, &str)]) -> Response<Body> {
    ask(&Method::GET, path, pairs).unwrap_or_else(|| panic!("{path} is unknown"))
}

async fn body(response: Response<Body>) -> Vec<u8> {
    to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()
}

fn text<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).unwrap_or_else(|| panic!("{name} is missing")).to_str().unwrap()
}

#[tokio::test]
async fn every_coding_holds_the_same_bytes() {
    let paths: Vec<_> = site().paths().map(|(path, _)| path.to_owned()).collect();
    for path in paths {
        let plain = body(get(&path, &[])).await;
        let response = get(&path, &[("accept-encoding", "gzip")]);
        assert_eq!(text(&response, "vary"), "accept-encoding", "{path}");
        if response.headers().contains_key("content-encoding") {
            let coded = body(response).await;
            let mut decoded = Vec::new();
            flate2::read::GzDecoder::new(coded.as_slice()).read_to_end(&mut decoded).unwrap();
            assert!(decoded == plain && coded.len() < plain.len(), "{path}");
        }
        let response = get(&path, &[("accept-encoding", "br")]);
        if response.headers().contains_key("content-encoding") {
            let coded = body(response).await;
            let mut decoded = Vec::new();
            brotli::BrotliDecompress(&mut coded.as_slice(), &mut decoded).unwrap();
            assert!(decoded == plain && coded.len() < plain.len(), "{path}");
        }
    }
    assert_eq!(text(&get("/", &[("accept-encoding", "gzip, br")]), "content-encoding"), "br");
    assert_eq!(text(&get("/", &[("accept-encoding", "gzip, br;q=0")]), "content-encoding"), "gzip");
    assert!(!get("/", &[]).headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn tags_are_digests_of_what_is_sent_and_differ_by_coding() {
    let mut seen = std::collections::BTreeSet::new();
    for coding in ["identity", "gzip", "br"] {
        let response = get("/compare", &[("accept-encoding", coding)]);
        let (tag, length) =
            (text(&response, "etag").to_owned(), text(&response, "content-length").to_owned());
        let bytes = body(response).await;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
        assert_eq!(tag, format!("\"{}\"", data_encoding::HEXLOWER.encode(digest.as_ref())));
        assert_eq!(length, bytes.len().to_string());
        assert!(seen.insert(tag));
    }
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let tag = text(&get("/", &[("accept-encoding", "br")]), "etag").to_owned();
    let plain = text(&get("/", &[]), "etag").to_owned();
    for value in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".into()] {
        for method in [Method::GET, Method::HEAD] {
            let pairs = [("accept-encoding", "br"), ("if-none-match", value.as_str())];
            let response = ask(&method, "/", &pairs).unwrap();
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{value}");
            assert_eq!((text(&response, "etag"), text(&response, "vary")), (tag.as_str(), "accept-encoding"));
            assert!(!response.headers().contains_key("content-length"));
            assert!(body(response).await.is_empty());
        }
    }
    for value in [plain.as_str(), "\"x\"", "", "x"] {
        let pairs = [("accept-encoding", "br"), ("if-none-match", value)];
        assert_eq!(get("/", &pairs).status(), StatusCode::OK, "{value}");
    }
}

#[tokio::test]
async fn head_says_what_get_would() {
    for path in ["/", "/robots.txt", "/editions/gamer"] {
        let (get, head) = (get(path, &[]), ask(&Method::HEAD, path, &[]).unwrap());
        assert_eq!((get.status(), get.headers()), (head.status(), head.headers()));
        assert!(body(head).await.is_empty());
    }
    let uri: Uri = "/pricing?users=3".parse().unwrap();
    let head = site().serve(&Method::HEAD, &uri, &HeaderMap::new()).unwrap();
    assert!(text(&head, "content-length").parse::<usize>().unwrap() > 1000);
    assert!(body(head).await.is_empty());
}

#[tokio::test]
async fn other_methods_are_told_which_are_taken() {
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE, Method::PATCH] {
        for path in ["/", "/pricing", "/pricing/", "/index.html", &site().frame.assets.css] {
            let response = ask(&method, path, &[("if-none-match", "*")]).unwrap();
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(text(&response, "allow"), "GET, HEAD");
        }
        assert!(ask(&method, "/nothing", &[]).is_none());
    }
}

#[test]
fn who_refuses_everything_gets_406() {
    let response = get("/", &[("accept-encoding", "identity;q=0")]);
    assert_eq!((response.status(), text(&response, "vary")), (StatusCode::NOT_ACCEPTABLE, "accept-encoding"));
    let missing = site().not_found(&Method::GET, &headers(&[("accept-encoding", "identity;q=0")]));
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[test]
fn old_and_sloppy_addresses_lead_to_the_page() {
    for (from, to) in [
        ("/index.html", "/"),
        ("/index", "/"),
        ("/pricing/", "/pricing"),
        ("/pricing.html", "/pricing"),
        ("/editions/gamer/", "/editions/gamer"),
        ("/editions/gamer.html", "/editions/gamer"),
        ("/gamer", "/editions/gamer"),
        ("/gamer-ai.html", "/editions/gamer-ai"),
        ("/editions", "/#editions"),
        ("/editions/", "/#editions"),
        ("/favicon.ico", "/favicon.svg"),
        ("/gaming-compatibility", "/gaming"),
    ] {
        let response = get(from, &[]);
        assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT, "{from}");
        assert_eq!(text(&response, "location"), to, "{from}");
    }
}

#[test]
fn tricks_with_paths_find_nothing() {
    for path in [
        "",
        "//",
        "///",
        "/..",
        "/../",
        "/%2e%2e/",
        "/pricing//",
        "/Pricing",
        "/pricing.html.html",
        "/pricing%00",
        "/pricing.HTML",
        "//evil.example/",
        "/\\evil.example",
        "/.html",
        "/assets",
        "/assets/",
        "/assets/site.css",
        "/editions/none",
        "/editions/../pricing",
        "/pricing/.",
        "/.well-known/",
        "pricing",
        "*",
    ] {
        let answer = ask(&Method::GET, path, &[]);
        assert!(answer.is_none(), "{path}: {answer:?}");
    }
}

#[test]
fn headers_protect_every_page() {
    for path in ["/", "/pricing", "/editions/server", "/favicon.svg"] {
        let response = get(path, &[]);
        for name in [
            "content-security-policy",
            "permissions-policy",
            "cross-origin-opener-policy",
            "cross-origin-resource-policy",
        ] {
            text(&response, name);
        }
        assert_eq!(text(&response, "x-content-type-options"), "nosniff");
        assert_eq!(text(&response, "cache-control"), "no-cache");
        assert!(!response.headers().contains_key("set-cookie"));
    }
    let css = get(&site().frame.assets.css, &[]);
    assert_eq!(text(&css, "cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(text(&css, "content-type"), "text/css; charset=utf-8");
    let missing = site().not_found(&Method::GET, &HeaderMap::new());
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    assert!(text(&missing, "content-security-policy").starts_with("default-src 'none'"));
    assert!(!missing.headers().contains_key("etag"));
}

#[tokio::test]
async fn the_calculator_answers_on_the_page() {
    let ask = |query: &str| {
        let uri: Uri = format!("/pricing?{query}").parse().unwrap();
        site().serve(&Method::GET, &uri, &HeaderMap::new()).unwrap()
    };
    let good = ask("users=25&term=lifetime");
    assert_eq!((good.status(), text(&good, "cache-control")), (StatusCode::OK, "no-store"));
    text(&good, "content-security-policy");
    let html = String::from_utf8(body(good).await).unwrap();
    // 25 times $49.
    assert!(html.contains("<strong>$1,225</strong>"));
    let wrong = ask("users=none");
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let html = String::from_utf8(body(wrong).await).unwrap();
    assert!(html.contains("aria-invalid=\"true\"") && html.contains("value=\"none\""));
}
