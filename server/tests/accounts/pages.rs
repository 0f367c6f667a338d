//! What browsers get: pages in the frame of the site, and back to where they wanted to go.

use axum::http::{StatusCode, header};

use crate::{
    ANN, OTHER,
    site::{Answer, PASSWORD, Site, run},
};

fn is_page(answer: &Answer, status: StatusCode) {
    assert_eq!(answer.status, status);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    assert!(
        answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'")
    );
    assert_eq!(answer.body.matches("<h1>").count(), 1);
    assert!(answer.body.contains("class=\"foot\"") && answer.body.contains("noindex"));
}

#[test]
fn mistakes_are_pages_for_people_and_problems_for_programs() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        let mut browser = site.browser();
        is_page(&browser.get("/account/sign-in").await, StatusCode::OK);
        is_page(&browser.post_raw("/account/sign-in", &[("email", ANN)]).await, StatusCode::FORBIDDEN);
        is_page(&browser.form("/account/sign-in", &[("email", ANN)]).await, StatusCode::UNPROCESSABLE_ENTITY);
        is_page(&browser.send("DELETE", "/account", None).await, StatusCode::METHOD_NOT_ALLOWED);
        is_page(&browser.get("/account/confirm?token=a&token=b").await, StatusCode::BAD_REQUEST);
        let wrong = [("email", ANN), ("password", OTHER)];
        for _ in 0..5 {
            is_page(&browser.form("/account/sign-in", &wrong).await, StatusCode::UNAUTHORIZED);
        }
        let later = browser.form("/account/sign-in", &wrong).await;
        is_page(&later, StatusCode::TOO_MANY_REQUESTS);
        assert!(later.headers.contains_key(header::RETRY_AFTER));
        let api = browser.get("/api/v1/account").await;
        assert_eq!(api.headers[header::CONTENT_TYPE], "application/problem+json");
    });
}

#[test]
fn signing_in_leads_back_and_never_elsewhere() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        for (next, leads) in [
            ("/account/sessions", "/account/sessions"),
            ("/pricing?users=3&term=annual", "/pricing?users=3&term=annual"),
            ("//evil.example", "/account"),
            ("/\\evil.example", "/account"),
            ("https:evil.example", "/account"),
            ("/\t/evil.example", "/account"),
            ("/a\r\nSet-Cookie: aegis=x", "/account"),
        ] {
            let mut browser = site.browser();
            let fields = [("email", ANN), ("password", PASSWORD), ("next", next)];
            let answer = browser.form("/account/sign-in", &fields).await;
            assert_eq!((answer.status, answer.location.as_deref()), (StatusCode::SEE_OTHER, Some(leads)));
        }
        let asked = site.browser().get("/account/sessions").await;
        assert_eq!(asked.location.as_deref(), Some("/account/sign-in?next=/account/sessions"));
    });
}
