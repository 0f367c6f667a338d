//! The second factor and its codes.

use aegis_server::accounts::Role;
use axum::http::StatusCode;

use crate::{
    ANN,
    site::{Browser, PASSWORD, Site, run},
};

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
            // From the beginning of a step: two steps ahead is one step ahead as soon as the next one begins.
            site.clock.advance(30 - site.clock.now() % 30);
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
