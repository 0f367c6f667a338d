//! Files for download in a folder and in a bucket, whose bytes are passed on or to which clients are sent; and on mirrors.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/bucket.rs"]
mod bucket;
#[expect(dead_code, reason = "other suites sign in")]
#[path = "support/client.rs"]
mod client;
#[path = "blobs/faults.rs"]
mod faults;
#[path = "blobs/mirrors.rs"]
mod mirrors;
#[path = "support/program.rs"]
mod program;
#[path = "support/release.rs"]
mod release;
#[path = "blobs/reload.rs"]
mod reload;
#[path = "blobs/sent.rs"]
mod sent;
#[path = "support/postgres.rs"]
mod server;
#[path = "blobs/together.rs"]
mod together;

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::Output,
    time::{Duration, Instant},
};

use aegis_core::edition::Edition;
use bucket::{Gate, SECRET, Store};
use client::{Answer, Client};
use program::Place;
use release::Maker;

const ISO: &str = "/download/freemium/1.0.0/aegis-freemium-1.0.0.iso";
const SUMS: &str = "/download/freemium/1.0.0/SHA256SUMS";
const PAID: &str = "/download/gamer/1.0.0/aegis-gamer-1.0.0.iso";

/// How the site of a test sends files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Folder,
    Passed,
    Redirected,
}

/// A configuration, with the store and the gate before it where there is a bucket.
struct Bench {
    place: Place,
    maker: Maker,
    keys: PathBuf,
    store: Option<Store>,
    gate: Option<Gate>,
}

impl Bench {
    fn new(how: How) -> Self {
        Self::with(Place::new(), how)
    }

    fn with(place: Place, how: How) -> Self {
        let maker = Maker::new();
        let keys = maker.keys(place.directory.path());
        let mut bench = Self { place, maker, keys, store: None, gate: None };
        if how != How::Folder {
            let store = Store::start();
            let gate = Gate::before(store.address());
            let section = store.section(gate.address, bench.place.directory.path(), SECRET);
            bench.configure(
                &store.url(),
                &format!("[downloads]\nredirect = {}\n{section}", how == How::Redirected),
            );
            (bench.store, bench.gate) = (Some(store), Some(gate));
        }
        bench
    }

    /// Other blobs, and more sections.
    fn configure(&self, blobs: &str, sections: &str) {
        let path = self.place.path("config.toml");
        let text = fs::read_to_string(&path).unwrap();
        let line = text.lines().find(|line| line.starts_with("blobs = ")).unwrap();
        fs::write(path, text.replace(line, &format!("blobs = {blobs}")) + sections).unwrap();
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn gate(&self) -> &Gate {
        self.gate.as_ref().unwrap()
    }

    fn release(&self, edition: Edition, content: &str) -> String {
        let folder = self.place.path(edition.id());
        self.maker.release(&folder, edition, content.as_bytes());
        folder.display().to_string()
    }

    fn publish(&self, edition: Edition, content: &str) -> Output {
        let folder = self.release(edition, content);
        self.place.run(&["publish", &folder, "--keys", self.keys.to_str().unwrap()])
    }
}

/// Bytes that are letters, so that a part tells its place.
fn content(length: usize) -> String {
    (0..length).map(|place| char::from(b'a' + u8::try_from((place / 26 + place) % 26).unwrap())).collect()
}

/// An answer as a client has it that goes where it is sent, with the same headers.
fn follow(at: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    let answer = Client::new(at, "192.0.2.1").send("GET", path, headers, "").unwrap();
    if answer.status != 307 {
        return answer;
    }
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let (at, rest) = place_of(answer.header("location").unwrap());
    let mut client = Client::new(at, "192.0.2.1");
    client.host = at.to_string();
    client.send("GET", &rest, headers, "").unwrap()
}

/// Socket and path of an address.
fn place_of(address: &str) -> (SocketAddr, String) {
    let (host, path) = address.strip_prefix("http://").unwrap().split_once('/').unwrap();
    (host.parse().unwrap(), format!("/{path}"))
}

/// Waits until something holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains(SECRET) && !text.contains(bucket::KEY), "{text}");
    text
}
