//! What of accounts is in the audit log, and what is not.

use aegis_server::{accounts::Role, audit, store::Statement};
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::{
    ANN, OTHER, server,
    site::{PASSWORD, Site, run},
};

/// The entries of the audit log, which must be good.
pub(crate) async fn entries_of(site: &Site) -> Vec<Value> {
    let verdict = audit::verify(&*site.store, site.log.verifier(), &[]).await.unwrap();
    assert!(verdict.is_good(), "{verdict}");
    let sql = "SELECT entry FROM audit_entries ORDER BY position";
    let rows = site.store.read(Statement::new(sql, [])).await.unwrap();
    rows.iter().map(|row| serde_json::from_str(row.text(0).unwrap()).unwrap()).collect()
}

/// Act, actor and subject of each entry.
pub(crate) fn told(entries: &[Value]) -> Vec<[&str; 3]> {
    entries.iter().map(|one| ["act", "actor", "subject"].map(|name| one[name].as_str().unwrap())).collect()
}

fn acts(entries: &[Value]) -> Vec<&str> {
    told(entries).into_iter().map(|[act, ..]| act).collect()
}

async fn everything(site: Site) {
    site.everything_once().await;
    let entries = entries_of(&site).await;
    let expected = [
        "account.create",
        "session.start",
        "factor.set",
        "session.end",
        "session.start",
        "factor.remove",
        "session.start",
        "account.delete",
    ];
    assert_eq!(acts(&entries), expected);
    let one = told(&entries)[0][1];
    assert!(one.starts_with("account:") && one.len() == 40, "{one}");
    assert!(told(&entries).iter().all(|[_, actor, subject]| *actor == one && *subject == one));
    let all = serde_json::to_string(&entries).unwrap();
    assert!(!all.contains("carol") && !all.contains("192.0.2") && !all.contains('?'), "{all}");
    assert_eq!((&entries[4]["detail"]["factor"], &entries[6]["detail"]["kind"]), (&json!(1), &json!("api")));
}

#[test]
fn every_act_is_there_once_and_names_numbers_alone() {
    run(async {
        everything(Site::new().await).await;
        let server = server::shared();
        everything(Site::at(&server.database(), [7; 32]).await).await;
    });
}

#[test]
fn acts_of_the_operator_and_by_links_are_there() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        let tokens = site.login_api(ANN, PASSWORD, None).await;
        let id = site.id_of(&tokens).await;
        site.accounts.set_role(None, id, Role::Support).await.unwrap();
        site.accounts.set_role(Some(id), id, Role::Customer).await.unwrap();
        let mut browser = site.browser();
        assert_eq!(browser.form("/account/reset", &[("email", ANN)]).await.status, StatusCode::OK);
        let link = site.link("/account/reset/new").await;
        assert!(browser.follow(&link, &[("new_password", OTHER)]).await.status.is_success());
        browser.sign_in(ANN, OTHER).await;
        browser.form("/account/address", &[("email", "new@example.org"), ("password", OTHER)]).await;
        let link = site.link("/account/address/confirm").await;
        assert!(browser.follow(&link, &[]).await.status.is_success());
        site.accounts.make_owner("new@example.org").await.unwrap();
        site.accounts.make_owner("owner@example.org").await.unwrap();
        site.accounts.logout_everywhere(id).await.unwrap();
        let entries = entries_of(&site).await;
        let (name, told) = (format!("account:{}", id.hex()), told(&entries));
        let own = |act| [act, name.as_str(), name.as_str()];
        assert_eq!(told[2], ["role.change", "operator", &name]);
        assert_eq!(entries[2]["detail"]["role"], "support");
        let rest = ["role.change", "password.reset", "session.start", "address.change"].map(own);
        assert_eq!(told[3..7], rest);
        assert_eq!(told[7], ["owner.make", "operator", &name]);
        assert!(told[8][0] == "owner.make" && told[8][2] != name && told[8][2].len() == 40);
        assert_eq!(told[9], own("session.end-all"));
    });
}

#[test]
fn a_stolen_token_is_there_once_however_often_it_comes() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        let first = site.login_api(ANN, PASSWORD, None).await;
        let name = format!("account:{}", site.id_of(&first).await.hex());
        let (_, second) = site.refresh(&first).await;
        for _ in 0..5 {
            assert_eq!(site.refresh(&first).await.0, StatusCode::UNAUTHORIZED);
            assert_eq!(site.refresh(&second).await.0, StatusCode::UNAUTHORIZED);
            site.refresh(&json!({"refresh_token": "unknown"})).await;
            site.api("/api/v1/auth/logout", &json!({"refresh_token": second["refresh_token"]})).await;
        }
        let entries = entries_of(&site).await;
        assert_eq!(told(&entries)[2..], [["token.reuse", "stranger", name.as_str()]]);
    });
}

#[test]
fn failed_sign_ins_are_there_when_they_begin_a_wait_and_cannot_fill_the_log() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        let tokens = site.login_api(ANN, PASSWORD, None).await;
        let name = format!("account:{}", site.id_of(&tokens).await.hex());
        // With and without an account alike; those that must wait change nothing.
        for email in [ANN, "nobody@example.org"] {
            for _ in 0..20 {
                site.try_login_api(email, OTHER, None).await;
            }
            site.clock.advance(6);
            site.try_login_api(email, OTHER, None).await;
        }
        let entries = entries_of(&site).await;
        let lock = |subject| ["account.lock", "stranger", subject];
        assert_eq!(told(&entries)[2..], [lock(&name), lock(&name), lock("none"), lock("none")]);
        assert_eq!(entries[2]["detail"], json!({"attempts": 5, "by": "login", "seconds": 5}));
        assert_eq!(entries[3]["detail"], json!({"attempts": 6, "by": "login", "seconds": 15}));
        // From many networks, as one who has many does: the counters are told of, a few a minute.
        let sql = "UPDATE failed_attempts SET failures = 8, allowed_at = 0";
        // From the first second of a minute on.
        site.clock.advance(180 - site.clock.now().rem_euclid(60));
        for network in 0..40 {
            let mut browser = site.browser_at(&format!("203.0.{network}.1"));
            let body = json!({"email": ANN, "password": OTHER});
            browser.json("/api/v1/auth/login", &body).await;
            site.store.write(vec![Statement::new(sql, [])]).await.unwrap();
            browser.json("/api/v1/auth/login", &body).await;
        }
        let flood = entries_of(&site).await.len() - entries.len();
        // Thirty, or a few more when a minute of the clock ended meanwhile.
        assert!((30..40).contains(&flood), "{flood}");
        site.clock.advance(120);
        site.store.write(vec![Statement::new(sql, [])]).await.unwrap();
        site.try_login_api(ANN, OTHER, None).await;
        let left_out = entries_of(&site).await;
        let left_out = left_out.iter().filter_map(|entry| entry["detail"]["left_out_before"].as_i64());
        assert_eq!(left_out.sum::<i64>(), 40 - i64::try_from(flood).unwrap());
    });
}

#[test]
fn without_the_log_there_is_no_act() {
    run(async {
        let site = Site::new().await;
        site.account(ANN, PASSWORD).await;
        site.store.write(vec![Statement::new("DROP TABLE audit_checkpoints", [])]).await.unwrap();
        let (status, _) = site.try_login_api(ANN, PASSWORD, None).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        let families = site.store.read(Statement::new("SELECT id FROM refresh_families", [])).await.unwrap();
        assert!(families.is_empty(), "a session without its entry");
    });
}
