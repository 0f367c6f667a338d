//! Passwords: long, odd, wrong, many at once.

use axum::http::{StatusCode, header};
use serde_json::json;

use crate::{
    ANN, OTHER,
    site::{PASSWORD, Site, run},
};

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

#[test]
fn a_password_of_older_costs_is_stored_again_at_the_next_sign_in() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        site.store_with_less_cost(ANN, PASSWORD).await;
        assert!(site.stored_password(ANN).await.contains("m=64,"));
        assert_eq!(site.try_login_api(ANN, OTHER, None).await.0, StatusCode::UNAUTHORIZED);
        assert!(site.stored_password(ANN).await.contains("m=64,"), "not by a wrong one");
        site.login_api(ANN, PASSWORD, None).await;
        assert!(site.stored_password(ANN).await.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        site.login_api(ANN, PASSWORD, None).await;
    });
}
