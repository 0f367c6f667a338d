//! The interface for programs: what it answers, how it refuses, and that its description is true.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "api/description.rs"]
mod description;
#[path = "api/routes.rs"]
mod routes;

use std::{collections::BTreeSet, sync::Arc};

use aegis_core::{channel::Channel, edition::Edition, time::UnixTime};
use aegis_editions::Spec;
use aegis_server::{
    Clock,
    api::{self, Api, Release},
    store::{Sqlite, Statement, Store},
};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, header},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

struct Bench {
    _directory: TempDir,
    store: Arc<Sqlite>,
    api: Arc<Api>,
    site: Router,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/json");
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Code and field of a problem.
    fn problem(&self) -> (u16, String, Option<String>) {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        let value: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(value["status"], self.status);
        let known = ["code", "title", "status", "detail", "field"];
        assert!(value.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{value}");
        let field = value.get("field").map(|field| field.as_str().unwrap().to_owned());
        (self.status, value["code"].as_str().unwrap().to_owned(), field)
    }
}

fn release(number: i64, edition: Edition, channel: Channel) -> Release {
    Release {
        edition,
        version: format!("1.{number}.0").parse().unwrap(),
        channel,
        published: UnixTime(1_700_000_000 + number / 3 * 100),
        size: 4 << 30,
        sha256: "0".repeat(64),
        url: format!("/downloads/{edition}-1.{number}.0.iso"),
    }
}

fn sample() -> Vec<Release> {
    let release = |number: i64| {
        let edition = if number % 2 == 0 { Edition::Gamer } else { Edition::Basic };
        release(number, edition, if number % 5 == 0 { Channel::Beta } else { Channel::Stable })
    };
    (0..50).map(release).collect()
}

fn bench() -> Bench {
    let directory = TempDir::new().unwrap();
    let clock = Clock::default();
    let store = Arc::new(Sqlite::open(&directory.path().join("aegis.db"), &clock).unwrap());
    let api = Arc::new(Api::new(Arc::clone(&store) as Arc<dyn Store>, clock, sample()).unwrap());
    let site = api::request_ids(api::router(Arc::clone(&api)));
    Bench { _directory: directory, store, api, site }
}

impl Bench {
    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.site.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 24).await.unwrap().to_vec();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, kind: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path).header(header::CONTENT_TYPE, kind);
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn calculate(&self, body: &str) -> Answer {
        self.post("/api/v1/pricing/calculator", "application/json", body.to_owned()).await
    }
}

#[tokio::test]
async fn the_catalogue_says_what_the_specifications_say() {
    let bench = bench();
    let list = bench.get("/api/v1/editions").await.json();
    let specs = Spec::all().unwrap();
    assert_eq!(list["editions"].as_array().unwrap().len(), specs.len());
    for (spec, entry) in specs.iter().zip(list["editions"].as_array().unwrap()) {
        let one = bench.get(&format!("/api/v1/editions/{}", spec.id)).await.json();
        assert_eq!(&one, entry);
        assert_eq!(
            (one["id"].as_str(), one["name"].as_str()),
            (Some(spec.id.id()), Some(spec.name.as_str()))
        );
        assert_eq!(one["price"]["lifetime_cents"], spec.price.lifetime_cents);
        assert_eq!(one["price"]["free"], spec.price.is_free());
        assert_eq!(one["security"]["audit_log"], spec.security.audit_log);
        let features = bench.get(&format!("/api/v1/editions/{}/features", spec.id)).await.json();
        let granted = features["features"].as_array().unwrap().iter();
        let granted: BTreeSet<_> = granted
            .filter(|feature| feature["granted"] == true)
            .map(|feature| feature["name"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(granted, spec.entitlements.flags);
        assert_eq!(features["limits"].as_array().unwrap().len(), spec.entitlements.limits.len());
    }
}

#[tokio::test]
async fn the_calculator_offers_what_suits_cheapest_first() {
    let bench = bench();
    let offers = async |users: u32, term: &str| -> Vec<(String, Option<u64>)> {
        let answer = bench.calculate(&json!({ "users": users, "term": term }).to_string()).await.json();
        assert_eq!((&answer["users"], &answer["term"]), (&json!(users), &json!(term)));
        let offers = answer["offers"].as_array().unwrap().iter();
        offers
            .map(|offer| (offer["edition"].as_str().unwrap().into(), offer["price_cents"].as_u64()))
            .collect()
    };
    let all = offers(1, "annual").await;
    assert_eq!(all.len(), 7);
    assert_eq!((all[0].clone(), all[6].clone()), (("freemium".into(), Some(0)), ("server".into(), None)));
    assert!(all[..6].is_sorted_by_key(|offer| offer.1));
    for spec in Spec::all().unwrap() {
        let max = spec.service.max_users;
        let named = |offers: Vec<(String, Option<u64>)>| offers.iter().any(|offer| offer.0 == spec.id.id());
        assert!(
            named(offers(max, "lifetime").await) && !named(offers(max + 1, "lifetime").await),
            "{}",
            spec.id
        );
    }
    assert!(offers(1_000_000, "annual").await.is_empty());
    for five in ["5", "5.0", "0.5e1", "50E-1"] {
        let answer = bench.calculate(&format!("{{\"users\":{five},\"term\":\"annual\"}}")).await;
        assert_eq!(answer.json()["users"], 5, "{five}");
    }
}

#[tokio::test]
async fn what_a_client_gets_wrong_is_named() {
    let bench = bench();
    for (body, expected) in [
        ("", (400, "bad_request", None)),
        ("{", (400, "bad_request", None)),
        ("nonsense", (400, "bad_request", None)),
        ("{\"users\":1,\"term\":\"annual\"} x", (400, "bad_request", None)),
        ("{\"users\":1,\"term\":\"annual\",}", (400, "bad_request", None)),
        ("{\"users\":NaN,\"term\":\"annual\"}", (400, "bad_request", None)),
        ("\u{feff}{\"users\":1,\"term\":\"annual\"}", (400, "bad_request", None)),
        ("[]", (422, "invalid_field", None)),
        ("[1,\"annual\"]", (422, "invalid_field", None)),
        ("null", (422, "invalid_field", None)),
        ("{}", (422, "invalid_field", Some("users"))),
        ("{\"users\":1}", (422, "invalid_field", Some("term"))),
        ("{\"users\":0,\"term\":\"annual\"}", (422, "invalid_field", Some("users"))),
        ("{\"users\":1000001,\"term\":\"annual\"}", (422, "invalid_field", Some("users"))),
        ("{\"users\":-1,\"term\":\"annual\"}", (422, "invalid_field", Some("users"))),
        ("{\"users\":-0.5,\"term\":\"annual\"}", (422, "invalid_field", Some("users"))),
        ("{\"users\":1e300,\"term\":\"annual\"}", (422, "invalid_field", Some("users"))),
        ("{\"users\":1.5,\"term\":\"annual\"}", (422, "invalid_field", Some("users"))),
        ("{\"users\":\"1\",\"term\":\"annual\"}", (422, "invalid_field", Some("users"))),
        ("{\"users\":99999999999999999999,\"term\":\"annual\"}", (422, "invalid_field", Some("users"))),
        ("{\"users\":null,\"term\":\"annual\"}", (422, "invalid_field", Some("users"))),
        ("{\"users\":1,\"term\":\"weekly\"}", (422, "invalid_field", Some("term"))),
        ("{\"users\":1,\"term\":\"annual\",\"price\":0}", (422, "invalid_field", Some("price"))),
        ("{\"users\":1,\"users\":2,\"term\":\"annual\"}", (422, "invalid_field", Some("users"))),
    ] {
        let (status, code, field) = bench.calculate(body).await.problem();
        assert_eq!((status, code.as_str(), field.as_deref()), expected, "{body}");
    }
    let deep = "[".repeat(20_000);
    assert!((400..500).contains(&bench.calculate(&deep).await.problem().0));
    let broken = bench.post("/api/v1/pricing/calculator", "application/json", vec![b'"', 0xff, b'"']).await;
    assert!((400..500).contains(&broken.problem().0));
    let large = bench.calculate(&" ".repeat(70_000)).await.problem();
    assert_eq!((large.0, large.1.as_str()), (413, "too_large"));
    for kind in ["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=latin1"] {
        let answer =
            bench.post("/api/v1/pricing/calculator", kind, "{\"users\":1,\"term\":\"annual\"}").await;
        assert_eq!((answer.problem().0, answer.problem().1.as_str()), (415, "unsupported_type"), "{kind}");
    }
}

#[tokio::test]
async fn every_other_address_and_method_is_answered_by_a_problem() {
    let bench = bench();
    for path in [
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v2/editions",
        "/api/v1/editions/",
        "/api/v1/editions/nothing",
        "/api/v1/editions/Gamer",
        "/api/v1/editions/%ff",
        "/api/v1/editions/%00",
        "/api/v1/editions/gamer%2Ffeatures",
        "/api/v1/editions/../version",
        "/api/v1/editions/nothing/features",
    ] {
        let answer = bench.get(path).await;
        assert!(answer.headers.contains_key(header::CONTENT_TYPE), "{path}");
        let (status, code, _) = answer.problem();
        assert_eq!((status, code.as_str()), (404, "not_found"), "{path}");
    }
    for (method, path, allowed) in [
        ("DELETE", "/api/v1/editions", "GET,HEAD"),
        ("POST", "/api/v1/version", "GET,HEAD"),
        ("GET", "/api/v1/pricing/calculator", "POST"),
        ("TRACE", "/api/v1/status", "GET,HEAD"),
        ("NONSENSE", "/api/v1/status", "GET,HEAD"),
    ] {
        let answer =
            bench.send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await;
        let (status, code, _) = answer.problem();
        assert_eq!((status, code.as_str()), (405, "method_not_allowed"), "{method} {path}");
        assert_eq!(answer.headers[header::ALLOW], allowed, "{method} {path}");
    }
}

#[tokio::test]
async fn releases_come_in_pages_that_hold_while_others_are_added() {
    let bench = bench();
    let (mut path, mut seen, mut pages) = ("/api/v1/releases?limit=7".to_owned(), Vec::new(), 0);
    loop {
        let page = bench.get(&path).await.json();
        let releases = page["releases"].as_array().unwrap();
        seen.extend(releases.iter().map(|release| release["url"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        assert_eq!(releases.len(), 7);
        path = format!("/api/v1/releases?limit=7&cursor={next}");
        // Newer ones do not move what is still to come.
        let mut more = sample();
        more.extend((100..100 + pages).map(|number| release(number, Edition::Server, Channel::Stable)));
        bench.api.set_releases(more);
    }
    assert_eq!((pages, seen.len()), (8, 50));
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 50, "each once");
    let first = bench.get("/api/v1/releases?edition=gamer&channel=beta").await.json();
    let releases = first["releases"].as_array().unwrap();
    assert_eq!((releases.len(), &first["next"]), (5, &Value::Null));
    assert!(releases.iter().all(|release| release["edition"] == "gamer" && release["channel"] == "beta"));
    assert_eq!(releases[0]["published"], "2023-11-14T22:35:00Z");
}

#[tokio::test]
async fn questions_that_are_none_are_refused() {
    let bench = bench();
    let page = bench.get("/api/v1/releases?limit=2&edition=gamer").await.json();
    let cursor = page["next"].as_str().unwrap();
    assert_eq!(bench.get(&format!("/api/v1/releases?edition=gamer&cursor={cursor}")).await.status, 200);
    assert_eq!(bench.get(&format!("/api/v1/releases?cursor={cursor}")).await.status, 200, "a place for all");
    assert_eq!(bench.get(&format!("/api/v1/releases?cursor={}", "f".repeat(54))).await.status, 200);
    let (cut, upper) = (format!("cursor={}", &cursor[2..]), format!("cursor={}", cursor.to_uppercase()));
    for (query, field) in [
        (cut.as_str(), Some("cursor")),
        (&upper, Some("cursor")),
        ("cursor=", Some("cursor")),
        ("cursor=AAAA", Some("cursor")),
        ("cursor=%ff", Some("cursor")),
        ("edition=gamer&cursor=%3D%3D", Some("cursor")),
        ("limit=0", Some("limit")),
        ("limit=101", Some("limit")),
        ("limit=-1", Some("limit")),
        ("limit=", Some("limit")),
        ("limit=99999999999999999999999", Some("limit")),
        ("edition=nothing", Some("edition")),
        ("edition=", Some("edition")),
        ("channel=STABLE", Some("channel")),
        ("page=2", Some("page")),
    ] {
        let (status, code, named) = bench.get(&format!("/api/v1/releases?{query}")).await.problem();
        assert_eq!((status, code.as_str(), named.as_deref()), (422, "invalid_field", field), "{query}");
    }
    let twice = bench.get("/api/v1/releases?limit=1&limit=2").await.problem();
    assert_eq!(twice, (422, "invalid_field".into(), Some("limit".into())));
}

#[tokio::test]
async fn what_is_read_is_tagged_and_not_sent_twice() {
    let bench = bench();
    for path in ["/api/v1/editions", "/api/v1/releases", "/api/v1/version", "/api/v1/openapi.json"] {
        let first = bench.get(path).await;
        let tag = first.headers[header::ETAG].to_str().unwrap().to_owned();
        assert!(tag.starts_with('"'), "strong");
        let ask = async |method: &str, value: &str| {
            let request = Request::builder().method(method).uri(path).header(header::IF_NONE_MATCH, value);
            bench.send(request.body(Body::empty()).unwrap()).await
        };
        for value in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".into()] {
            let same = ask("GET", &value).await;
            assert_eq!((same.status, same.body.len()), (304, 0), "{path} {value}");
            assert_eq!(same.headers[header::ETAG], tag.as_str());
            assert!(!same.headers.contains_key(header::CONTENT_TYPE));
        }
        assert_eq!(ask("GET", "\"other\"").await.body, first.body);
        let head = ask("HEAD", "\"other\"").await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.headers[header::ETAG], tag.as_str());
        assert_eq!(head.headers[header::CONTENT_LENGTH], first.body.len().to_string().as_str());
        assert_eq!(ask("HEAD", &tag).await.status, 304);
    }
    // Not a problem.
    assert!(!bench.get("/api/v1/nothing").await.headers.contains_key(header::ETAG));
}

#[tokio::test]
async fn each_answer_carries_a_name_which_is_the_clients_when_it_is_a_word() {
    let bench = bench();
    let named = async |given: &[&[u8]]| {
        let mut request = Request::get("/api/v1/version");
        for value in given {
            request = request.header("x-request-id", *value);
        }
        let answer = bench.send(request.body(Body::empty()).unwrap()).await;
        answer.headers["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(named(&[b"Report-7.a_b"]).await, "Report-7.a_b");
    let long = [b'a'; 65];
    for bad in [
        &[b"" as &[u8]][..],
        &[b"a b"],
        &[b"a\tb"],
        &[b"a\"b"],
        &["ümlaut".as_bytes()],
        &[&long],
        &[b"a", b"b"],
        &[],
    ] {
        let made = named(bad).await;
        assert!(made.len() == 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
        assert_ne!(made, named(bad).await);
    }
    let problem = bench.get("/api/v1/nothing").await;
    assert!(problem.headers.contains_key("x-request-id"));
}

#[tokio::test]
async fn a_key_makes_the_calculator_answer_once() {
    let bench = bench();
    let send = async |body: &'static str| {
        let request =
            Request::post("/api/v1/pricing/calculator").header(header::CONTENT_TYPE, "application/json");
        bench.send(request.header("idempotency-key", "one").body(Body::from(body)).unwrap()).await
    };
    let first = send("{\"users\":5,\"term\":\"annual\"}").await;
    let again = send("{\"users\":5,\"term\":\"annual\"}").await;
    assert_eq!((&again.body, again.json()), (&first.body, first.json()));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(send("{\"users\":6,\"term\":\"annual\"}").await.problem().1, "conflict");
}

#[tokio::test]
async fn without_its_database_the_service_says_so() {
    let bench = bench();
    let status = bench.get("/api/v1/status").await.json();
    assert_eq!(
        status,
        json!({ "status": "operational", "components": { "catalogue": "operational", "database": "operational" } })
    );
    bench.store.write(vec![Statement::new("DROP TABLE idempotency", [])]).await.unwrap();
    let request =
        Request::post("/api/v1/pricing/calculator").header(header::CONTENT_TYPE, "application/json");
    let request =
        request.header("idempotency-key", "one").body(Body::from("{\"users\":5,\"term\":\"annual\"}"));
    let answer = bench.send(request.unwrap()).await;
    assert_eq!((answer.problem().0, answer.problem().1.as_str()), (503, "unavailable"));
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    assert!(!String::from_utf8_lossy(&answer.body).contains("idempotency"), "no trace of the cause");
    assert_eq!(bench.get("/api/v1/editions").await.status, 200, "what needs no database goes on");
}
