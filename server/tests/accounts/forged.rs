//! Answers of authenticators that are replayed, forged, copied, or somebody else's. On both databases.

use axum::http::{StatusCode, header};
use serde_json::Value;

use crate::{
    ANN,
    authenticator::Authenticator,
    passkeys::{
        CODE, PASSKEYS, SIGN_IN, ask_sign_in, both, creation, finish, ids, is_refused, leads_to,
        letters_with, options, passkey_of, sign_in, signs_in,
    },
    record::{entries_of, told},
    site::{Answer, ORIGIN, PASSWORD, Site},
};

const BOB: &str = "bob@example.org";

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
            let (mut key, mut browser) = (later_copy(&site, &mut key), site.browser());
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
fn later_copy(site: &Site, key: &mut Authenticator) -> Authenticator {
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
