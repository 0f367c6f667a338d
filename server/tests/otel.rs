//! Traces as a collector gets them: OTLP over HTTP, decoded here by the numbers of its fields
//! (opentelemetry-proto, trace/v1/trace.proto).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/client.rs"]
#[expect(dead_code, reason = "what other tests need of it")]
mod client;
#[path = "support/program.rs"]
#[expect(dead_code, reason = "what other tests need of it")]
mod program;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc,
    time::{Duration, SystemTime},
};

use client::Client;
use nix::sys::signal::Signal;
use program::Place;

/// A field of a message: its number, and a number or bytes.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number has no end");
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let field = match tag & 7 {
            0 => Field::Number(varint(&mut bytes)),
            kind => {
                let length = match kind {
                    1 => 8,
                    2 => usize::try_from(varint(&mut bytes)).unwrap(),
                    5 => 4,
                    other => panic!("{other} is no type of a field"),
                };
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                if kind == 1 {
                    Field::Number(u64::from_le_bytes(value.try_into().unwrap()))
                } else {
                    Field::Bytes(value)
                }
            }
        };
        found.push((tag >> 3, field));
    }
    found
}

/// The messages or texts of one number.
fn inner(bytes: &[u8], number: u64) -> Vec<&[u8]> {
    let of = |(found, field)| match field {
        Field::Bytes(bytes) if found == number => Some(bytes),
        _ => None,
    };
    fields(bytes).into_iter().filter_map(of).collect()
}

fn number(bytes: &[u8], wanted: u64) -> Option<u64> {
    fields(bytes).into_iter().find_map(|(found, field)| match field {
        Field::Number(value) if found == wanted => Some(value),
        _ => None,
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Attributes; a number is written as such.
fn attributes(bytes: &[u8], at: u64) -> BTreeMap<String, String> {
    let pair = |pair: &[u8]| {
        let value = inner(pair, 2)[0];
        let shown = inner(value, 1).first().map(|value| text(value));
        (text(inner(pair, 1)[0]), shown.unwrap_or_else(|| number(value, 3).unwrap().to_string()))
    };
    inner(bytes, at).into_iter().map(pair).collect()
}

/// Takes what is posted until the sender is dropped.
fn collector() -> (String, mpsc::Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = text.trim().parse().unwrap();
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
            if tell.send((head, body)).is_err() {
                return;
            }
        }
    });
    (endpoint, told)
}

#[test]
fn each_request_is_a_span_and_nobody_is_in_it() {
    let (endpoint, told) = collector();
    let place = Place::new();
    let mut file = fs::OpenOptions::new().append(true).open(place.path("config.toml")).unwrap();
    writeln!(file, "[otel]\nendpoint = \"{endpoint}\"").unwrap();
    let served = place.serve();
    let mut client = Client::new(served.public, "203.0.113.77");
    assert_eq!(client.get("/pricing?users=31337").status, 200);
    assert_eq!(client.get("/api/v1/releases").status, 200);
    let wrong = serde_json::json!({"email": "ann@example.org", "password": "a secret password"});
    assert_eq!(client.json("/api/v1/auth/login", &wrong).status, 401);
    let forged = [("traceparent", "00-11111111111111111111111111111111-2222222222222222-01")];
    assert_eq!(client.send("GET", "/status", &forged, "").unwrap().status, 200);
    served.signal(Signal::SIGTERM);
    assert_eq!(served.wait(), Some(0));

    let mut spans = BTreeMap::new();
    while spans.len() < 4 {
        let (head, body) = told.recv_timeout(Duration::from_secs(60)).expect("traces of four requests");
        assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
        assert!(head.to_ascii_lowercase().contains("content-type: application/x-protobuf\r\n"), "{head}");
        let all = String::from_utf8_lossy(&body).into_owned();
        for private in ["ann@", "secret", "203.0.113", "31337"] {
            assert!(!all.contains(private) && !head.contains(private), "{private}: {all}");
        }
        for resource in inner(&body, 1) {
            let about = attributes(inner(resource, 1)[0], 1);
            assert_eq!(about["service.name"], "aegis-server");
            assert_eq!(about.len(), 2, "{about:?}");
            for span in inner(resource, 2).into_iter().flat_map(|scope| inner(scope, 2)) {
                assert_ne!(inner(span, 1)[0], [0x11; 16], "a trace that a client names is not joined");
                assert_eq!(number(span, 6), Some(2), "the kind of a server");
                let (start, end) = (number(span, 7).unwrap(), number(span, 8).unwrap());
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
                assert!(
                    start <= end && u128::from(end) <= now && now - u128::from(start) < 3_600_000_000_000
                );
                spans.insert(text(inner(span, 5)[0]), attributes(span, 9));
            }
        }
    }
    let of = |name: &str, status: &str, route: &str| {
        let found = &spans[name];
        assert_eq!(found["http.response.status_code"], status, "{found:?}");
        assert_eq!(found["http.route"], route);
        assert_eq!(found.len(), 4, "{found:?}");
    };
    of("GET /{page}", "200", "/{page}");
    of("GET /api/v1/releases", "200", "/api/v1/releases");
    of("POST /api/v1/auth/login", "401", "/api/v1/auth/login");
    of("GET /status", "200", "/status");
}
