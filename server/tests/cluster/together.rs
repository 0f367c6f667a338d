//! Two processes on one database of PostgreSQL and one folder of blobs, behind a balancer.

use std::{sync::Arc, time::Instant};

use serde_json::json;

use crate::{
    PASSWORD, acts, balancer,
    client::Client,
    count,
    program::{Place, Served},
    server,
};

const ANN: &str = "ann@example.org";

struct Pair {
    place: Place,
    url: String,
    one: Served,
    two: Served,
    both: std::net::SocketAddr,
    _server: Arc<server::Server>,
}

impl Pair {
    fn new() -> Self {
        let server = server::shared();
        let url = server.database();
        let directory = tempfile::tempdir().unwrap();
        let mail = format!("folder = \"{}/mail\"", directory.path().display());
        let place = Place::with(directory, &url, &mail);
        let (one, two) = (place.serve(), place.serve());
        let both = balancer::in_front_of([one.public, two.public]);
        Self { place, url, one, two, both, _server: server }
    }

    fn client(&self, from: &str) -> Client {
        Client::new(self.both, from)
    }
}

#[test]
fn two_processes_are_one() {
    let pair = Pair::new();
    let mut browser = pair.client("192.0.2.1");
    browser.make_account(&pair.place.path("mail"), ANN, PASSWORD);
    let fields = [("email", ANN), ("password", PASSWORD)];
    assert_eq!(browser.post_from("/account/sign-in", "/account/sign-in", &fields).status, 303);
    let tokens = browser.json("/api/v1/auth/login", &json!({"email": ANN, "password": PASSWORD})).json();
    let there = |browser: &Client| {
        [pair.one.public, pair.two.public].map(|at| {
            let mut browser = browser.moved(at);
            (browser.get("/account").status, browser.bearer(&tokens))
        })
    };
    assert_eq!(there(&browser), [(200, 200); 2]);
    // Signed out everywhere at one, and out at the other at once.
    let before = browser.clone();
    let mut at_one = browser.moved(pair.one.public);
    assert_eq!(at_one.post_from("/account", "/account/sign-out-everywhere", &[]).status, 303);
    assert_eq!(there(&before), [(303, 401); 2]);
    limits_count_together(&pair);
    a_repetition_at_the_other_is_answered_from_the_store(&pair);
    let acts = acts(&pair.place, &pair.url);
    let expected = [("server.start", 2), ("account.create", 1), ("session.start", 2), ("session.end-all", 1)];
    for (act, number) in expected {
        assert_eq!(count(&acts, act), number, "{acts:?}");
    }
}

/// 120 in a minute for each address, two more each second; each alone would allow as many again.
fn limits_count_together(pair: &Pair) {
    let began = Instant::now();
    let clients = [pair.one.public, pair.two.public].map(|at| Client::new(at, "192.0.2.77"));
    let mut allowed = 0;
    let [mut one, mut two] = clients;
    loop {
        let statuses = [one.get("/account/sign-in").status, two.get("/account/sign-in").status];
        allowed += statuses.iter().filter(|status| **status == 200).count();
        if statuses == [429, 429] {
            break;
        }
        assert!(allowed < 230, "two limits instead of one");
    }
    let refilled = usize::try_from(2 * began.elapsed().as_secs()).unwrap() + 3;
    assert!((119..=120 + refilled).contains(&allowed), "{allowed}, {refilled} came back");
}

fn a_repetition_at_the_other_is_answered_from_the_store(pair: &Pair) {
    let ask = |at, users: u32| {
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "an order")];
        let headers =
            headers.map(|(name, value)| (name, if value == "an order" { "order-1" } else { value }));
        let body = json!({"users": users, "term": "annual"}).to_string();
        Client::new(at, "192.0.2.5").send("POST", "/api/v1/pricing/calculator", &headers, &body).unwrap()
    };
    let first = ask(pair.one.public, 25);
    assert_eq!((first.status, first.header("idempotency-replayed")), (200, None), "{}", first.body);
    let again = ask(pair.two.public, 25);
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, Some("true")));
    assert_eq!(first.body, again.body);
    assert_eq!(ask(pair.two.public, 26).status, 409, "another request with the same key");
}
