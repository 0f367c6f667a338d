//! Answers to the API that are replayed, forged, copied, or somebody else's. On both databases.

use aegis_server::store::Statement;
use axum::http::{StatusCode, header};
use serde_json::Value;

use crate::{
    ANN,
    authenticator::Authenticator,
    passkeys::{ask_sign_in, both, is_refused, letters_with, passkey_of, sign_in},
    passkeys_api::{begin, finish, is_denied, json_of, signs_in, tokens},
    record::{entries_of, told},
    site::{ORIGIN, PASSWORD},
};

const BOB: &str = "bob@example.org";

#[test]
fn a_challenge_serves_its_purpose_alone_even_in_the_right_hands() {
    both(async |site| {
        let (mut key, _) = passkey_of(&site, ANN).await;
        let (mut client, mut browser) = (site.browser(), site.browser());
        let begun = begin(&mut client).await;
        let asked = ask_sign_in(&mut browser).await;
        let change = async |sql| site.store.write(vec![Statement::new(sql, []).expecting(1)]).await.unwrap();
        change(
            "UPDATE passkey_challenges SET holder = (SELECT holder FROM passkey_challenges WHERE purpose = 'tokens') \
             WHERE purpose = 'sign-in'",
        )
        .await;
        is_denied(
            &finish(&mut client, &begun["ceremony"], &key.get(&asked)).await,
            "for a sign-in to the site",
        );
        change("UPDATE passkey_challenges SET purpose = 'tokens' WHERE purpose = 'sign-in'").await;
        tokens(&finish(&mut client, &begun["ceremony"], &key.get(&asked)).await);
    });
}

#[test]
fn a_ceremony_is_once_for_minutes_and_for_whoever_began_it() {
    both(async |site| {
        let (mut key, _) = passkey_of(&site, ANN).await;
        let mut client = site.browser();
        let begun = begin(&mut client).await;
        let answer = key.get(&begun["options"]);
        tokens(&finish(&mut client, &begun["ceremony"], &answer).await);
        is_denied(&finish(&mut client, &begun["ceremony"], &answer).await, "replayed");
        is_denied(
            &finish(&mut site.browser_at("203.0.113.9"), &begun["ceremony"], &answer).await,
            "elsewhere",
        );
        // Of a challenge that somebody else was given: whoever makes a person sign for them, or sees an answer, gains nothing.
        let (mine, theirs) = (begin(&mut client).await, begin(&mut client).await);
        is_denied(
            &finish(&mut client, &mine["ceremony"], &key.get(&theirs["options"])).await,
            "another's challenge",
        );
        for invented in ["", "A", &"A".repeat(43), &"ä".repeat(43), &"A".repeat(5000)] {
            let begun = begin(&mut client).await;
            let answer = key.get(&begun["options"]);
            is_denied(&finish(&mut client, &invented.into(), &answer).await, "an invented ceremony");
        }
        let begun = begin(&mut client).await;
        key.challenge = Some("A".repeat(43));
        is_denied(
            &finish(&mut client, &begun["ceremony"], &key.get(&begun["options"])).await,
            "an invented challenge",
        );
        key.challenge = None;
        let begun = begin(&mut client).await;
        site.clock.advance(361);
        is_denied(
            &finish(&mut client, &begun["ceremony"], &key.get(&begun["options"])).await,
            "an expired one",
        );
        // What the site asks is not for the API, and the other way round.
        let mut browser = site.browser();
        let asked = ask_sign_in(&mut browser).await;
        let begun = begin(&mut client).await;
        is_denied(
            &finish(&mut client, &begun["ceremony"], &key.get(&asked)).await,
            "a challenge of the site",
        );
        is_refused(&sign_in(&mut browser, &key.get(&begun["options"])).await, "a challenge of the API");
        tokens(&signs_in(&mut client, &mut key).await);

        // Digests are stored, never what was handed out; and for a time.
        let begun = begin(&mut client).await;
        let rows = || site.store.read(Statement::new("SELECT digest, holder FROM passkey_challenges", []));
        for row in rows().await.unwrap() {
            for name in [&begun["ceremony"], &begun["options"]["challenge"]] {
                let plain = data_encoding::BASE64URL_NOPAD.decode(name.as_str().unwrap().as_bytes()).unwrap();
                let holds = |stored: &[u8]| stored.windows(plain.len()).any(|part| part == plain);
                assert!(!holds(row.blob(0).unwrap()) && !holds(row.blob(1).unwrap()));
            }
        }
        site.clock.advance(361);
        site.accounts.tidy().await.unwrap();
        assert!(rows().await.unwrap().is_empty());
    });
}

#[test]
fn answers_of_another_page_site_or_person_are_refused() {
    both(async |site| {
        site.account(BOB, PASSWORD).await;
        let (mut anns, _) = passkey_of(&site, ANN).await;
        let (bobs, _) = passkey_of(&site, BOB).await;
        let mut client = site.browser();
        for (why, change) in [
            (
                "another origin",
                (|key, _| key.origin = "https://evil.example".into())
                    as fn(&mut Authenticator, &Authenticator),
            ),
            ("another port", |key, _| key.origin = "http://localhost:8081".into()),
            ("another site", |key, _| key.rp_id = "evil.example".into()),
            ("a person who was not verified", |key, _| key.verifies = false),
            ("nobody's account", |key, _| key.handle = Some("AAAAAAAAAAAAAAAAAAAAAA".into())),
            ("an account that is not said", |key, _| key.handle = None),
            ("Bob's account by Ann's passkey", |key, bobs| key.handle.clone_from(&bobs.handle)),
            ("Ann's key by the name of Bob's", |key, bobs| key.pose_as(bobs)),
            ("Bob's name and account, Ann's key", |key, bobs| {
                key.pose_as(bobs);
                key.handle.clone_from(&bobs.handle);
            }),
        ] {
            // Failures are counted; here they are not what is asked.
            site.clock.advance(1000);
            anns.counter += 10;
            let mut key = anns.clone();
            change(&mut key, &bobs);
            is_denied(&signs_in(&mut client, &mut key).await, why);
        }
        site.clock.advance(1000);
        anns.counter += 10;
        let got = tokens(&signs_in(&mut client, &mut anns).await);
        assert_eq!(site.account_of(&got).await.1["email"], ANN);
    });
}

#[test]
fn nobody_learns_who_has_a_passkey_and_guessing_through_the_api_is_slowed_down() {
    both(async |site| {
        let shape = |mut begun: Value| {
            begun["ceremony"] = Value::Null;
            begun["options"]["challenge"] = Value::Null;
            begun
        };
        let before = shape(begin(&mut site.browser()).await);
        let (mut key, _) = passkey_of(&site, ANN).await;
        assert_eq!(shape(begin(&mut site.browser()).await), before);
        let mut wrong = Authenticator::new(ORIGIN);
        wrong.handle.clone_from(&key.handle);
        is_denied(&signs_in(&mut site.browser(), &mut wrong).await, "a passkey that nobody has");
        wrong.pose_as(&key);
        is_denied(&signs_in(&mut site.browser(), &mut wrong).await, "a passkey of another key");
        let mut tried = 0;
        let late = loop {
            let answer = signs_in(&mut site.browser(), &mut wrong).await;
            if answer.status == StatusCode::TOO_MANY_REQUESTS {
                break answer;
            }
            tried += 1;
            assert!(tried < 6, "guesses are not slowed down");
        };
        assert!(late.headers.contains_key(header::RETRY_AFTER));
        assert_eq!(json_of(&late)["code"], "rate_limited");
        // The site counts the same guesses, and elsewhere the owner goes on.
        let mut browser = site.browser();
        let asked = ask_sign_in(&mut browser).await;
        assert_eq!(sign_in(&mut browser, &wrong.get(&asked)).await.status, StatusCode::TOO_MANY_REQUESTS);
        tokens(&signs_in(&mut site.browser_at("203.0.113.9"), &mut key).await);
    });
}

#[test]
fn a_copy_is_noticed_and_one_answer_many_times_at_once_is_taken_once() {
    both(async |site| {
        let (mut key, _) = passkey_of(&site, ANN).await;
        let mut copy = key.clone();
        let mut client = site.browser();
        for _ in 0..3 {
            tokens(&signs_in(&mut client, &mut key).await);
        }
        is_denied(&signs_in(&mut client, &mut copy).await, "counted back");
        assert_eq!(letters_with(&site, "there may be a copy").await, 1);
        assert_eq!(told(&entries_of(&site).await).last().unwrap()[..2], ["passkey.copy", "stranger"]);

        let begun = begin(&mut client).await;
        let answer = key.get(&begun["options"]);
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (mut client, ceremony, answer) =
                    (client.clone(), begun["ceremony"].clone(), answer.clone());
                tokio::spawn(async move { finish(&mut client, &ceremony, &answer).await.status })
            })
            .collect();
        let mut held = 0;
        for task in tasks {
            held += usize::from(task.await.unwrap() == StatusCode::OK);
        }
        assert_eq!(held, 1);
    });
}
