//! SIGHUP changes how files are sent, while some are on their way.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use aegis_core::edition::Edition;

use crate::{
    Maker,
    client::Client,
    logged::{Logged, configure},
    program::Place,
};

const ISO: &str = "/download/freemium/1.0.0/aegis-freemium-1.0.0.iso";
const MIRROR: &str = "[[downloads.mirrors]]\nurl = \"https://mirror.example/aegis\"\n";
/// More than sockets of both sides keep.
const LENGTH: usize = 24 * 1024 * 1024;

/// A place where one free release is published, with the content of its image.
fn published() -> (Place, Vec<u8>) {
    let (place, maker) = (Place::new(), Maker::new());
    let content: Vec<u8> = (0..LENGTH).map(|at| u8::try_from((at / 251 + at) % 251).unwrap()).collect();
    let keys = maker.keys(place.directory.path());
    maker.release(&place.path("free"), Edition::Freemium, &content);
    let folder = place.path("free");
    let arguments = ["publish", folder.to_str().unwrap(), "--keys", keys.to_str().unwrap()];
    assert!(place.run(&arguments).status.success());
    (place, content)
}

fn edit(place: &Place, change: impl FnOnce(String) -> String) {
    let path = place.path("config.toml");
    fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
}

fn page(at: SocketAddr) -> String {
    Client::new(at, "192.0.2.1").get("/downloads").body
}

/// Status and `Location` of a part of the image.
fn part(at: SocketAddr) -> (u16, Option<String>) {
    let answer = Client::new(at, "192.0.2.1").send("GET", ISO, &[("Range", "bytes=0-9")], "").unwrap();
    (answer.status, answer.header("location").map(str::to_owned))
}

#[test]
fn mirrors_and_limits_change_for_what_is_asked_next_and_not_for_what_runs() {
    let (place, content) = published();
    let logged = Logged::start(&place);
    let public = logged.served.public;
    let mut running = TcpStream::connect(public).unwrap();
    running.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let head = "Host: localhost\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.1";
    write!(running, "GET {ISO} HTTP/1.1\r\n{head}\r\n\r\n").unwrap();
    let mut first = [0; 12];
    running.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    assert_eq!(part(public), (206, None), "a second one beside it");

    configure(&place, &[("limits", "downloads_per_address = 1")]);
    logged.reload();
    assert_eq!(part(public).0, 429, "one at a time");
    edit(&place, |text| text.replace("downloads_per_address = 1\n", "") + MIRROR);
    let lines = logged.reload();
    assert!(lines.iter().all(|line| !line.contains("restart")), "{lines:?}");
    let there = Some("https://mirror.example/aegis/freemium/1.0.0/aegis-freemium-1.0.0.iso".to_owned());
    assert_eq!(part(public), (307, there.clone()));
    assert!(page(public).contains("mirror.example"), "the page names it");

    // What is no mirror leaves the former ones, and another place of files waits while mirrors change.
    edit(&place, |text| text.replace("https://mirror.", "ftp://mirror."));
    let lines = logged.reload().join("\n");
    assert!(
        ["downloads.mirrors", "ftp://", "next:", "stays in use"].iter().all(|word| lines.contains(word)),
        "{lines}"
    );
    assert_eq!(part(public), (307, there));
    edit(&place, |text| {
        text.split(MIRROR.split("url").next().unwrap()).next().unwrap().replace("/blobs\"", "/others\"")
    });
    let lines = logged.reload();
    let waits: Vec<_> = lines.iter().filter(|line| line.contains("waits for a restart")).collect();
    assert!(waits.len() == 1 && waits[0].contains("\"storage.blobs\""), "{lines:?}");
    assert_eq!(part(public), (206, None));
    assert!(!page(public).contains("mirror.example"));

    let mut rest = Vec::new();
    running.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(&content), "what ran went on to its end");
}
