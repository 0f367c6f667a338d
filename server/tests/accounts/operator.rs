//! What the person at the machine does with an account.

use aegis_server::{
    accounts::{Act, Overview},
    store::Statement,
};
use axum::http::StatusCode;

use crate::{
    ANN, server,
    site::{Answer, Browser, PASSWORD, Site, run},
};

async fn overview(site: &Site) -> Overview {
    let account = site.accounts.account_of(ANN).await.unwrap().unwrap();
    site.accounts.overview(account).await.unwrap().unwrap()
}

async fn operate(site: &Site, act: Act) -> bool {
    let account = site.accounts.account_of("Ann@Example.org").await.unwrap().unwrap();
    site.accounts.operate(account, act).await.unwrap()
}

async fn try_sign_in(browser: &mut Browser, password: &str) -> Answer {
    browser.form("/account/sign-in", &[("email", ANN), ("password", password)]).await
}

/// The last letter to somebody who was told by the operator.
async fn told(site: &Site, words: &str) {
    let letters = site.letters().await;
    let found = letters.iter().filter(|letter| letter.contains(words) && letter.contains("/contact")).count();
    assert_eq!(found, 1, "{words}: {letters:?}");
}

async fn each_act(site: Site) {
    site.account(ANN, PASSWORD).await;
    let (secret, _) = site.enrol(ANN, PASSWORD).await;
    site.clock.advance(60);
    let tokens = site.login_api(ANN, PASSWORD, Some(&site.code(&secret, 0))).await;
    let seen = overview(&site).await;
    assert!(seen.factor_since.is_some() && seen.disabled_at.is_none());
    assert_eq!((seen.recovery_codes, seen.sessions, seen.api_clients, seen.waits), (10, 1, 1, 0));

    // A stranger's failures make wait where they come from, and the operator ends that.
    let mut browser = site.browser_at("198.51.100.7");
    for _ in 0..7 {
        try_sign_in(&mut browser, "a wrong password").await;
    }
    assert_eq!(try_sign_in(&mut browser, PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(overview(&site).await.waits, 1);
    assert!(operate(&site, Act::Unlock).await);
    assert_eq!(overview(&site).await.waits, 0);
    assert_eq!(browser.sign_in(ANN, PASSWORD).await.location.as_deref(), Some("/account/code"));
    told(&site, "without waiting").await;

    // Without the second factor the password is enough, and everybody was signed out.
    assert!(operate(&site, Act::ResetFactor).await);
    assert!(!operate(&site, Act::ResetFactor).await, "there is none any more");
    assert_eq!(site.account_of(&tokens).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.get("/account").await.location.as_deref(), Some("/account/sign-in"));
    let seen = overview(&site).await;
    assert_eq!((seen.factor_since, seen.recovery_codes, seen.sessions, seen.api_clients), (None, 0, 0, 0));
    assert_eq!(browser.sign_in(ANN, PASSWORD).await.location.as_deref(), Some("/account"));
    told(&site, "with its recovery codes").await;

    assert!(operate(&site, Act::SignOut).await);
    assert_eq!(browser.get("/account").await.location.as_deref(), Some("/account/sign-in"));
    told(&site, "signed out of your account").await;

    // Who knows the password is told why, others learn nothing, and no letter leads back in.
    browser.sign_in(ANN, PASSWORD).await;
    let tokens = site.login_api(ANN, PASSWORD, None).await;
    assert!(operate(&site, Act::Disable).await);
    assert!(!operate(&site, Act::Disable).await);
    assert!(overview(&site).await.disabled_at.is_some());
    assert_eq!(browser.get("/account").await.location.as_deref(), Some("/account/sign-in"));
    assert_eq!(site.account_of(&tokens).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(site.refresh(&tokens).await.0, StatusCode::UNAUTHORIZED);
    let refused = try_sign_in(&mut browser, PASSWORD).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.body.contains("was disabled"), "{}", refused.body);
    let wrong = try_sign_in(&mut browser, "a wrong password").await;
    assert!(wrong.status == StatusCode::UNAUTHORIZED && !wrong.body.contains("was disabled"));
    assert_eq!(site.try_login_api(ANN, PASSWORD, None).await.0, StatusCode::FORBIDDEN);
    assert_eq!(site.browser().form("/account/reset", &[("email", ANN)]).await.status, StatusCode::OK);
    assert!(site.links("/account/reset/new").await.is_empty());
    told(&site, "was disabled").await;
    assert!(operate(&site, Act::Enable).await);
    assert_eq!(browser.sign_in(ANN, PASSWORD).await.location.as_deref(), Some("/account"));
    told(&site, "no longer disabled").await;

    let sql = "SELECT entry FROM audit_entries WHERE entry LIKE '%\"operator\"%' ORDER BY position";
    let rows = site.store.read(Statement::new(sql, [])).await.unwrap();
    let entries: Vec<_> = rows.iter().map(|row| row.text(0).unwrap()).collect();
    for (act, times) in [
        ("account.unlock", 1),
        ("factor.reset", 1),
        ("session.end-all", 1),
        ("account.disable", 1),
        ("account.enable", 1),
        ("account.show", 5),
    ] {
        let found = entries.iter().filter(|entry| entry.contains(&format!("\"act\":\"{act}\""))).count();
        assert_eq!(found, times, "{act}: {entries:?}");
    }
    assert!(!entries.concat().contains("example"));
}

#[test]
fn each_act_of_the_operator_is_done_told_and_logged() {
    run(async {
        each_act(Site::new().await).await;
        each_act(Site::at(&server::shared().database(), [7; 32]).await).await;
    });
}
