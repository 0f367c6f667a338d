//! Tokens of the API. What a forged token can be is tried on the verifier itself, in its own tests.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::{
    ANN,
    site::{PASSWORD, Site, run},
};

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
