//! Two processes on one database of PostgreSQL and one folder of blobs, behind a balancer.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    PASSWORD, acts, balancer,
    client::Client,
    count,
    program::{Place, Served},
    server, texts, until,
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

#[test]
fn one_is_killed_in_the_middle_and_the_other_goes_on() {
    const LANES: u32 = 4;
    let pair = Pair::new();
    let (stop, killed) = (AtomicBool::new(false), AtomicBool::new(false));
    let (answers, late) = (AtomicU32::new(0), AtomicU32::new(0));
    let register = &|lane: u32| {
        let mut answered = BTreeSet::new();
        for number in 0_u32.. {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            let email = format!("person{number}@lane{lane}.example.org");
            let mut client = pair.client(&format!("10.{lane}.{}.1", number % 250));
            let after = killed.load(Ordering::SeqCst);
            let body = json!({"email": email, "password": PASSWORD});
            match client.try_json("/api/v1/auth/register", &body) {
                Ok(answer) => {
                    assert_eq!(answer.status, 202, "{}", answer.body);
                    answers.fetch_add(1, Ordering::SeqCst);
                    late.fetch_add(u32::from(after), Ordering::SeqCst);
                    answered.insert(email);
                }
                // Only what was begun before the balancer knew that the process is dead.
                Err(error) => assert!(!after, "{error}"),
            }
        }
        answered
    };
    let answered = thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|lane| scope.spawn(move || register(lane))).collect();
        until("registrations are answered", || answers.load(Ordering::SeqCst) >= 2 * LANES);
        pair.one.signal(Signal::SIGKILL);
        until("its socket is gone", || std::net::TcpStream::connect(pair.one.public).is_err());
        killed.store(true, Ordering::SeqCst);
        let began = Instant::now();
        while late.load(Ordering::SeqCst) < 10 && began.elapsed() < Duration::from_secs(15) {
            thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::SeqCst);
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect::<BTreeSet<_>>()
    });
    assert!(late.load(Ordering::SeqCst) >= 10, "the other did not go on");
    let there: BTreeSet<_> = texts(&pair.url, "SELECT address FROM registrations").into_iter().collect();
    assert!(answered.is_subset(&there), "an answered registration is lost");
    let acts = acts(&pair.place, &pair.url);
    assert_eq!(count(&acts, "server.start"), 2, "{acts:?}");
    assert_eq!(Client::new(pair.two.watch, "").get("/readyz").status, 200);
}
