//! Accounts under attack, through the router. Numbers in brackets are those of the list of attacks.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/postgres.rs"]
mod server;
#[path = "support/site.rs"]
mod site;

use aegis_server::accounts::Role;
use axum::http::{StatusCode, header};
use serde_json::{Value, json};
use site::{Browser, PASSWORD, Site, run};

const ANN: &str = "ann@example.org";
const OTHER: &str = "another long password";

// Registering, resetting, enumeration.

#[test]
fn an_account_from_registration_to_deletion() {
    run(async {
        let site = Site::new().await;
        site.everything_once().await;
    });
}

#[test]
fn the_same_on_postgres_and_two_processes_are_one() {
    run(async {
        let server = server::shared();
        let url = server.database();
        let one = Site::at(&url, [7; 32]).await;
        let two = one.in_another_process().await;
        one.everything_once().await;
        one.account(ANN, PASSWORD).await;
        let mut browser = one.browser();
        browser.sign_in(ANN, PASSWORD).await;
        let mut moved = two.browser();
        moved.cookies = browser.cookies.clone();
        assert_eq!(
            moved.get("/account").await.status,
            StatusCode::OK,
            "a session of one is one of the other"
        );
        let tokens = one.login_api(ANN, PASSWORD, None).await;
        assert_eq!(two.account_of(&tokens).await.0, StatusCode::OK);
        moved.post("/account/sign-out", &[]).await;
        assert_eq!(browser.get("/account").await.location.as_deref(), Some("/account/sign-in"));
        // The limit of one is that of the other.
        for attempt in 0..5 {
            let site = if attempt % 2 == 0 { &one } else { &two };
            assert_eq!(site.try_login_api(ANN, "wrong password", None).await.0, StatusCode::UNAUTHORIZED);
        }
        assert_eq!(two.try_login_api(ANN, "wrong password", None).await.0, StatusCode::TOO_MANY_REQUESTS);
    });
}

#[test]
fn attack_21_no_answer_tells_whether_there_is_an_account() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        for path in ["/account/sign-in", "/account/register", "/account/reset"] {
            let mut answers = Vec::new();
            for email in [ANN, "bob@example.org"] {
                let hashes = site.accounts.hashes();
                let mut browser = site.browser();
                let fields = [("email", email), ("password", OTHER)];
                let fields = if path.ends_with("reset") { &fields[..1] } else { &fields[..] };
                let answer = browser.form(path, fields).await;
                let body = answer.body.replace(email, "EMAIL");
                let body = body.replace(&answer.form_token(), "TOKEN");
                answers.push((answer.status, body, answer.location, site.accounts.hashes() - hashes));
            }
            assert_eq!(answers[0], answers[1], "{path}");
        }
        let mut answers = Vec::new();
        for email in [ANN, "bob@example.org", "no address", &"x".repeat(5000)] {
            let hashes = site.accounts.hashes();
            let (status, body) = site.try_login_api(email, OTHER, None).await;
            answers.push((status, body, site.accounts.hashes() - hashes));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_eq!(answers[0].2, 1, "one password's work");
    });
}

#[test]
fn registering_somebody_elses_address_first_gains_nothing() {
    run(async {
        let site = Site::new().await;
        site.register(ANN, "the password of a thief").await;
        let thiefs = site.link("/account/confirm").await;
        site.register(ANN, PASSWORD).await;
        let anns = site.link("/account/confirm").await;
        let mut browser = site.browser();
        // Ann opens the wrong letter: her password does not fit, and nothing is made.
        let answer = browser.follow(&thiefs, &[("password", PASSWORD)]).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(browser.follow(&anns, &[("password", PASSWORD)]).await.status, StatusCode::OK);
        // Then the thief's link, by whoever reads the mail, is worth nothing.
        let answer = browser.follow(&thiefs, &[("password", "the password of a thief")]).await;
        assert_eq!(answer.status, StatusCode::CONFLICT);
        assert_eq!(
            site.try_login_api(ANN, "the password of a thief", None).await.0,
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(site.try_login_api(ANN, PASSWORD, None).await.0, StatusCode::OK);
    });
}

#[test]
fn letters_to_one_address_are_bounded() {
    run(async {
        let site = Site::new().await;
        site.account("known@example.org", PASSWORD).await;
        for (email, path) in [
            ("new@example.org", "/account/register"),
            ("known@example.org", "/account/register"),
            ("known@example.org", "/account/reset"),
        ] {
            let before = site.letters().await.len();
            for number in 0..25 {
                // From everywhere.
                let mut browser = site.browser_at(&format!("198.51.{number}.1"));
                let fields = [("email", email), ("password", PASSWORD)];
                let fields = if path.ends_with("reset") { &fields[..1] } else { &fields[..] };
                assert_eq!(browser.form(path, fields).await.status, StatusCode::OK);
            }
            let sent = site.letters().await.len() - before;
            assert!((1..=10).contains(&sent), "{sent} letters to {email} by {path}");
        }
    });
}

#[test]
fn attack_24_a_reset_link_works_once_and_ends_everything() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        let mut signed_in = site.browser();
        signed_in.sign_in(ANN, PASSWORD).await;
        let tokens = site.login_api(ANN, PASSWORD, None).await;
        let mut browser = site.browser();
        // Two links, with the header by which links are poisoned elsewhere.
        browser.host = Some("evil.example".into());
        for _ in 0..2 {
            browser.form("/account/reset", &[("email", " ANN@Example.org ")]).await;
        }
        let links = site.links("/account/reset/new").await;
        assert_eq!(links.len(), 2);
        assert!(site.letters().await.iter().all(|letter| !letter.contains("evil.example")));
        assert_eq!(
            browser.follow(&links[0], &[("new_password", "short")]).await.status,
            StatusCode::UNPROCESSABLE_ENTITY
        );
        assert_eq!(browser.follow(&links[0], &[("new_password", OTHER)]).await.status, StatusCode::OK);
        for link in &links {
            let answer = browser.follow(link, &[("new_password", "a third long password")]).await;
            assert_eq!(answer.status, StatusCode::CONFLICT, "used, or ended by the other");
        }
        assert_eq!(signed_in.get("/account").await.location.as_deref(), Some("/account/sign-in"));
        assert_eq!(site.account_of(&tokens).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(site.refresh(&tokens).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(site.try_login_api(ANN, PASSWORD, None).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(site.try_login_api(ANN, OTHER, None).await.0, StatusCode::OK);
    });
}

#[test]
fn attack_24_a_reset_link_grows_old_and_parallel_uses_are_one() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        site.browser().form("/account/reset", &[("email", ANN)]).await;
        let link = site.link("/account/reset/new").await;
        site.clock.advance(3601);
        assert_eq!(
            site.browser().follow(&link, &[("new_password", OTHER)]).await.status,
            StatusCode::CONFLICT
        );
        site.browser().form("/account/reset", &[("email", ANN)]).await;
        let link = site.link("/account/reset/new").await;
        let token = link.split_once("token=").unwrap().1.to_owned();
        let tasks: Vec<_> = (0..6)
            .map(|number| {
                let (accounts, token) = (std::sync::Arc::clone(&site.accounts), token.clone());
                tokio::spawn(
                    async move { accounts.reset(&token, &format!("{OTHER} {number}")).await.is_ok() },
                )
            })
            .collect();
        let mut held = 0;
        for task in tasks {
            held += usize::from(task.await.unwrap());
        }
        assert_eq!(held, 1);
    });
}

// Passwords.

#[test]
fn attack_23_passwords_of_a_megabyte_with_nul_and_of_two_spellings() {
    run(async {
        let site = Site::new().await;
        let huge = "x".repeat(1_000_000);
        assert_eq!(site.try_login_api(ANN, &huge, None).await.0, StatusCode::PAYLOAD_TOO_LARGE);
        let (status, body) =
            site.api("/api/v1/auth/register", &json!({"email": ANN, "password": "ab ".repeat(500)})).await;
        assert_eq!((status, body["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("password")));
        // Thousand bytes are taken whole; NUL is a character as any other.
        let typed = format!("nul\0and e\u{301} {}", "ü7 ".repeat(240));
        site.account(ANN, &typed).await;
        assert_eq!(site.try_login_api(ANN, &typed, None).await.0, StatusCode::OK);
        let composed = typed.replace("e\u{301}", "é");
        assert_eq!(
            site.try_login_api(ANN, &composed, None).await.0,
            StatusCode::OK,
            "one password in two spellings"
        );
        for wrong in [&typed[..typed.len() - 1], &format!("{typed}x"), "nul", &typed.replace('\0', "")] {
            assert_eq!(site.try_login_api(ANN, wrong, None).await.0, StatusCode::UNAUTHORIZED);
        }
    });
}

#[test]
fn a_flood_of_sign_ins_is_refused_with_a_time_and_not_queued_for_ever() {
    run(async {
        let site = Site::new().await;
        let tasks: Vec<_> = (0..60)
            .map(|number| {
                let mut browser = site.browser_at(&format!("10.{number}.0.1"));
                tokio::spawn(async move {
                    let body = json!({"email": format!("{number}@example.org"), "password": OTHER});
                    browser.json("/api/v1/auth/login", &body).await
                })
            })
            .collect();
        let mut busy = 0;
        for task in tasks {
            let answer = task.await.unwrap();
            if answer.status == StatusCode::SERVICE_UNAVAILABLE {
                assert!(answer.headers.contains_key(header::RETRY_AFTER));
                busy += 1;
            } else {
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
            }
        }
        assert!(busy > 0 && busy < 60, "{busy}");
    });
}

#[test]
fn a_wrong_password_costs_its_sender_time_and_nobody_else() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        let mut known = site.browser_at("203.0.113.5");
        known.sign_in(ANN, PASSWORD).await;
        known.post("/account/sign-out", &[]).await;
        let attacker = || site.browser_at("203.0.113.77");
        let mut last = attacker().json("/api/v1/auth/login", &json!({"email": ANN, "password": OTHER})).await;
        for number in 0..7 {
            let body =
                json!({"email": if number % 2 == 0 { "ANN@example.org" } else { ANN }, "password": OTHER});
            last = attacker().json("/api/v1/auth/login", &body).await;
        }
        assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS, "capitals make no new counter");
        let seconds: u64 = last.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((1..=5).contains(&seconds), "{seconds}");
        // From the same network the right password waits too, but not on the device that is known, and not elsewhere.
        let right = json!({"email": ANN, "password": PASSWORD});
        assert_eq!(attacker().json("/api/v1/auth/login", &right).await.status, StatusCode::TOO_MANY_REQUESTS);
        known.sign_in(ANN, PASSWORD).await;
        assert_eq!(
            site.browser_at("192.0.2.9").json("/api/v1/auth/login", &right).await.status,
            StatusCode::OK
        );
        // The waiting grows, and has an end.
        let mut waits = Vec::new();
        for _ in 0..6 {
            site.clock.advance(901);
            assert_eq!(
                attacker().json("/api/v1/auth/login", &json!({"email": ANN, "password": OTHER})).await.status,
                401
            );
            let refused = attacker().json("/api/v1/auth/login", &right).await;
            waits.push(refused.headers[header::RETRY_AFTER].to_str().unwrap().parse::<i64>().unwrap());
        }
        assert!(
            waits.windows(2).all(|pair| pair[0] <= pair[1] + 5)
                && waits.last() <= Some(&900)
                && waits[0] >= 10,
            "{waits:?}"
        );
        site.clock.advance(901);
        assert_eq!(attacker().json("/api/v1/auth/login", &right).await.status, StatusCode::OK);
    });
}

#[test]
fn parallel_guesses_are_no_more_than_guesses_in_a_row() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        let before = site.accounts.hashes();
        let tasks: Vec<_> = (0..30)
            .map(|_| {
                let mut browser = site.browser();
                tokio::spawn(async move {
                    browser.json("/api/v1/auth/login", &json!({"email": ANN, "password": OTHER})).await.status
                })
            })
            .collect();
        for task in tasks {
            let _ = task.await.unwrap();
        }
        assert!(site.accounts.hashes() - before <= 5, "{}", site.accounts.hashes() - before);
    });
}

// Sessions and forms.

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
        site.accounts.set_role(id, Role::Support).await.unwrap();
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

// The second factor.

#[test]
fn attack_22_one_code_many_times_at_once_is_taken_once() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        let (secret, recovery) = site.enrol(ANN, PASSWORD).await;
        for code in [None, Some(recovery[0].clone())] {
            site.clock.advance(1000);
            let code = code.unwrap_or_else(|| site.code(&secret, 0));
            let mut browsers: Vec<Browser> =
                (0..8).map(|number| site.browser_at(&format!("10.{number}.0.1"))).collect();
            for browser in &mut browsers {
                assert_eq!(browser.sign_in(ANN, PASSWORD).await.location.as_deref(), Some("/account/code"));
                assert_eq!(
                    browser.get("/account").await.location.as_deref(),
                    Some("/account/code"),
                    "not before the code"
                );
                assert_eq!(
                    browser.get("/account/second-factor").await.location.as_deref(),
                    Some("/account/code")
                );
            }
            let tasks: Vec<_> = browsers
                .into_iter()
                .map(|mut browser| {
                    let code = code.clone();
                    tokio::spawn(
                        async move { browser.form("/account/code", &[("code", &code)]).await.status },
                    )
                })
                .collect();
            let mut held = 0;
            for task in tasks {
                held += usize::from(task.await.unwrap() == StatusCode::SEE_OTHER);
            }
            assert_eq!(held, 1);
        }
    });
}

#[test]
fn attack_22_old_codes_far_codes_and_many_codes() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        let (secret, recovery) = site.enrol(ANN, PASSWORD).await;
        let (status, body) = site.try_login_api(ANN, PASSWORD, None).await;
        assert_eq!((status, body["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("code")));
        site.clock.advance(300);
        for steps in [-2, 2] {
            let code = site.code(&secret, steps);
            assert_eq!(
                site.try_login_api(ANN, PASSWORD, Some(&code)).await.0,
                StatusCode::UNAUTHORIZED,
                "{steps}"
            );
        }
        let code = site.code(&secret, 1);
        assert_eq!(site.try_login_api(ANN, PASSWORD, Some(&code)).await.0, StatusCode::OK);
        for replayed in [code, site.code(&secret, 0)] {
            let (status, _) = site.try_login_api(ANN, PASSWORD, Some(&replayed)).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "used, or older than one that was used");
        }
        let written = recovery[1].to_lowercase().replace('-', " ");
        assert_eq!(site.try_login_api(ANN, PASSWORD, Some(&written)).await.0, StatusCode::OK);
        assert_eq!(
            site.try_login_api(ANN, PASSWORD, Some(&recovery[1])).await.0,
            StatusCode::UNAUTHORIZED,
            "once"
        );
        let mut browser = site.browser();
        browser.sign_in(ANN, PASSWORD).await;
        let mut tried = 0;
        while browser.form("/account/code", &[("code", "000000")]).await.status
            != StatusCode::TOO_MANY_REQUESTS
        {
            tried += 1;
            assert!(tried < 6, "guesses are not slowed down");
        }
    });
}

#[test]
fn an_owner_does_nothing_before_a_new_password_and_a_second_factor() {
    run(async {
        let site = Site::new().await;
        let once = site.accounts.make_owner("owner@example.org").await.unwrap();
        let mut browser = site.browser();
        browser.sign_in("owner@example.org", once.reveal()).await;
        for path in ["/account", "/account/sessions", "/account/second-factor", "/account/delete"] {
            assert_eq!(browser.get(path).await.location.as_deref(), Some("/account/password"), "{path}");
        }
        browser.form("/account/password", &[("password", once.reveal()), ("new_password", PASSWORD)]).await;
        for path in ["/account", "/account/sessions", "/account/address"] {
            assert_eq!(browser.get(path).await.location.as_deref(), Some("/account/second-factor"), "{path}");
        }
        let identity = site.accounts.identify(&browser.session()).await.unwrap().unwrap();
        assert!(identity.require(Role::Customer).is_err(), "nor by any other way");
        site.enrol_with(&mut browser, PASSWORD).await;
        assert_eq!(browser.get("/account").await.status, StatusCode::OK);
        let identity = site.accounts.identify(&browser.session()).await.unwrap().unwrap();
        assert!(identity.require(Role::Owner).is_ok());
        // Made again, everything from before is gone.
        let again = site.accounts.make_owner("Owner@example.org").await.unwrap();
        assert_ne!(again, once);
        assert_eq!(browser.get("/account").await.location.as_deref(), Some("/account/sign-in"));
    });
}

// Tokens of the API. What a forged token can be is tried on the verifier itself, in its own tests.

#[test]
fn attack_16_tokens_for_another_purpose() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        let tokens = site.login_api(ANN, PASSWORD, None).await;
        let mut browser = site.browser();
        browser.sign_in(ANN, PASSWORD).await;
        let form = browser.get("/account").await.form_token();
        let refresh = tokens["refresh_token"].as_str().unwrap();
        let access = tokens["access_token"].as_str().unwrap();
        for bad in [
            refresh,
            &form,
            &browser.cookies["aegis"],
            "",
            "x",
            &format!("{access}x"),
            &access.replace('.', ""),
        ] {
            let (status, _) = site.account_of(&json!({"access_token": bad})).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
        }
        for bad in [access, &browser.cookies["aegis"], "", "x"] {
            assert_eq!(site.refresh(&json!({"refresh_token": bad})).await.0, StatusCode::UNAUTHORIZED);
        }
        // A token of another secret, and of another site with the same one.
        for other in [
            Site::at(&site.url, [8; 32]).await,
            Site::at_origin(&site.url, [7; 32], "https://other.example").await,
        ] {
            assert_eq!(other.account_of(&tokens).await.0, StatusCode::UNAUTHORIZED);
        }
        assert_eq!(site.account_of(&tokens).await.0, StatusCode::OK);
        site.clock.advance(601);
        assert_eq!(site.account_of(&tokens).await.0, StatusCode::UNAUTHORIZED, "ten minutes are the end");
        assert_eq!(site.refresh(&tokens).await.0, StatusCode::OK);
    });
}

#[test]
fn attack_17_a_refresh_token_twice_ends_the_family() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        let first = site.login_api(ANN, PASSWORD, None).await;
        let bystander = site.login_api(ANN, PASSWORD, None).await;
        let (status, second) = site.refresh(&first).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(site.account_of(&second).await.0, StatusCode::OK);
        assert_eq!(site.refresh(&first).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(
            site.account_of(&second).await.0,
            StatusCode::UNAUTHORIZED,
            "the thief's or the owner's, both end"
        );
        assert_eq!(site.refresh(&second).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(site.account_of(&bystander).await.0, StatusCode::OK, "another family goes on");
        // At once: one gets the next pair at most, and the family ends.
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (accounts, token) = (
                    std::sync::Arc::clone(&site.accounts),
                    bystander["refresh_token"].as_str().unwrap().to_owned(),
                );
                tokio::spawn(async move { accounts.refresh(&token).await.is_ok() })
            })
            .collect();
        let mut held = 0;
        for task in tasks {
            held += usize::from(task.await.unwrap());
        }
        assert_eq!(held, 1);
        assert_eq!(site.account_of(&bystander).await.0, StatusCode::UNAUTHORIZED);
    });
}

#[test]
fn signing_out_of_the_api_ends_its_family_and_tells_nothing() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        let tokens = site.login_api(ANN, PASSWORD, None).await;
        for token in [tokens["refresh_token"].clone(), json!("unknown"), tokens["refresh_token"].clone()] {
            let (status, body) = site.api("/api/v1/auth/logout", &json!({"refresh_token": token})).await;
            assert_eq!((status, body), (StatusCode::NO_CONTENT, Value::Null));
        }
        assert_eq!(site.account_of(&tokens).await.0, StatusCode::UNAUTHORIZED);
    });
}

// Letters.

#[test]
fn attack_29_a_letter_is_delivered_by_one_courier_and_survives_a_post_that_fails() {
    run(async {
        let site = Site::new().await;
        site.couriers_share_the_work(ANN).await;
    });
}
