//! Ten thousand connections that do nothing.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use nix::sys::{
    resource::{Resource, getrlimit, setrlimit},
    signal::Signal,
};
use serde_json::json;

use crate::{
    PASSWORD,
    client::Client,
    program::{Place, Served},
    until,
};

const MANY: usize = 10_000;
/// Bytes of memory for each that never said anything, and for each that asked once and stays.
const SILENT: usize = 8 * 1024;
const ASKED: usize = 32 * 1024;

/// Lets this process, and what it starts, have so many connections.
fn allow_connections() {
    let wanted = u64::try_from(MANY + 1000).unwrap();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    assert!(
        hard >= wanted,
        "a process may have {hard} files here, and {wanted} are needed: raise ulimit -Hn"
    );
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(wanted), hard).unwrap();
}

/// Bytes of memory that a process has.
fn resident(served: &Served) -> usize {
    let text = fs::read_to_string(format!("/proc/{}/status", served.child.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

fn open(served: &Served) -> usize {
    let metrics = Client::new(served.watch, "").get("/metrics").body;
    metrics.lines().find_map(|line| line.strip_prefix("aegis_connections ")).unwrap().parse().unwrap()
}

fn connect(at: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Asks for a page and reads it whole; the connection stays.
fn ask(stream: &mut TcpStream) {
    stream.write_all(b"GET /robots.txt HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut got = Vec::new();
    let end = |got: &[u8]| got.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
    let mut step = [0; 4096];
    loop {
        let read = stream.read(&mut step).unwrap();
        assert!(read > 0, "the connection was closed");
        got.extend_from_slice(&step[..read]);
        let Some(head) = end(&got) else { continue };
        let text = String::from_utf8_lossy(&got[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if got.len() == head + length.parse::<usize>().unwrap() {
            assert!(text.starts_with("http/1.1 200"), "{text}");
            return;
        }
    }
}

fn others_are_served(served: &Served) {
    let mut client = Client::new(served.public, "192.0.2.1");
    assert_eq!((client.get("/").status, client.get("/account/sign-in").status), (200, 200));
    assert_eq!(client.get("/api/v1/editions").status, 200);
    let body = json!({"email": "nobody@example.org", "password": PASSWORD});
    assert_eq!(client.json("/api/v1/auth/login", &body).status, 401);
    assert_eq!(Client::new(served.watch, "").get("/readyz").status, 200);
}

#[test]
fn ten_thousand_idle_connections_cost_little_and_others_are_served() {
    allow_connections();
    let place = Place::new();
    let served = Served::start(place.command(&[
        "serve",
        "--set",
        "limits.connections_per_address=20000",
        "--set",
        "limits.header_seconds=600",
        "--set",
        "limits.idle_seconds=600",
    ]));
    others_are_served(&served);
    let before = resident(&served);
    let mut held: Vec<_> = (0..MANY).map(|_| connect(served.public)).collect();
    until("all are accepted", || open(&served) >= MANY);
    others_are_served(&served);
    let silent = resident(&served).saturating_sub(before) / MANY;
    assert!(silent < SILENT, "{silent} bytes for each connection that says nothing");
    held.iter_mut().for_each(ask);
    others_are_served(&served);
    let asked = resident(&served).saturating_sub(before) / MANY;
    assert!(asked < ASKED, "{asked} bytes for each connection that asked once");
    // At the end all are told, and nobody is waited for.
    served.signal(Signal::SIGTERM);
    for mut stream in held {
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
    assert_eq!(served.wait(), Some(0));
}
