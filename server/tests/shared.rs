//! What processes on one database share: limits, and requests that are done once. On both back ends.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "other suites look into folder and server")]
#[path = "support/both.rs"]
mod both;
#[path = "support/postgres.rs"]
mod server;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aegis_server::{
    Clock,
    api::{Idempotency, idempotent},
    limits::{By, Limiter, Person, Rule, Subject},
    store::{Statement, Store},
};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
    routing::post,
};
use both::{Place, on_both};
use tower::ServiceExt as _;

/// Seconds that an answer is kept, and after which a run without one counts as dead, as the program has them.
const KEPT: i64 = 24 * 3600;
const LEASE: i64 = 120;
/// Characters of a key.
const KEY: usize = 255;
const ANSWER: usize = 256 << 10;

on_both! {
    the_database_decides_as_one_process_would
    two_processes_allow_together_what_one_would
    what_limits_nobody_is_swept_and_no_address_is_in_the_database
    without_the_database_the_process_still_limits
    a_repetition_is_answered_as_the_first_was
    of_many_at_once_one_runs
    faults_that_pass_are_not_kept
    a_run_that_died_is_taken_over_by_the_same_request_alone
    answers_are_kept_for_a_day
    the_answer_is_kept_when_the_client_hangs_up
    keys_that_are_none_are_refused
}

const RULE: Rule = Rule { name: "sign-in", by: By::Address, quota: 5, window: 60, shared: true };

fn subject() -> Subject {
    Subject::address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)))
}

fn limiter(store: &Arc<dyn Store>, clock: &Clock) -> Limiter {
    Limiter::new(clock.clone()).with_store(Arc::clone(store), &[1; 32])
}

async fn the_database_decides_as_one_process_would(place: Place) {
    let (store, clock) = (place.open().await, Clock::default());
    let alone = Limiter::new(clock.clone());
    let (mut offset, alone_rule) = (0, Rule { shared: false, ..RULE });
    for host in 0..30 {
        let subject = Subject::address(IpAddr::V4(Ipv4Addr::new(198, 51, 100, host)));
        let began = clock.now() - offset;
        let mut decisions = Vec::new();
        // Also with a clock that is put back, and forward again.
        for seconds in [0, 0, 1, 0, 0, 0, 12, 0, 90, -600, 0, 12, 0, 1500] {
            clock.advance(seconds);
            offset += seconds;
            // A process that has seen nobody: only the database can refuse.
            let shared = limiter(&store, &clock).check(&RULE, subject).await;
            decisions.push((shared, alone.check(&alone_rule, subject).await));
        }
        // Both must have been asked in one second, or one had more back than the other.
        if clock.now() - offset == began {
            assert!(decisions.iter().all(|(shared, alone)| shared == alone), "{decisions:?}");
            return;
        }
    }
    panic!("this machine is too slow to compare");
}

async fn two_processes_allow_together_what_one_would(place: Place) {
    let (store, clock) = (place.open().await, Clock::default());
    let began = clock.now();
    let mut tasks = Vec::new();
    for limiter in [Arc::new(limiter(&store, &clock)), Arc::new(limiter(&store, &clock))] {
        for _ in 0..20 {
            let limiter = Arc::clone(&limiter);
            tasks.push(tokio::spawn(async move { limiter.check(&RULE, subject()).await.allowed }));
        }
    }
    let mut allowed = 0;
    for task in tasks {
        allowed += i64::from(task.await.unwrap());
    }
    // One more every twelve seconds.
    assert!((5..=6 + (clock.now() - began) / 12).contains(&allowed), "{allowed}");
}

async fn what_limits_nobody_is_swept_and_no_address_is_in_the_database(place: Place) {
    let (store, clock) = (place.open().await, Clock::default());
    let limiter = limiter(&store, &clock);
    limiter.check(&RULE, subject()).await;
    let rows = || store.read(Statement::new("SELECT subject FROM limits", []));
    limiter.sweep().await.unwrap();
    let kept = rows().await.unwrap();
    assert_eq!(kept.len(), 1);
    // Whoever has no pepper cannot try all addresses.
    let other = Limiter::new(clock.clone()).with_store(Arc::clone(&store), &[2; 32]);
    other.check(&RULE, subject()).await;
    let both = rows().await.unwrap();
    assert!(both.len() == 2 && both[0] != both[1]);
    clock.advance(61);
    limiter.sweep().await.unwrap();
    assert!(rows().await.unwrap().is_empty());
}

async fn without_the_database_the_process_still_limits(place: Place) {
    let store = place.open().await;
    store.write(vec![Statement::new("DROP TABLE limits", [])]).await.unwrap();
    let (clock, mut allowed) = (Clock::default(), 0);
    let (limiter, began) = (limiter(&store, &clock), clock.now());
    for _ in 0..20 {
        allowed += i64::from(limiter.check(&RULE, subject()).await.allowed);
    }
    assert!((5..=6 + (clock.now() - began) / 12).contains(&allowed), "{allowed}");
}

struct Bench {
    _place: Place,
    store: Arc<dyn Store>,
    clock: Clock,
    begun: Arc<AtomicUsize>,
    runs: Arc<AtomicUsize>,
    idempotency: Arc<Idempotency>,
    site: Router,
}

impl Bench {
    /// A route that counts its runs, takes a moment, and answers by the status that it is sent.
    async fn new(place: Place) -> Self {
        let (store, clock) = (place.open().await, Clock::default());
        let idempotency = Arc::new(Idempotency::new(Arc::clone(&store), clock.clone()));
        let (begun, runs) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counted = (Arc::clone(&begun), Arc::clone(&runs));
        let act = move |body: String| async move {
            counted.0.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            let run = counted.1.fetch_add(1, Ordering::SeqCst);
            assert_ne!(body, "panic");
            (StatusCode::from_u16(body.parse().unwrap()).unwrap(), format!("run {run}"))
        };
        let site = idempotent(Router::new().route("/act", post(act)), Arc::clone(&idempotency));
        Self { _place: place, store, clock, begun, runs, idempotency, site }
    }

    async fn send(&self, key: &str, body: &str, person: &[u8]) -> (u16, String, bool) {
        let request = Request::post("/act").header("idempotency-key", key).body(Body::from(body.to_owned()));
        let mut request = request.unwrap();
        request.extensions_mut().insert(Person(person.to_vec()));
        let response = self.site.clone().oneshot(request).await.unwrap();
        let replayed = response.headers().contains_key("idempotency-replayed");
        let waits = response.headers().contains_key(header::RETRY_AFTER);
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), ANSWER).await.unwrap();
        let text = if waits { "wait".into() } else { String::from_utf8(body.to_vec()).unwrap() };
        (status, text, replayed)
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

async fn a_repetition_is_answered_as_the_first_was(place: Place) {
    let bench = Bench::new(place).await;
    for status in ["201", "422"] {
        let first = bench.send(status, status, b"one").await;
        let again = bench.send(status, status, b"one").await;
        assert_eq!((again.0, &again.1, again.2), (first.0, &first.1, true));
    }
    assert_eq!(bench.runs(), 2);
    // In quotes it is the same key.
    assert!(bench.send("\"201\"", "201", b"one").await.2);
    // Another body is another request.
    let (status, body, _) = bench.send("201", "200", b"one").await;
    assert_eq!((status, body.contains("\"conflict\"")), (409, true));
    // Another person has other keys, and learns nothing.
    let (_, _, replayed) = bench.send("201", "201", b"two").await;
    assert!(!replayed);
    assert_eq!(bench.runs(), 3);
}

async fn of_many_at_once_one_runs(place: Place) {
    let bench = Bench::new(place).await;
    let sent = (0..20).map(|_| bench.send("k", "200", b"one"));
    let mut tasks: Vec<_> = sent.map(Box::pin).collect();
    let mut answers = Vec::new();
    // Polled together on one thread: all claim before the first is done.
    std::future::poll_fn(|context| {
        tasks.retain_mut(|task| match task.as_mut().poll(context) {
            std::task::Poll::Ready(answer) => {
                answers.push(answer);
                false
            }
            std::task::Poll::Pending => true,
        });
        if tasks.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    assert_eq!(bench.runs(), 1);
    let ran = (200, "run 0".to_owned(), false);
    assert_eq!(answers.iter().filter(|answer| **answer == ran).count(), 1);
    // Who came late, as a database under load may have it, gets the kept answer.
    let (wait, late) = ((409, "wait".to_owned(), false), (200, "run 0".to_owned(), true));
    assert!(answers.iter().all(|answer| [&ran, &wait, &late].contains(&answer)), "{answers:?}");
    assert!(bench.send("k", "200", b"one").await.2);
}

async fn faults_that_pass_are_not_kept(place: Place) {
    let bench = Bench::new(place).await;
    for status in ["500", "503", "429", "408"] {
        bench.send("k", status, b"one").await;
        assert!(!bench.send("k", status, b"one").await.2, "{status}");
    }
    assert_eq!(bench.runs(), 8);
}

async fn a_run_that_died_is_taken_over_by_the_same_request_alone(place: Place) {
    let bench = Bench::new(place).await;
    assert_eq!(bench.send("k", "panic", b"one").await.0, 500);
    assert_eq!(bench.send("k", "panic", b"one").await.1, "wait");
    bench.clock.advance(LEASE + 1);
    assert_eq!(bench.send("k", "200", b"one").await.0, 409, "another request");
    assert_eq!(bench.send("k", "panic", b"one").await.0, 500, "it ran again");
    assert_eq!(bench.runs(), 2);
}

async fn answers_are_kept_for_a_day(place: Place) {
    let bench = Bench::new(place).await;
    bench.send("k", "200", b"one").await;
    bench.clock.advance(KEPT - 10);
    bench.idempotency.sweep().await.unwrap();
    assert!(bench.send("k", "200", b"one").await.2);
    bench.clock.advance(20);
    assert_eq!(bench.send("k", "201", b"one").await.0, 201, "free for another request");
    bench.clock.advance(KEPT + 1);
    bench.idempotency.sweep().await.unwrap();
    let rows = bench.store.read(Statement::new("SELECT name FROM idempotency", [])).await.unwrap();
    assert!(rows.is_empty());
}

async fn the_answer_is_kept_when_the_client_hangs_up(place: Place) {
    let bench = Bench::new(place).await;
    let begun = async {
        while bench.begun.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        answer = bench.send("k", "200", b"one") => panic!("{answer:?}"),
        () = begun => {}
    }
    let mut answer = bench.send("k", "200", b"one").await;
    for _ in 0..1000 {
        if answer.1 != "wait" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        answer = bench.send("k", "200", b"one").await;
    }
    assert_eq!(answer, (200, "run 0".into(), true));
}

async fn keys_that_are_none_are_refused(place: Place) {
    let bench = Bench::new(place).await;
    let long = "k".repeat(KEY + 1);
    for key in ["", "\"\"", "a b", "a\"b", "a\\b", "ümlaut", &long] {
        assert_eq!(bench.send(key, "200", b"one").await.0, 400, "{key:.20}");
    }
    let twice = Request::post("/act").header("idempotency-key", "a").header("idempotency-key", "b");
    let answer = bench.site.clone().oneshot(twice.body(Body::from("200")).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(bench.runs(), 0);
}
