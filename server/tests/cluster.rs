//! The program among others: two processes as one, behind a balancer, killed under load, cut off, without its database, on a
//! full disk, before a mail server.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "cluster/balancer.rs"]
mod balancer;
#[path = "support/client.rs"]
mod client;
#[path = "cluster/clock.rs"]
mod clock;
#[path = "cluster/faults.rs"]
mod faults;
#[path = "cluster/idle.rs"]
mod idle;
#[path = "cluster/killed.rs"]
mod killed;
#[path = "cluster/letters.rs"]
mod letters;
#[path = "cluster/networks.rs"]
mod networks;
#[path = "support/program.rs"]
mod program;
#[path = "support/release.rs"]
mod release;
#[path = "cluster/restored.rs"]
mod restored;
#[path = "support/postgres.rs"]
mod server;
#[path = "cluster/together.rs"]
mod together;
#[path = "cluster/traffic.rs"]
mod traffic;
#[path = "cluster/wires.rs"]
mod wires;

use std::time::{Duration, Instant};

use aegis_server::{
    Clock,
    store::{self, Statement},
};

const PASSWORD: &str = "correct horse on a hill";

/// Waits until something holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The first column of an answer of the database.
fn texts(url: &str, sql: &'static str) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = store::open(url, &Clock::default()).await.unwrap();
        let rows = store.read(Statement::new(sql, [])).await.unwrap();
        rows.iter().map(|row| row.text(0).unwrap().to_owned()).collect()
    })
}

/// Acts in the audit log, which must be good.
fn acts(place: &program::Place, url: &str) -> Vec<String> {
    let verified = place.run(&["audit", "verify", "--set", &format!("storage.database={url}")]);
    assert!(verified.status.success(), "{verified:?}");
    let entries = texts(url, "SELECT entry FROM audit_entries ORDER BY position");
    let act = |entry: &String| {
        assert!(!entry.contains('@') && !entry.contains('?'), "{entry}");
        serde_json::from_str::<serde_json::Value>(entry).unwrap()["act"].as_str().unwrap().to_owned()
    };
    entries.iter().map(act).collect()
}

fn count(acts: &[String], act: &str) -> usize {
    acts.iter().filter(|found| *found == act).count()
}
