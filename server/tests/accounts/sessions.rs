//! Sessions of browsers, their cookies, and forms from elsewhere.

use aegis_server::accounts::Role;
use axum::http::{StatusCode, header};
use serde_json::json;

use crate::{
    ANN, OTHER,
    site::{PASSWORD, Site, run},
};

#[test]
fn attack_20_a_session_that_was_planted_is_not_the_one_signed_in() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        site.account("eve@example.org", PASSWORD).await;
        let mut eve = site.browser();
        eve.sign_in("eve@example.org", PASSWORD).await;
        let mut victim = site.browser();
        victim.cookies = eve.cookies.clone();
        victim.sign_in(ANN, PASSWORD).await;
        assert_ne!(victim.cookies["aegis"], eve.cookies["aegis"]);
        assert!(victim.get("/account").await.body.contains(ANN));
        assert_eq!(
            eve.get("/account").await.location.as_deref(),
            Some("/account/sign-in"),
            "the planted one ended"
        );
        // A planted number that was never ours, and two cookies of one name.
        let mut tossed = site.browser();
        tossed.cookies.insert("aegis".into(), "A".repeat(43));
        assert_eq!(tossed.get("/account").await.location.as_deref(), Some("/account/sign-in"));
        tossed.raw_cookie = Some(format!("aegis={}; aegis={}", victim.cookies["aegis"], "A".repeat(43)));
        assert_eq!(tossed.get("/account").await.location.as_deref(), Some("/account/sign-in"));
    });
}

#[test]
fn cookies_are_for_this_host_and_no_script() {
    run(async {
        let site = Site::with_origin("https://aegis.example").await;
        site.account(ANN, PASSWORD).await;
        let mut browser = site.browser();
        let answer = browser.sign_in(ANN, PASSWORD).await;
        let set: Vec<_> =
            answer.headers.get_all(header::SET_COOKIE).iter().map(|line| line.to_str().unwrap()).collect();
        assert!(set.iter().any(|line| line.starts_with("__Host-aegis=")), "{}", set.len());
        for line in set {
            for part in ["__Host-", "; Path=/", "; HttpOnly", "; SameSite=Lax", "; Secure"] {
                assert!(line.contains(part), "{part}");
            }
            assert!(!line.contains("Domain"));
        }
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    });
}

#[test]
fn attack_19_forms_without_our_token_or_from_elsewhere() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        site.account("eve@example.org", PASSWORD).await;
        let (mut ann, mut eve) = (site.browser(), site.browser());
        ann.sign_in(ANN, PASSWORD).await;
        eve.sign_in("eve@example.org", PASSWORD).await;
        let (good, eves) = (ann.get("/account").await.form_token(), eve.get("/account").await.form_token());
        let template = ann.clone();
        let post = |token: &str, extra: &[(&'static str, &'static str)], kind: &'static str| {
            let mut browser = template.clone();
            let body = if token.is_empty() { String::new() } else { format!("form_token={token}") };
            browser.extra = extra.to_vec();
            async move { browser.send("POST", "/account/sign-out-everywhere", Some((kind, body))).await.status }
        };
        const FORM: &str = "application/x-www-form-urlencoded";
        for token in ["", "x", &eves, &good[1..], &format!("{good}&form_token={good}")] {
            let status = post(token, &[], FORM).await;
            assert!(status == StatusCode::FORBIDDEN || status == StatusCode::BAD_REQUEST, "{status}");
        }
        for header in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "http://localhost:8080.evil.example"),
            ("origin", "https://localhost:8080"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
        ] {
            assert_eq!(post(&good, &[header], FORM).await, StatusCode::FORBIDDEN, "{header:?}");
        }
        assert_eq!(post(&good, &[], "text/plain").await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let overridden = ann.clone().send("GET", "/account/sign-out-everywhere?_method=POST", None).await;
        assert_eq!(overridden.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(ann.get("/account").await.status, StatusCode::OK, "none of these did anything");
        let here = [("origin", "http://localhost:8080"), ("sec-fetch-site", "same-origin")];
        assert_eq!(post(&good, &here, FORM).await, StatusCode::SEE_OTHER);
        assert_eq!(ann.get("/account").await.location.as_deref(), Some("/account/sign-in"));
    });
}

#[test]
fn attack_19_signing_a_victim_in_as_somebody_else() {
    run(async {
        let site = Site::new().await;
        site.account("eve@example.org", PASSWORD).await;
        // Eve's own good token, sent by the browser of a victim, which has another cookie or none.
        let token = site.browser().get("/account/sign-in").await.form_token();
        let mut victim = site.browser();
        victim.get("/account/register").await;
        for mut browser in [victim, site.browser()] {
            let answer = browser
                .post_raw(
                    "/account/sign-in",
                    &[("form_token", &token), ("email", "eve@example.org"), ("password", PASSWORD)],
                )
                .await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
            assert!(!browser.cookies.contains_key("aegis"));
        }
    });
}

#[test]
fn the_api_takes_no_cookie_and_no_other_type() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        let mut browser = site.browser();
        browser.sign_in(ANN, PASSWORD).await;
        let answer = browser.get("/api/v1/account").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer");
        let body = json!({"email": ANN, "password": PASSWORD}).to_string();
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            let answer = browser.send("POST", "/api/v1/auth/login", Some((kind, body.clone()))).await;
            assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
        }
    });
}

#[test]
fn attack_26_fields_that_are_not_for_clients() {
    run(async {
        let site = Site::new().await;
        for (extra, value) in [("role", json!("owner")), ("id", json!("00")), ("confirmed_at", json!(1))] {
            let mut body = json!({"email": ANN, "password": PASSWORD});
            body[extra] = value;
            let (status, _) = site.api("/api/v1/auth/register", &body).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{extra}");
        }
        for body in [json!({"email": 1, "password": PASSWORD}), json!({"email": ANN}), json!([]), json!(null)]
        {
            assert_eq!(
                site.api("/api/v1/auth/login", &body).await.0,
                StatusCode::UNPROCESSABLE_ENTITY,
                "{body}"
            );
        }
        for text in ["{", "{\"email\":\"\u{0}\"}", "[[[[[[[["] {
            let answer = site
                .browser()
                .send("POST", "/api/v1/auth/login", Some(("application/json", text.into())))
                .await;
            assert!(answer.status.is_client_error() && !answer.body.contains("line 1"), "{}", answer.body);
        }
        let doubled = format!(r#"{{"email":"{ANN}","email":"x","password":"{PASSWORD}"}}"#);
        let answer =
            site.browser().send("POST", "/api/v1/auth/login", Some(("application/json", doubled))).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        let mut browser = site.browser();
        let fields = [("email", ANN), ("password", PASSWORD), ("role", "owner")];
        assert_eq!(browser.form("/account/register", &fields).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    });
}

#[test]
fn sessions_end_by_disuse_by_age_and_one_by_one() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        site.account("eve@example.org", PASSWORD).await;
        let (mut one, mut two, mut eve) = (site.browser(), site.browser(), site.browser());
        one.sign_in(ANN, PASSWORD).await;
        two.sign_in(ANN, PASSWORD).await;
        eve.sign_in("eve@example.org", PASSWORD).await;
        let ids = one.get("/account/sessions").await.values_of("session");
        assert_eq!(ids.len(), 2);
        // Another's session by its number.
        for id in &ids {
            assert_eq!(
                eve.post("/account/sessions/end", &[("session", id)]).await.status,
                StatusCode::SEE_OTHER
            );
        }
        assert_eq!(one.get("/account/sessions").await.values_of("session").len(), 2);
        for id in ["", "zz", "00", &"0".repeat(5000)] {
            assert_eq!(
                one.post("/account/sessions/end", &[("session", id)]).await.status,
                StatusCode::SEE_OTHER
            );
        }
        for id in &ids {
            one.post("/account/sessions/end", &[("session", id)]).await;
            if one.get("/account").await.status != StatusCode::OK {
                break;
            }
        }
        let mut fresh = site.browser();
        fresh.sign_in(ANN, PASSWORD).await;
        for _ in 0..32 {
            site.clock.advance(23 * 3600);
            fresh.get("/account").await;
        }
        assert_eq!(
            fresh.get("/account").await.location.as_deref(),
            Some("/account/sign-in"),
            "thirty days are the end"
        );
        fresh.sign_in(ANN, PASSWORD).await;
        site.clock.advance(24 * 3600 + 1);
        assert_eq!(
            fresh.get("/account").await.location.as_deref(),
            Some("/account/sign-in"),
            "a day without use too"
        );
        site.accounts.tidy().await.unwrap();
    });
}

#[test]
fn attack_18_a_changed_password_or_role_ends_everything_else() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        let (mut one, mut two) = (site.browser(), site.browser());
        one.sign_in(ANN, PASSWORD).await;
        two.sign_in(ANN, PASSWORD).await;
        let tokens = site.login_api(ANN, PASSWORD, None).await;
        let before = one.cookies["aegis"].clone();
        let wrong = one.form("/account/password", &[("password", OTHER), ("new_password", OTHER)]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        let changed = one.form("/account/password", &[("password", PASSWORD), ("new_password", OTHER)]).await;
        assert_eq!(changed.status, StatusCode::SEE_OTHER);
        assert_ne!(one.cookies["aegis"], before, "the session is a new one");
        assert_eq!(one.get("/account").await.status, StatusCode::OK);
        assert_eq!(two.get("/account").await.location.as_deref(), Some("/account/sign-in"));
        assert_eq!(site.account_of(&tokens).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(site.refresh(&tokens).await.0, StatusCode::UNAUTHORIZED);
        let tokens = site.login_api(ANN, OTHER, None).await;
        let id = site.id_of(&tokens).await;
        site.accounts.set_role(None, id, Role::Support).await.unwrap();
        assert_eq!(site.account_of(&tokens).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(one.get("/account").await.location.as_deref(), Some("/account/sign-in"));
    });
}

#[test]
fn an_address_changes_by_its_new_owner_alone() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        site.account("bob@example.org", PASSWORD).await;
        let mut ann = site.browser();
        ann.sign_in(ANN, PASSWORD).await;
        let mut answers = Vec::new();
        for email in ["bob@example.org", "new@example.org"] {
            let answer = ann.form("/account/address", &[("email", email), ("password", PASSWORD)]).await;
            answers.push((answer.status, answer.body));
        }
        assert_eq!(answers[0], answers[1], "whether Bob has an account is not told");
        let letters = site.letters().await;
        assert!(
            letters.iter().any(|letter| letter.contains(ANN) && letter.contains("was asked for")),
            "word to the old one"
        );
        let links = site.links("/account/address/confirm").await;
        assert_eq!(links.len(), 1, "no link for an address that has an account");
        for bad in ["a@b.de\r\nBcc: c@d.de", "x"] {
            let answer = ann.form("/account/address", &[("email", bad), ("password", PASSWORD)]).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        assert_eq!(site.browser().follow(&links[0], &[]).await.status, StatusCode::OK);
        assert_eq!(site.browser().follow(&links[0], &[]).await.status, StatusCode::CONFLICT);
        assert_eq!(site.try_login_api(ANN, PASSWORD, None).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(site.try_login_api("new@example.org", PASSWORD, None).await.0, StatusCode::OK);
    });
}

#[test]
fn text_of_a_client_is_never_markup() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        let mut browser = site.browser();
        browser.agent = "<script>alert(1)</script>\"'&".into();
        browser.sign_in(ANN, PASSWORD).await;
        let page = browser.get("/account/sessions").await.body;
        assert!(!page.contains("<script>") && page.contains("alert(1)"));
        let evil = "\"><script>x</script>@example.org";
        let mut browser = site.browser();
        assert!(
            !browser
                .form("/account/sign-in", &[("email", evil), ("password", OTHER)])
                .await
                .body
                .contains("<script>")
        );
        let page = browser.get("/account/confirm?token=%22%3E%3Cscript%3E").await.body;
        assert!(!page.contains("<script>"));
        for page in [page, browser.get("/account/sign-in").await.body] {
            for part in ["style=", " on", "javascript:"] {
                assert!(
                    !page.split('<').skip(1).any(|tag| tag.split('>').next().unwrap().contains(part)),
                    "{part}"
                );
            }
        }
    });
}
