//! Tokens of the API by a passkey. On both databases.

use aegis_server::accounts::Act;
use axum::http::{StatusCode, header};
use serde_json::{Value, json};

use crate::{
    ANN,
    authenticator::Authenticator,
    passkeys::{both, leads_to, passkey_of},
    record::entries_of,
    site::{Answer, Browser, PASSWORD, Site},
};

const BOB: &str = "bob@example.org";
const BEGIN: &str = "/api/v1/auth/passkey/begin";
const FINISH: &str = "/api/v1/auth/passkey/finish";

pub(crate) fn json_of(answer: &Answer) -> Value {
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    serde_json::from_str(&answer.body).unwrap()
}

pub(crate) async fn begin(client: &mut Browser) -> Value {
    let answer = client.json(BEGIN, &json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    json_of(&answer)
}

pub(crate) async fn finish(client: &mut Browser, ceremony: &Value, answer: &str) -> Answer {
    let credential: Value = serde_json::from_str(answer).unwrap();
    client.json(FINISH, &json!({"ceremony": ceremony, "credential": credential})).await
}

/// The whole ceremony.
pub(crate) async fn signs_in(client: &mut Browser, key: &mut Authenticator) -> Answer {
    let begun = begin(client).await;
    finish(client, &begun["ceremony"], &key.get(&begun["options"])).await
}

pub(crate) fn tokens(answer: &Answer) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    json_of(answer)
}

/// The same words, whatever is wrong.
pub(crate) fn is_denied(answer: &Answer, why: &str) {
    let problem = json!({
        "code": "unauthenticated", "title": "Nobody is signed in", "status": 401,
        "detail": "The passkey was not accepted; try again, or go on without it",
    });
    assert_eq!((answer.status, json_of(answer)), (StatusCode::UNAUTHORIZED, problem), "{why}");
    assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer");
}

#[test]
fn an_account_whose_only_second_factor_is_a_passkey_gets_tokens() {
    both(async |site| {
        let (mut key, _) = passkey_of(&site, ANN).await;
        let refused = site.try_login_api(ANN, PASSWORD, None).await;
        assert_eq!((refused.0, &refused.1["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("code")));
        let hashes = site.accounts.hashes();
        let mut client = site.browser();
        let begun = begin(&mut client).await;
        let options = &begun["options"];
        assert_eq!(
            (&options["rpId"], &options["userVerification"]),
            (&json!("localhost"), &json!("required"))
        );
        assert_eq!(options["allowCredentials"], json!([]), "whose it is is not known before");
        assert_eq!((&options["timeout"], &begun["expires_in"]), (&json!(300_000), &json!(360)));
        let got = tokens(&finish(&mut client, &begun["ceremony"], &key.get(options)).await);
        assert!(client.cookies.is_empty(), "a session of browsers is not begun");
        assert_eq!(site.accounts.hashes(), hashes, "no password is computed");
        let (status, account) = site.account_of(&got).await;
        assert_eq!((status, &account["email"]), (StatusCode::OK, &json!(ANN)));
        assert_eq!(account["second_factor"], true);
        assert_eq!(site.refresh(&got).await.0, StatusCode::OK);
        // In the form that a sign-in by password has.
        site.account(BOB, PASSWORD).await;
        let other = site.login_api(BOB, PASSWORD, None).await;
        let names = |tokens: &Value| tokens.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!((names(&got), &got["expires_in"]), (names(&other), &other["expires_in"]));

        let entries = entries_of(&site).await;
        let by_key = |one: &&Value| one["detail"] == json!({"kind": "api", "passkey": 1});
        let found: Vec<_> = entries.iter().filter(by_key).collect();
        assert_eq!((found.len(), &found[0]["act"]), (1, &json!("session.start")));
        // What ends sessions ends these tokens.
        let got = tokens(&signs_in(&mut client, &mut key).await);
        site.accounts.logout_everywhere(site.id_of(&got).await).await.unwrap();
        assert_eq!(site.account_of(&got).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(site.refresh(&got).await.0, StatusCode::UNAUTHORIZED);
    });
}

#[test]
fn fields_that_are_unknown_missing_or_no_bytes_are_refused() {
    both(async |site| {
        let (mut key, _) = passkey_of(&site, ANN).await;
        let mut client = site.browser();
        for body in [json!({"email": ANN}), json!([]), json!(null), json!("x")] {
            assert_eq!(client.json(BEGIN, &body).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        }
        let begun = begin(&mut client).await;
        let answer: Value = serde_json::from_str(&key.get(&begun["options"])).unwrap();
        let good = json!({"ceremony": begun["ceremony"], "credential": answer});
        let with = |pointer: &str, name: &str, value: Value| {
            let mut body = good.clone();
            body.pointer_mut(pointer).unwrap()[name] = value;
            body
        };
        let without = |pointer: &str, name: &str| {
            let mut body = good.clone();
            body.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(name);
            body
        };
        for body in [
            with("", "code", json!("123456")),
            with("", "ceremony", json!(1)),
            with("", "credential", json!("x")),
            with("", "credential", json!(["AA", "AA", "AA", "AA", null])),
            with("/credential", "type", json!("public-key")),
            with("/credential", "id", json!("AA==")),
            with("/credential", "signature", json!("+/")),
            with("/credential", "signature", json!(null)),
            without("", "ceremony"),
            without("", "credential"),
            without("/credential", "clientDataJSON"),
            without("/credential", "authenticatorData"),
        ] {
            let refused = client.json(FINISH, &body).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
            assert_eq!(json_of(&refused)["code"], "invalid_field");
        }
        // Nothing of it used the challenge up.
        tokens(&client.json(FINISH, &good).await);
        // A site that is reached by a number has none, and says so.
        let site = Site::with_origin("http://127.0.0.1:8080").await;
        assert_eq!(site.browser().json(BEGIN, &json!({})).await.status, StatusCode::FORBIDDEN);
        let refused = site.browser().json(FINISH, &good).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
    });
}

#[test]
fn a_disabled_account_and_a_passkey_that_was_taken_away_get_no_tokens() {
    both(async |site| {
        let (mut key, _) = passkey_of(&site, ANN).await;
        let mut client = site.browser();
        let account = site.accounts.account_of(ANN).await.unwrap().unwrap();
        assert!(site.accounts.operate(account, Act::Disable).await.unwrap());
        is_denied(&signs_in(&mut client, &mut key).await, "disabled");
        assert!(site.accounts.operate(account, Act::Enable).await.unwrap());
        let got = tokens(&signs_in(&mut client, &mut key).await);
        assert!(site.accounts.operate(account, Act::ResetFactor).await.unwrap());
        is_denied(&signs_in(&mut client, &mut key).await, "taken away");
        assert_eq!(site.account_of(&got).await.0, StatusCode::UNAUTHORIZED, "its tokens ended with it");
        leads_to(&site.browser().sign_in(ANN, PASSWORD).await, "/account");
    });
}
