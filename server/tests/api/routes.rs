//! The description against the routers of all parts, merged as the program does.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use aegis_editions::Spec;
use aegis_server::{
    Clock,
    accounts::{self, Accounts, Settings},
    api,
    http::Peer,
    site::Frame,
    store::{Statement, Store},
};
use axum::{
    Extension,
    body::Body,
    http::{Method, Request, header},
};
use serde_json::{Value, json};

use crate::{
    Answer, Bench, bench,
    description::{conforms, description},
};

const ORIGIN: &str = "http://localhost:8080";
const ANN: &str = "ann@example.org";
const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// All of the API, and the password of its owner.
struct Whole {
    bench: Bench,
    password: String,
    /// The paths of its routers.
    paths: BTreeSet<String>,
}

async fn whole() -> Whole {
    let mut bench = bench();
    let store: Arc<dyn Store> = Arc::clone(&bench.store) as _;
    let accounts = Accounts::new(store, Clock::default(), Settings::new(ORIGIN, [7; 32])).unwrap();
    let password = accounts.make_owner(ANN).await.unwrap().reveal().to_owned();
    let frame = Frame::new(&Spec::all().unwrap(), ORIGIN, "Somebody").unwrap();
    let router = accounts::router(Arc::new(accounts), Arc::new(frame));
    let router = router.merge(api::router(Arc::clone(&bench.api)));
    // The router shows its table for debugging; what it has and the description has not was added beside it.
    let shown = format!("{router:?}");
    let paths = shown.split('"').filter(|text| text.starts_with("/api")).map(str::to_owned).collect();
    bench.site = router.layer(Extension(Peer(IpAddr::from([192, 0, 2, 1]))));
    Whole { bench, password, paths }
}

impl Whole {
    async fn send(&self, method: &Method, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_null() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.bench.send(request.body(body).unwrap()).await
    }

    async fn tokens(&self) -> Value {
        let credentials = json!({"email": ANN, "password": self.password});
        self.send(&Method::POST, "/api/v1/auth/login", &[], &credentials).await.json()
    }

    /// What is sent to a path so that it is answered as it should be, and the status of that.
    async fn sample(&self, path: &str) -> (Value, u16) {
        match path {
            "/api/v1/pricing/calculator" => (json!({"users": 5, "term": "annual"}), 200),
            "/api/v1/auth/register" => {
                (json!({"email": "bob@example.org", "password": "a hill of horses"}), 202)
            }
            "/api/v1/auth/login" => (json!({"email": ANN, "password": self.password}), 200),
            "/api/v1/auth/refresh" => (json!({"refresh_token": self.tokens().await["refresh_token"]}), 200),
            "/api/v1/auth/logout" => (json!({"refresh_token": self.tokens().await["refresh_token"]}), 204),
            "/api/v1/auth/passkey/begin" => (json!({}), 200),
            // An answer that is taken is made by the tests of accounts.
            "/api/v1/auth/passkey/finish" => {
                let part = "AA";
                let credential =
                    json!({"id": part, "clientDataJSON": part, "authenticatorData": part, "signature": part});
                (json!({"ceremony": part, "credential": credential}), 401)
            }
            _ => (Value::Null, 200),
        }
    }
}

/// Every documented operation, its path with a value for its parameter.
fn operations() -> Vec<(String, Method, Value)> {
    let description = description();
    let paths = description["paths"].as_object().unwrap().clone();
    let of = |(path, operations): (String, Value)| {
        let target = path.replace("{id}", "gamer");
        assert!(!target.contains('{'), "a parameter that this test does not know: {path}");
        let operations = operations.as_object().unwrap().clone();
        operations.into_iter().map(move |(method, operation)| {
            (target.clone(), method.to_uppercase().parse().unwrap(), operation)
        })
    };
    paths.into_iter().flat_map(of).collect()
}

#[tokio::test]
async fn every_route_is_documented_and_every_documented_one_is_there() {
    let whole = whole().await;
    let description = description();
    let documented = description["paths"].as_object().unwrap();
    let mut expected: BTreeSet<_> = documented.keys().cloned().collect();
    expected.extend(["/api", "/api/", "/api/{*rest}"].map(str::to_owned));
    assert_eq!(whole.paths, expected);
    let operations = operations();
    for (path, ..) in &operations {
        for method in METHODS {
            let is_there = operations.iter().any(|(other, of, _)| other == path && *of == method);
            let answer = whole.send(&method, path, &[], &Value::Null).await;
            if is_there {
                assert!(![404, 405].contains(&answer.status), "{method} {path}: {}", answer.status);
            } else {
                assert_eq!(answer.problem(), (405, "method_not_allowed".into(), None), "{method} {path}");
                assert!(answer.headers.contains_key(header::ALLOW), "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn every_documented_route_answers_as_documented() {
    let whole = whole().await;
    for (path, method, operation) in operations() {
        let place = format!("{method} {path}");
        let (body, status) = whole.sample(&path).await;
        let token = format!("Bearer {}", whole.tokens().await["access_token"].as_str().unwrap());
        let authorized = [("authorization", token.as_str())];
        let is_for_people = operation["security"].is_array();
        let headers = if is_for_people { &authorized[..] } else { &[] };
        let answer = whole.send(&method, &path, headers, &body).await;
        assert_eq!(answer.status, status, "{place}");
        let content = &operation["responses"][status.to_string()]["content"];
        let Some((kind, of)) = content.as_object().and_then(|content| content.iter().next()) else {
            assert!(
                operation["responses"][status.to_string()].is_object() && answer.body.is_empty(),
                "{place}"
            );
            continue;
        };
        assert_eq!(answer.headers[header::CONTENT_TYPE], kind.as_str(), "{place}");
        conforms(&serde_json::from_slice(&answer.body).unwrap(), &of["schema"], &place);
        if is_for_people {
            for wrong in [&[][..], &[("authorization", "Bearer x")], &[("authorization", "Basic eDp4")]] {
                let refused = whole.send(&method, &path, wrong, &body).await;
                assert_eq!(refused.problem(), (401, "unauthenticated".into(), None), "{place}");
                assert_eq!(refused.headers[header::WWW_AUTHENTICATE], "Bearer");
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_documented_is_refused_by_a_problem() {
    let whole = whole().await;
    let posted = operations().into_iter().filter(|(_, method, _)| method == Method::POST);
    for (path, method, operation) in posted {
        assert!(operation["requestBody"]["required"] == true, "{path}");
        let (mut body, _) = whole.sample(&path).await;
        // Nor are the values without their names an object.
        let values = Value::Array(body.as_object().unwrap().values().cloned().collect());
        let (status, code, _) = whole.send(&method, &path, &[], &values).await.problem();
        assert_eq!((status, code.as_str()), (422, "invalid_field"), "{path} {values}");
        body["nonsense"] = 1.into();
        let (status, code, _) = whole.send(&method, &path, &[], &body).await.problem();
        assert_eq!((status, code.as_str()), (422, "invalid_field"), "{path}");
        let plain = whole.bench.post(&path, "text/plain", "{}").await.problem();
        assert_eq!(plain, (415, "unsupported_type".into(), None), "{path}");
        let cut = whole.bench.post(&path, "application/json", "{").await.problem();
        assert_eq!(cut, (400, "bad_request".into(), None), "{path}");
    }
}

/// A kept answer would hold tokens, and the digest of a kept request could be searched for its password.
#[tokio::test]
async fn keys_are_documented_where_they_are_taken_and_no_secret_is_kept_under_one() {
    let whole = whole().await;
    for (path, method, operation) in operations() {
        let named = |one: &Value| one["name"] == "Idempotency-Key";
        let is_documented = operation["parameters"].as_array().is_some_and(|all| all.iter().any(named));
        assert_eq!(is_documented, path == "/api/v1/pricing/calculator", "{path}");
        if method != Method::POST {
            continue;
        }
        let (body, _) = whole.sample(&path).await;
        let key = [("idempotency-key", path.as_str())];
        whole.send(&method, &path, &key, &body).await;
        let again = whole.send(&method, &path, &key, &body).await;
        assert_eq!(again.headers.contains_key("idempotency-replayed"), is_documented, "{path}");
    }
    let kept = whole.bench.store.read(Statement::new("SELECT count(*) FROM idempotency", [])).await.unwrap();
    assert_eq!(kept[0].int(0).unwrap(), 1);
}
