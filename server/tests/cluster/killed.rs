//! Killed under load, and started again.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{PASSWORD, acts, client::Client, count, program::Place, texts};

/// What a process answered before it was killed.
#[derive(Default)]
struct Answered {
    registrations: Vec<String>,
    tokens: Vec<Value>,
}

/// Registers, or signs in, until nobody answers. `seen` counts the answers.
fn load(at: std::net::SocketAddr, ann: &str, round: u32, lane: u8, seen: &AtomicUsize) -> Answered {
    let mut answered = Answered::default();
    for number in 0_u32.. {
        seen.store(number as usize, Ordering::Relaxed);
        let mut client = Client::new(at, &format!("10.{lane}.{}.1", number % 250));
        if lane.is_multiple_of(2) {
            let email = format!("person{number}.{lane}@round{round}.example.org");
            match client.try_json("/api/v1/auth/register", &json!({"email": email, "password": PASSWORD})) {
                Ok(answer) => {
                    assert_eq!(answer.status, 202, "{}", answer.body);
                    answered.registrations.push(email);
                }
                Err(_) => break,
            }
        } else {
            match client.try_json("/api/v1/auth/login", &json!({"email": ann, "password": PASSWORD})) {
                Ok(answer) => {
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    answered.tokens.push(answer.json());
                }
                Err(_) => break,
            }
        }
    }
    answered
}

/// Whether both kinds of requests were answered; then comes a moment of chance.
fn flows(seen: &[AtomicUsize; 4]) -> bool {
    let answered = |lane: usize| seen[lane].load(Ordering::Relaxed) > 0;
    (answered(0) || answered(2)) && (answered(1) || answered(3))
}

/// Three times; twenty times with `AEGIS_ALL`.
#[test]
fn killed_under_load_it_keeps_what_it_answered() {
    let rounds = if std::env::var_os("AEGIS_ALL").is_some() { 20 } else { 3 };
    let place = Place::new();
    let url = format!("sqlite:{}", place.path("db").display());
    let mut served = place.serve();
    let (mut registrations, mut sign_ins) = (0, 0);
    for round in 0..rounds {
        let at = served.public;
        // In each round another one: a sign-in that a kill cut off remains an attempt, and slows those after it down.
        let ann = &format!("ann{round}@example.org");
        Client::new(at, "192.0.2.1").make_account(&place.path("mail"), ann, PASSWORD);
        let seen: [AtomicUsize; 4] = Default::default();
        let answered = thread::scope(|scope| {
            let seen = &seen;
            let lanes: Vec<_> = (0..4_u8)
                .map(|lane| scope.spawn(move || load(at, ann, round, lane, &seen[usize::from(lane)])))
                .collect();
            while lanes.iter().all(|lane| !lane.is_finished()) && !flows(seen) {
                thread::sleep(Duration::from_millis(5));
            }
            let mut chance = [0; 2];
            aws_lc_rs::rand::fill(&mut chance).unwrap();
            thread::sleep(Duration::from_millis(u64::from(u16::from_be_bytes(chance)) / 64));
            served.signal(Signal::SIGKILL);
            lanes.into_iter().map(|lane| lane.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(served.wait(), None);
        let acts = acts(&place, &url);
        let there = texts(&url, "SELECT address FROM registrations");
        served = place.serve();
        for one in answered {
            for email in &one.registrations {
                assert!(there.contains(email), "round {round}: {email} is lost");
            }
            for tokens in &one.tokens {
                let body = json!({"refresh_token": tokens["refresh_token"]});
                let exchanged = Client::new(served.public, "192.0.2.2").json("/api/v1/auth/refresh", &body);
                assert_eq!(exchanged.status, 200, "round {round}: a session is lost");
            }
            registrations += one.registrations.len();
            sign_ins += one.tokens.len();
        }
        assert!(count(&acts, "session.start") >= sign_ins, "round {round}: an act is not in the log");
    }
    assert!(registrations > 0 && sign_ins > 0, "nothing was under way");
    served.signal(Signal::SIGTERM);
    assert_eq!(served.wait(), Some(0));
    assert_eq!(count(&acts(&place, &url), "server.start"), rounds as usize + 1);
}
