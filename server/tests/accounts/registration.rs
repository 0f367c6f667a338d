//! Registering, resetting, letters, and that no answer tells whether there is an account.

use axum::http::StatusCode;

use crate::{
    ANN, OTHER, server,
    site::{PASSWORD, Site, run},
};

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

#[test]
fn attack_29_a_letter_is_delivered_by_one_courier_and_survives_a_post_that_fails() {
    run(async {
        let site = Site::new().await;
        site.couriers_share_the_work(ANN).await;
    });
}
