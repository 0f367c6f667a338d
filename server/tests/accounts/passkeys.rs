//! Passkeys, by an authenticator in software: what is done with them. On both databases.

use aegis_server::{
    accounts::{Act, Role},
    store::Statement,
};
use axum::http::{StatusCode, header};
use serde_json::Value;

use crate::{
    ANN, OTHER,
    authenticator::Authenticator,
    record::{entries_of, told},
    server,
    site::{Answer, Browser, ORIGIN, PASSWORD, Site, run},
};

pub(crate) const SIGN_IN: &str = "/account/sign-in";
pub(crate) const CODE: &str = "/account/code";
pub(crate) const PASSKEYS: &str = "/account/passkeys";

/// Runs a test on SQLite and on PostgreSQL, with an account there.
pub(crate) fn both(test: impl AsyncFn(Site)) {
    run(async {
        for site in [Site::new().await, Site::at(&server::shared().database(), [7; 32]).await] {
            site.account(ANN, PASSWORD).await;
            test(site).await;
        }
    });
}

fn json(answer: &Answer) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    serde_json::from_str(&answer.body).unwrap()
}

pub(crate) async fn letters_with(site: &Site, text: &str) -> usize {
    site.letters().await.iter().filter(|letter| letter.contains(text)).count()
}

/// Asks for options as the script does, from a page.
pub(crate) async fn options(browser: &mut Browser, page: &str, path: &str, fields: &[(&str, &str)]) -> Value {
    json(&browser.post_from(page, path, fields).await)
}

pub(crate) async fn creation(browser: &mut Browser) -> Value {
    let fields = [("name", "Ann's key"), ("password", PASSWORD)];
    options(browser, PASSKEYS, "/account/passkeys/options", &fields).await
}

pub(crate) async fn finish(browser: &mut Browser, answer: &str) -> Answer {
    browser.post_from(PASSKEYS, PASSKEYS, &[("name", "Ann's key"), ("passkey", answer)]).await
}

/// Adds a passkey to whoever is signed in, and answers the page that came.
async fn added(browser: &mut Browser) -> (Authenticator, Answer) {
    let options = creation(browser).await;
    let mut authenticator = Authenticator::new(ORIGIN);
    let answer = authenticator.create(&options);
    let page = finish(browser, &answer).await;
    (authenticator, page)
}

/// A passkey of an account, added by a browser of its own; and the recovery codes.
pub(crate) async fn passkey_of(site: &Site, email: &str) -> (Authenticator, Vec<String>) {
    let mut browser = site.browser();
    browser.sign_in(email, PASSWORD).await;
    let (authenticator, page) = added(&mut browser).await;
    let codes =
        page.body.split("<code>").skip(1).map(|part| part.split("</code>").next().unwrap().to_owned());
    (authenticator, codes.collect())
}

pub(crate) async fn ask_sign_in(browser: &mut Browser) -> Value {
    options(browser, SIGN_IN, "/account/sign-in/passkey/options", &[]).await
}

pub(crate) async fn sign_in(browser: &mut Browser, answer: &str) -> Answer {
    browser.post_from(SIGN_IN, "/account/sign-in/passkey", &[("passkey", answer)]).await
}

pub(crate) async fn signs_in(browser: &mut Browser, authenticator: &mut Authenticator) -> Answer {
    let options = ask_sign_in(browser).await;
    sign_in(browser, &authenticator.get(&options)).await
}

pub(crate) fn is_refused(answer: &Answer, why: &str) {
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{why}");
    assert!(answer.body.contains("The passkey was not accepted"), "{why}");
}

pub(crate) fn leads_to(answer: &Answer, path: &str) {
    assert_eq!(
        (answer.status, answer.location.as_deref()),
        (StatusCode::SEE_OTHER, Some(path)),
        "{}",
        answer.body
    );
}

pub(crate) async fn ids(browser: &mut Browser) -> Vec<String> {
    let page = browser.get(PASSKEYS).await.body;
    let links = page.split("/account/passkeys/change?item=").skip(1);
    links.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn a_passkey_is_added_used_renamed_and_removed() {
    both(async |site| {
        let mut elsewhere = site.browser();
        elsewhere.sign_in(ANN, PASSWORD).await;
        let mut browser = site.browser();
        browser.sign_in(ANN, PASSWORD).await;
        let options = creation(&mut browser).await;
        assert_eq!((&options["rp"]["id"], &options["attestation"]), (&"localhost".into(), &"none".into()));
        let selection = &options["authenticatorSelection"];
        assert_eq!(
            (&selection["residentKey"], &selection["userVerification"]),
            (&"required".into(), &"required".into())
        );
        let algorithms: Vec<_> =
            options["pubKeyCredParams"].as_array().unwrap().iter().map(|one| &one["alg"]).collect();
        assert_eq!(algorithms, [-7, -8, -257]);
        assert_eq!(options["excludeCredentials"], Value::Array(Vec::new()));
        let mut authenticator = Authenticator::new(ORIGIN);
        let answer = authenticator.create(&options);
        let page = finish(&mut browser, &answer).await;
        assert_eq!(
            (page.status, page.body.matches("<code>").count()),
            (StatusCode::OK, 10),
            "the first brings codes"
        );
        leads_to(&elsewhere.get("/account").await, SIGN_IN);
        assert_eq!(letters_with(&site, "A passkey was added").await, 1);

        site.clock.advance(1);
        // The second brings none, ends nobody's session, and the first is not made again.
        let options = creation(&mut browser).await;
        assert_eq!(options["excludeCredentials"][0]["id"], authenticator.name());
        assert_eq!(options["excludeCredentials"][0]["transports"], serde_json::json!(["internal"]));
        let (_, page) = added(&mut browser).await;
        leads_to(&page, PASSKEYS);

        // As a second factor.
        leads_to(&elsewhere.sign_in(ANN, PASSWORD).await, CODE);
        leads_to(&elsewhere.get("/account").await, CODE);
        let asked = self::options(&mut elsewhere, CODE, "/account/code/passkey/options", &[]).await;
        assert_eq!(asked["allowCredentials"].as_array().unwrap().len(), 2);
        let passed = elsewhere
            .post_from(CODE, "/account/code/passkey", &[("passkey", &authenticator.get(&asked))])
            .await;
        leads_to(&passed, "/account");
        assert!(elsewhere.get("/account").await.body.contains("A passkey, with 10 recovery codes left"));

        // Without a password; and to where it was wanted to go.
        let mut third = site.browser();
        let asked = ask_sign_in(&mut third).await;
        assert_eq!(asked["allowCredentials"], Value::Array(Vec::new()), "whose it is is not known before");
        let fields = [("passkey", &*authenticator.get(&asked)), ("next", "/account/sessions")];
        leads_to(&third.post_from(SIGN_IN, "/account/sign-in/passkey", &fields).await, "/account/sessions");
        assert_eq!(third.get("/account").await.status, StatusCode::OK);

        // Renamed, by its owner alone.
        let id = ids(&mut browser).await.swap_remove(0);
        let change = format!("/account/passkeys/change?item={id}");
        let renamed = [("item", id.as_str()), ("name", "<b>My key</b>")];
        leads_to(&browser.post_from(&change, "/account/passkeys/rename", &renamed).await, PASSKEYS);
        assert!(browser.get(PASSKEYS).await.body.contains("&#60;b&#62;My key"));
        let unnamed = [("item", id.as_str()), ("name", "\u{7}")];
        let again = browser.post_from(&change, "/account/passkeys/rename", &unnamed).await;
        assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);

        // Removed, by itself as the proof.
        let page = format!("/account/passkeys/remove?item={id}");
        let wrong = [("item", id.as_str()), ("password", OTHER), ("code", "")];
        let refused = browser.post_from(&page, "/account/passkeys/remove", &wrong).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        let asked = self::options(&mut browser, &page, "/account/passkeys/proof", &[]).await;
        let proof = authenticator.get(&asked);
        let fields = [("item", id.as_str()), ("passkey", &proof)];
        leads_to(&browser.post_from(&page, "/account/passkeys/remove/passkey", &fields).await, PASSKEYS);
        assert_eq!(letters_with(&site, "passkey of your account was removed").await, 1);
        is_refused(&signs_in(&mut site.browser(), &mut authenticator).await, "removed");

        let entries = entries_of(&site).await;
        let acts: Vec<_> =
            told(&entries).into_iter().map(|[act, ..]| act).filter(|act| act.contains("passkey")).collect();
        assert_eq!(acts, ["passkey.add", "passkey.add", "passkey.remove"]);
        let by_passkey = entries.iter().filter(|one| one["detail"]["passkey"] == 1).count();
        assert_eq!(by_passkey, 2);
    });
}

#[test]
fn recovery_codes_stand_in_for_a_passkey_and_end_with_the_last_factor() {
    both(async |site| {
        let (_, codes) = passkey_of(&site, ANN).await;
        let (status, body) = site.try_login_api(ANN, PASSWORD, None).await;
        assert_eq!((status, body["field"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("code")));
        let (status, _) = site.try_login_api(ANN, PASSWORD, Some("123456")).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        site.login_api(ANN, PASSWORD, Some(&codes[0])).await;
        let mut browser = site.browser();
        browser.sign_in(ANN, PASSWORD).await;
        leads_to(&browser.form(CODE, &[("code", &codes[1])]).await, "/account");
        let id = ids(&mut browser).await.swap_remove(0);
        let page = format!("/account/passkeys/remove?item={id}");
        let fields = [("item", id.as_str()), ("password", PASSWORD), ("code", codes[2].as_str())];
        leads_to(&browser.post_from(&page, "/account/passkeys/remove", &fields).await, PASSKEYS);
        leads_to(&site.browser().sign_in(ANN, PASSWORD).await, "/account");
        let left = site.store.read(Statement::new("SELECT digest FROM recovery_codes", [])).await.unwrap();
        assert!(left.is_empty());
        // With an authenticator beside it they stay, and the passkey removes the authenticator.
        let (_, codes) = site.enrol_with(&mut browser, PASSWORD).await;
        let (mut key, page) = added(&mut browser).await;
        leads_to(&page, PASSKEYS);
        let here = "/account/second-factor";
        let asked = options(&mut browser, here, "/account/passkeys/proof", &[]).await;
        let proof = key.get(&asked);
        let gone =
            browser.post_from(here, "/account/second-factor/remove/passkey", &[("passkey", &proof)]).await;
        leads_to(&gone, "/account");
        leads_to(&browser.sign_in(ANN, PASSWORD).await, CODE);
        leads_to(&browser.form(CODE, &[("code", &codes[9])]).await, "/account");
        // And it deletes the account.
        let asked = options(&mut browser, "/account/delete", "/account/passkeys/proof", &[]).await;
        let proof = key.get(&asked);
        let gone =
            browser.post_from("/account/delete", "/account/delete/passkey", &[("passkey", &proof)]).await;
        leads_to(&gone, SIGN_IN);
        is_refused(&signs_in(&mut site.browser(), &mut key).await, "with the account");
    });
}

#[test]
fn a_passkey_is_the_second_factor_that_an_owner_needs() {
    both(async |site| {
        let owner = "owner@example.org";
        let once = site.accounts.make_owner(owner).await.unwrap();
        let mut browser = site.browser();
        browser.sign_in(owner, once.reveal()).await;
        browser.form("/account/password", &[("password", once.reveal()), ("new_password", PASSWORD)]).await;
        leads_to(&browser.get("/account").await, "/account/second-factor");
        let (mut key, page) = added(&mut browser).await;
        assert_eq!(page.status, StatusCode::OK);
        let identity = site.accounts.identify(&browser.session()).await.unwrap().unwrap();
        assert!(identity.require(Role::Owner).is_ok());
        // Made again, the passkeys of before are gone.
        site.accounts.make_owner(owner).await.unwrap();
        is_refused(&signs_in(&mut site.browser(), &mut key).await, "of before");
    });
}

#[test]
fn challenges_are_swept_and_the_password_is_asked_for_before_a_passkey_is_made() {
    both(async |site| {
        let mut browser = site.browser();
        browser.sign_in(ANN, PASSWORD).await;
        let wrong = [("name", "x"), ("password", OTHER)];
        let answer = browser.post_from(PASSKEYS, "/account/passkeys/options", &wrong).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        let rows = || site.store.read(Statement::new("SELECT digest FROM passkey_challenges", []));
        assert!(rows().await.unwrap().is_empty());
        let asked = creation(&mut browser).await;
        assert_eq!(rows().await.unwrap().len(), 1);
        // A digest is stored, never the challenge.
        let challenge = asked["challenge"].as_str().unwrap();
        let plain = data_encoding::BASE64URL_NOPAD.decode(challenge.as_bytes()).unwrap();
        assert_ne!(rows().await.unwrap()[0].blob(0).unwrap(), plain);
        site.clock.advance(361);
        is_refused(&finish(&mut browser, &Authenticator::new(ORIGIN).create(&asked)).await, "expired");
        site.accounts.tidy().await.unwrap();
        assert!(rows().await.unwrap().is_empty());
        added(&mut browser).await;
        let copy = "INSERT INTO passkeys (id, account, credential, public_key, counter, backup_eligible, backed_up, \
            transports, name, created_at) SELECT $1, account, $2, public_key, counter, backup_eligible, backed_up, \
            transports, $3, created_at FROM passkeys WHERE name = $4";
        let copies = (0..19_u8).map(|number| {
            let values = [[number; 16].into(), [number; 16].into(), "a copy".into(), "Ann's key".into()];
            Statement::new(copy, values).expecting(1)
        });
        site.store.write(copies.collect()).await.unwrap();
        let fields = [("name", "one more"), ("password", PASSWORD)];
        let full = browser.post_from(PASSKEYS, "/account/passkeys/options", &fields).await;
        assert_eq!(full.status, StatusCode::FORBIDDEN);
    });
}

#[test]
fn a_script_is_allowed_where_a_passkey_can_be_used_and_nowhere_else() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        let mut browser = site.browser();
        let policy =
            |answer: &Answer| answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        let scripted = |answer: &Answer| {
            let allowed = policy(answer).contains("script-src 'self'; connect-src 'self'");
            assert_eq!(allowed, answer.body.contains("<script src=\"/assets/passkey."), "{}", policy(answer));
            assert!(!policy(answer).contains("unsafe"));
            allowed
        };
        assert!(scripted(&browser.get(SIGN_IN).await));
        for path in ["/account/register", "/account/reset", "/account/none"] {
            assert!(!scripted(&browser.get(path).await), "{path}");
        }
        browser.sign_in(ANN, PASSWORD).await;
        for path in ["/account", "/account/sessions", "/account/delete", "/account/second-factor"] {
            assert!(!scripted(&browser.get(path).await), "{path}");
        }
        assert!(scripted(&browser.get(PASSKEYS).await));
        let (_, page) = added(&mut browser).await;
        assert!(!scripted(&page), "the page of recovery codes");
        assert!(scripted(&browser.get("/account/delete").await));
        // A site that is reached by a number has none, and says so.
        let site = Site::with_origin("http://127.0.0.1:8080").await;
        site.account(ANN, PASSWORD).await;
        let mut browser = site.browser();
        assert!(!scripted(&browser.get(SIGN_IN).await));
        let refused = browser.post_from(SIGN_IN, "/account/sign-in/passkey/options", &[]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        browser.sign_in(ANN, PASSWORD).await;
        assert!(browser.get(PASSKEYS).await.body.contains("TLS and a name"));
    });
}

#[test]
fn whoever_comes_by_the_number_of_this_machine_is_led_to_its_name() {
    run(async {
        let site = Site::new().await;
        let mut browser = site.browser();
        browser.host = Some("127.0.0.1:8080".into());
        let answer = browser.get("/account/sign-in?next=/account/sessions").await;
        assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(
            answer.location.as_deref(),
            Some("http://localhost:8080/account/sign-in?next=/account/sessions")
        );
    });
}

#[test]
fn the_operator_takes_passkeys_away_and_a_disabled_account_has_no_use_of_them() {
    both(async |site| {
        let (mut authenticator, _) = passkey_of(&site, ANN).await;
        let account = site.accounts.account_of(ANN).await.unwrap().unwrap();
        assert!(site.accounts.operate(account, Act::Disable).await.unwrap());
        is_refused(&signs_in(&mut site.browser(), &mut authenticator).await, "disabled");
        assert!(site.accounts.operate(account, Act::Enable).await.unwrap());
        leads_to(&signs_in(&mut site.browser(), &mut authenticator).await, "/account");

        assert_eq!(site.accounts.overview(account).await.unwrap().unwrap().passkeys, 1);
        assert!(site.accounts.operate(account, Act::ResetFactor).await.unwrap());
        is_refused(&signs_in(&mut site.browser(), &mut authenticator).await, "taken away");
        leads_to(&site.browser().sign_in(ANN, PASSWORD).await, "/account");
        assert!(
            !site.accounts.operate(account, Act::ResetFactor).await.unwrap(),
            "nothing is left to take away"
        );
    });
}
