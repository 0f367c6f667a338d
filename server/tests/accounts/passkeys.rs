//! Passkeys, by an authenticator in software: what is done with them, and what is refused. On both databases.

use aegis_server::{accounts::Role, store::Statement};
use axum::http::{StatusCode, header};
use serde_json::Value;

use crate::{
    ANN, OTHER,
    authenticator::Authenticator,
    record::{entries_of, told},
    server,
    site::{Answer, Browser, ORIGIN, PASSWORD, Site, run},
};

const BOB: &str = "bob@example.org";
const SIGN_IN: &str = "/account/sign-in";
const CODE: &str = "/account/code";
const PASSKEYS: &str = "/account/passkeys";

/// Runs a test on SQLite and on PostgreSQL, with an account there.
fn both(test: impl AsyncFn(Site)) {
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

async fn letters_with(site: &Site, text: &str) -> usize {
    site.letters().await.iter().filter(|letter| letter.contains(text)).count()
}

/// Asks for options as the script does, from a page.
async fn options(browser: &mut Browser, page: &str, path: &str, fields: &[(&str, &str)]) -> Value {
    json(&browser.post_from(page, path, fields).await)
}

async fn creation(browser: &mut Browser) -> Value {
    let fields = [("name", "Ann's key"), ("password", PASSWORD)];
    options(browser, PASSKEYS, "/account/passkeys/options", &fields).await
}

async fn finish(browser: &mut Browser, answer: &str) -> Answer {
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
async fn passkey_of(site: &Site, email: &str) -> (Authenticator, Vec<String>) {
    let mut browser = site.browser();
    browser.sign_in(email, PASSWORD).await;
    let (authenticator, page) = added(&mut browser).await;
    let codes =
        page.body.split("<code>").skip(1).map(|part| part.split("</code>").next().unwrap().to_owned());
    (authenticator, codes.collect())
}

async fn ask_sign_in(browser: &mut Browser) -> Value {
    options(browser, SIGN_IN, "/account/sign-in/passkey/options", &[]).await
}

async fn sign_in(browser: &mut Browser, answer: &str) -> Answer {
    browser.post_from(SIGN_IN, "/account/sign-in/passkey", &[("passkey", answer)]).await
}

async fn signs_in(browser: &mut Browser, authenticator: &mut Authenticator) -> Answer {
    let options = ask_sign_in(browser).await;
    sign_in(browser, &authenticator.get(&options)).await
}

fn is_refused(answer: &Answer, why: &str) {
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{why}");
    assert!(answer.body.contains("The passkey was not accepted"), "{why}");
}

fn leads_to(answer: &Answer, path: &str) {
    assert_eq!(
        (answer.status, answer.location.as_deref()),
        (StatusCode::SEE_OTHER, Some(path)),
        "{}",
        answer.body
    );
}

async fn ids(browser: &mut Browser) -> Vec<String> {
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
fn what_is_replayed_forged_or_for_something_else_is_refused() {
    both(async |site| {
        let (mut key, _) = passkey_of(&site, ANN).await;
        let mut browser = site.browser();
        // Replayed, by the same browser and by another.
        let asked = ask_sign_in(&mut browser).await;
        let answer = key.get(&asked);
        leads_to(&sign_in(&mut browser, &answer).await, "/account");
        is_refused(&sign_in(&mut browser, &answer).await, "replayed by its holder");
        is_refused(&sign_in(&mut site.browser(), &answer).await, "replayed by another");
        // Of a challenge that another browser was given: whoever makes somebody sign for them gains nothing.
        let asked = ask_sign_in(&mut site.browser()).await;
        is_refused(&sign_in(&mut site.browser(), &key.get(&asked)).await, "another's challenge");
        // Of a challenge that nobody was given.
        let mut browser = site.browser();
        key.challenge = Some("A".repeat(43));
        is_refused(&signs_in(&mut browser, &mut key).await, "an invented challenge");
        key.challenge = None;
        // Of an old one.
        let asked = ask_sign_in(&mut browser).await;
        site.clock.advance(361);
        is_refused(&sign_in(&mut browser, &key.get(&asked)).await, "an expired challenge");
        // Of one for something else: a new visitor has no session, so the purposes of the same holder are compared.
        let mut signed_in = site.browser();
        leads_to(&signs_in(&mut signed_in, &mut key).await, "/account");
        let asked = options(&mut signed_in, PASSKEYS, "/account/passkeys/proof", &[]).await;
        is_refused(&sign_in(&mut signed_in, &key.get(&asked)).await, "a challenge for a proof");
        // Of another page, another site, another person, and without one.
        for (why, change) in [
            ("another origin", (|key| key.origin = "https://evil.example".into()) as fn(&mut Authenticator)),
            ("another port", |key| key.origin = "http://localhost:8081".into()),
            ("another site", |key| key.rp_id = "evil.example".into()),
            ("a person who was not verified", |key| key.verifies = false),
            ("nobody's account", |key| key.handle = Some("AAAAAAAAAAAAAAAAAAAAAA".into())),
            ("an account that is not said", |key| key.handle = None),
        ] {
            let (mut key, mut browser) = (passkey_for_second_use(&site, &mut key), site.browser());
            change(&mut key);
            is_refused(&signs_in(&mut browser, &mut key).await, why);
            assert!(!browser.cookies.contains_key("aegis"), "{why}");
        }
        for garbage in ["", "{}", "null", "[]", "\"x\"", "{\"id\":\"\"}", &"[".repeat(5000)] {
            is_refused(&sign_in(&mut site.browser(), garbage).await, garbage);
        }
        site.clock.advance(3600);
        leads_to(&signs_in(&mut site.browser(), &mut key).await, "/account");
    });
}

/// The same passkey, as a thing that a test may bend.
fn passkey_for_second_use(site: &Site, key: &mut Authenticator) -> Authenticator {
    // Failures are counted; here they are not what is asked.
    site.clock.advance(1000);
    key.counter += 10;
    key.clone()
}

#[test]
fn a_copy_is_noticed_by_its_counter() {
    both(async |site| {
        let (mut key, _) = passkey_of(&site, ANN).await;
        let mut copy = key.clone();
        for _ in 0..3 {
            leads_to(&signs_in(&mut site.browser(), &mut key).await, "/account");
        }
        is_refused(&signs_in(&mut site.browser(), &mut copy).await, "counted back");
        assert_eq!(letters_with(&site, "there may be a copy").await, 1);
        let entries = entries_of(&site).await;
        assert_eq!(told(&entries).last().unwrap()[..2], ["passkey.copy", "stranger"]);
        copy.counter = key.counter - 1;
        is_refused(&signs_in(&mut site.browser(), &mut copy).await, "counted the same");
        // The owner is not locked out by it.
        leads_to(&signs_in(&mut site.browser(), &mut key).await, "/account");
        // Nor does anybody write letters to the owner who has not the key.
        let letters = site.letters().await.len();
        let mut forged = Authenticator::new(ORIGIN);
        (forged.counter, forged.handle) = (0, key.handle.clone());
        forged.pose_as(&key);
        is_refused(&signs_in(&mut site.browser(), &mut forged).await, "another's key");
        assert_eq!(site.letters().await.len(), letters);
    });
}

#[test]
fn one_answer_many_times_at_once_is_taken_once() {
    both(async |site| {
        let (mut key, _) = passkey_of(&site, ANN).await;
        let mut browser = site.browser();
        let asked = ask_sign_in(&mut browser).await;
        let answer = key.get(&asked);
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (mut browser, answer) = (browser.clone(), answer.clone());
                tokio::spawn(async move { sign_in(&mut browser, &answer).await.status })
            })
            .collect();
        let mut held = 0;
        for task in tasks {
            held += usize::from(task.await.unwrap() == StatusCode::SEE_OTHER);
        }
        assert_eq!(held, 1);
    });
}

#[test]
fn a_passkey_serves_its_own_account_alone() {
    both(async |site| {
        site.account(BOB, PASSWORD).await;
        let (mut anns, codes) = passkey_of(&site, ANN).await;
        let (mut bobs, _) = passkey_of(&site, BOB).await;
        // Bob's passkey after Ann's password, whatever it says of whose it is.
        for handle in [bobs.handle.clone(), anns.handle.clone(), None] {
            let mut browser = site.browser();
            browser.sign_in(ANN, PASSWORD).await;
            let asked = options(&mut browser, CODE, "/account/code/passkey/options", &[]).await;
            assert_eq!(asked["allowCredentials"][0]["id"], anns.name());
            bobs.handle = handle;
            let answer = bobs.get(&asked);
            is_refused(
                &browser.post_from(CODE, "/account/code/passkey", &[("passkey", &answer)]).await,
                "Bob's",
            );
            leads_to(&browser.get("/account").await, CODE);
            site.clock.advance(1000);
        }
        // Ann's is not added to Bob's account, in a new form or as it was.
        let mut bob = site.browser();
        let answer = {
            let mut browser = site.browser();
            leads_to(&signs_in(&mut browser, &mut anns).await, "/account");
            let options = creation(&mut browser).await;
            anns.create(&options)
        };
        bob.sign_in(BOB, PASSWORD).await;
        let asked = options(&mut bob, CODE, "/account/code/passkey/options", &[]).await;
        bobs.handle = None;
        let proof = bobs.get(&asked);
        leads_to(&bob.post_from(CODE, "/account/code/passkey", &[("passkey", &proof)]).await, "/account");
        is_refused(&finish(&mut bob, &answer).await, "a challenge of Ann's session");
        let asked = creation(&mut bob).await;
        let mut twice = anns.clone();
        is_refused(&finish(&mut bob, &twice.create(&asked)).await, "a credential that Ann has");
        // Nor does he see, rename or remove it.
        let mut ann = site.browser();
        leads_to(&signs_in(&mut ann, &mut anns).await, "/account");
        let id = ids(&mut ann).await.swap_remove(0);
        for path in ["change", "remove"] {
            let page = bob.get(&format!("/account/passkeys/{path}?item={id}")).await;
            assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        }
        let renamed = [("item", id.as_str()), ("name", "Bob's now")];
        let answer = bob.post_from(PASSKEYS, "/account/passkeys/rename", &renamed).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        let remove = [("item", id.as_str()), ("password", PASSWORD), ("code", codes[0].as_str())];
        let answer = bob.post_from(PASSKEYS, "/account/passkeys/remove", &remove).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(ids(&mut ann).await, [id]);
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
fn nobody_learns_who_has_a_passkey_and_guessing_is_slowed_down() {
    both(async |site| {
        let shape = |mut options: Value| {
            options["challenge"] = Value::Null;
            options
        };
        let before = shape(ask_sign_in(&mut site.browser()).await);
        let (mut key, _) = passkey_of(&site, ANN).await;
        assert_eq!(shape(ask_sign_in(&mut site.browser()).await), before);
        let mut wrong = Authenticator::new(ORIGIN);
        wrong.handle.clone_from(&key.handle);
        let unknown = signs_in(&mut site.browser(), &mut wrong).await;
        wrong.pose_as(&key);
        let forged = signs_in(&mut site.browser(), &mut wrong).await;
        let text = |answer: &Answer| {
            let token = answer.form_token();
            answer.body.replace(&token, "")
        };
        assert_eq!((unknown.status, text(&unknown)), (forged.status, text(&forged)));
        let mut tried = 0;
        while signs_in(&mut site.browser(), &mut wrong).await.status != StatusCode::TOO_MANY_REQUESTS {
            tried += 1;
            assert!(tried < 6, "guesses are not slowed down");
        }
        // Elsewhere the owner goes on.
        leads_to(&signs_in(&mut site.browser_at("203.0.113.9"), &mut key).await, "/account");
        // Without a session nobody is asked for a factor or a proof, and before the factor there is no proof.
        let mut browser = site.browser_at("203.0.113.10");
        browser.extra.push(("accept", "application/json"));
        for path in ["/account/code/passkey/options", "/account/passkeys/proof"] {
            let answer = browser.post_from(SIGN_IN, path, &[]).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
        }
        browser.sign_in(ANN, PASSWORD).await;
        let answer = browser.post_from(CODE, "/account/passkeys/proof", &[]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
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
        for _ in 0..20 {
            added(&mut browser).await;
        }
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
