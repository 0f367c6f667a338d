//! What a rotation of the secret leaves as it is, and what it ends.

use aegis_server::{secret::Dated, store::Statement};
use axum::http::StatusCode;

use crate::{
    ANN,
    site::{Browser, PASSWORD, Site, run},
};

/// The secret of the tests, and one that signs from a time; what the first signed is taken before another.
fn rotated(from: i64, until: i64) -> Vec<Dated> {
    vec![Dated { key: [8; 32], from, until: i64::MAX }, Dated { key: [7; 32], from: 0, until }]
}

/// A browser that goes on at another process.
fn moved(browser: Browser, site: &Site) -> Browser {
    let mut fresh = site.browser();
    fresh.cookies = browser.cookies;
    fresh
}

async fn sealed(site: &Site) -> Vec<u8> {
    let rows = site.store.read(Statement::new("SELECT totp_secret FROM accounts", [])).await.unwrap();
    rows[0].blob(0).unwrap().to_vec()
}

#[test]
fn forms_tokens_and_codes_of_before_are_good_after_it() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        let mut browser = site.browser();
        browser.sign_in(ANN, PASSWORD).await;
        let (secret, codes) = site.enrol_with(&mut browser, PASSWORD).await;
        site.clock.advance(60);
        let tokens = site.login_api(ANN, PASSWORD, Some(&codes[0])).await;
        let form = browser.get("/account/password").await.form_token();
        let before = sealed(&site).await;

        let now = site.clock.now();
        let after = site.rotated(rotated(now, now + 300)).await;
        let mut browser = moved(browser, &after);
        assert_eq!(after.account_of(&tokens).await.0, StatusCode::OK);
        // Refused because of the password, not because of the form.
        let wrong = [("password", "wrong password"), ("new_password", "x"), ("form_token", form.as_str())];
        assert_eq!(
            browser.post_raw("/account/password", &wrong).await.status,
            StatusCode::UNPROCESSABLE_ENTITY
        );
        assert_ne!(browser.get("/account/password").await.form_token(), form, "new forms are of the new one");
        // A recovery code; then the authenticator, whose secret is sealed anew by its use.
        after.login_api(ANN, PASSWORD, Some(&codes[1])).await;
        assert_eq!(after.try_login_api(ANN, PASSWORD, Some(&codes[1])).await.0, StatusCode::UNAUTHORIZED);
        assert_ne!(sealed(&after).await, before);
        site.clock.advance(60);
        let of_after = after.login_api(ANN, PASSWORD, Some(&after.code(&secret, 0))).await;

        // When its time has passed only what the database keeps is opened by the former one.
        site.clock.advance(300);
        assert_eq!(site.account_of(&tokens).await.0, StatusCode::OK, "it has not expired");
        assert_eq!(after.account_of(&tokens).await.0, StatusCode::UNAUTHORIZED);
        let old = [("password", "wrong password"), ("new_password", "x"), ("form_token", form.as_str())];
        assert_eq!(browser.post_raw("/account/password", &old).await.status, StatusCode::FORBIDDEN);
        after.login_api(ANN, PASSWORD, Some(&codes[3])).await;
        assert_eq!(after.refresh(&of_after).await.0, StatusCode::OK);
    });
}

#[test]
fn before_its_time_both_processes_take_what_the_other_signed() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        let now = site.clock.now();
        let restarted = site.rotated(rotated(now + 600, now + 1000)).await;
        let tokens = restarted.login_api(ANN, PASSWORD, None).await;
        assert_eq!(site.account_of(&tokens).await.0, StatusCode::OK, "signed by the former one");
        site.clock.advance(600);
        let tokens = restarted.login_api(ANN, PASSWORD, None).await;
        assert_eq!(restarted.account_of(&tokens).await.0, StatusCode::OK);
        assert_eq!(site.account_of(&tokens).await.0, StatusCode::UNAUTHORIZED, "signed by the new one");
    });
}
