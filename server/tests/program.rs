//! The program as an operator meets it: publishing, serving, signals, backup and restore, mistakes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "program/account.rs"]
mod account;
#[path = "support/certificate.rs"]
mod certificate;
#[path = "support/client.rs"]
mod client;
#[path = "program/downloads.rs"]
mod downloads;
#[path = "program/logged.rs"]
mod logged;
#[path = "support/program.rs"]
mod program;
#[path = "program/redirect.rs"]
mod redirect;
#[path = "program/reload.rs"]
mod reload;
#[path = "program/rotation.rs"]
mod rotation;

#[path = "support/release.rs"]
mod release;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use aegis_core::edition::Edition;
use nix::sys::signal::Signal;
use program::Place;
use release::Maker;

/// Status and content.
fn get(address: SocketAddr, path: &str) -> (u16, Vec<u8>) {
    get_as(address, path, "*/*")
}

fn get_as(address: SocketAddr, path: &str, accept: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let head = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    (String::from_utf8_lossy(&all[9..12]).parse().unwrap(), all[head..].to_vec())
}

#[test]
fn what_is_published_is_served_and_what_was_tampered_with_is_not() {
    let (place, maker) = (Place::new(), Maker::new());
    let keys = maker.keys(place.directory.path());
    let publish = |name: &str, keys: &Path| {
        place.run(&["publish", place.path(name).to_str().unwrap(), "--keys", keys.to_str().unwrap()])
    };
    maker.release(&place.path("good"), Edition::Freemium, b"an image");
    assert!(publish("good", &keys).status.success());
    assert!(publish("good", &keys).status.success());

    // Another file of the same length under the same manifest; another key; another content as the same version.
    maker.release(&place.path("tampered"), Edition::Server, b"an image");
    fs::write(place.path("tampered/aegis-server-1.0.0.iso"), b"AN IMAGE").unwrap();
    let refused = publish("tampered", &keys);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    let other = Maker::new().keys(&place.path("tampered"));
    maker.release(&place.path("fine"), Edition::Server, b"an image");
    assert_eq!(publish("fine", &other).status.code(), Some(3));
    maker.release(&place.path("changed"), Edition::Freemium, b"another");
    let refused = publish("changed", &keys);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("was published before") && said.contains("next:"),
        "{said}"
    );

    let served = place.serve();
    let path = "/download/freemium/1.0.0/aegis-freemium-1.0.0.iso";
    assert_eq!(get(served.public, path), (200, b"an image".to_vec()));
    assert_eq!(get(served.public, "/download/server/1.0.0/aegis-server-1.0.0.iso").0, 404);
    let page = String::from_utf8(get(served.public, "/downloads").1).unwrap();
    assert!(page.contains(path), "the page of downloads does not name {path}");

    // What is published while it runs is there soon, also on the pages; what is paid for needs a link.
    maker.release(&place.path("gamer"), Edition::Gamer, b"a game");
    assert!(publish("gamer", &keys).status.success());
    served.signal(Signal::SIGHUP);
    let path = "/download/gamer/1.0.0/aegis-gamer-1.0.0.iso";
    let begun = Instant::now();
    while get(served.public, path).0 != 403 {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    // A person is told on a page, a program by a problem.
    let page = String::from_utf8(get_as(served.public, path, "text/html,*/*;q=0.8").1).unwrap();
    assert!(page.contains("<h1>") && page.contains("need a license or a link"), "{page}");
    assert!(get(served.public, path).1.starts_with(b"{"));
    // What it must be is no secret.
    for name in ["manifest.json", "manifest.json.sig", "SHA256SUMS"] {
        assert_eq!(get(served.public, &format!("/download/gamer/1.0.0/{name}")).0, 200, "{name}");
    }
    let link = place.run(&["link", path]);
    let link = String::from_utf8(link.stdout).unwrap();
    let query = link.trim().rsplit_once('?').unwrap().1;
    assert_eq!(get(served.public, &format!("{path}?{query}")), (200, b"a game".to_vec()));
    assert!(!place.run(&["link", "/download/gamer/1.0.0/other.iso"]).status.success());
}

#[test]
fn it_ends_when_it_is_told_and_starts_again_after_it_was_killed() {
    let place = Place::new();
    let served = place.serve();
    assert_eq!(get(served.watch, "/healthz").0, 200);
    assert_eq!(get(served.watch, "/readyz").0, 200);
    assert_eq!(get(served.public, "/readyz").0, 404);
    assert_eq!(get(served.public, "/").0, 200);
    assert_eq!(get(served.public, "/no-such-page").0, 404);
    let second = place.run(&["serve"]);
    assert_eq!(second.status.code(), Some(3), "{second:?}");
    served.signal(Signal::SIGKILL);
    assert_eq!(served.wait(), None);
    let served = place.serve();
    assert_eq!(get(served.public, "/").0, 200);
    served.signal(Signal::SIGTERM);
    assert_eq!(served.wait(), Some(0));
}

#[test]
fn a_copy_is_made_while_it_serves_and_put_back_when_it_does_not() {
    let (place, maker) = (Place::new(), Maker::new());
    let keys = maker.keys(place.directory.path());
    let served = place.serve();
    let copy = place.path("copy");
    let copy = copy.to_str().unwrap();
    assert!(place.run(&["backup", copy]).status.success());
    assert!(!place.run(&["backup", copy]).status.success());
    maker.release(&place.path("good"), Edition::Freemium, b"an image");
    let directory = place.path("good");
    let publish = ["publish", directory.to_str().unwrap(), "--keys", keys.to_str().unwrap()];
    assert!(place.run(&publish).status.success());
    assert_eq!(place.run(&["restore", copy]).status.code(), Some(3));
    served.signal(Signal::SIGTERM);
    assert_eq!(served.wait(), Some(0));
    let acts = |place: &Place| {
        assert!(place.run(&["audit", "verify"]).status.success());
        let file = place.path("audit.jsonl");
        let _ = fs::remove_file(&file);
        assert!(place.run(&["audit", "export", file.to_str().unwrap()]).status.success());
        let text = fs::read_to_string(file).unwrap();
        ["database.backup", "release.publish", "database.restore"].map(|act| text.matches(act).count())
    };
    assert_eq!(acts(&place), [1, 1, 0]);
    let restored = place.run(&["restore", copy]);
    assert!(restored.status.success(), "{restored:?}");
    assert_eq!(acts(&place), [0, 0, 1], "what came after the copy is gone, and the restoring is told");
    let served = place.serve();
    assert_eq!(get(served.public, "/download/freemium/1.0.0/aegis-freemium-1.0.0.iso").0, 404);
}

#[test]
fn mistakes_of_the_operator_are_named() {
    let place = Place::new();
    let said = |arguments: &[&str]| {
        let output = place.run(arguments);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = said(&["serve", "--set", "listen.pubic=1"]);
    assert!(code == Some(2) && text.contains("pubic") && text.contains("next:"), "{text}");
    let (code, text) = said(&["serve", "--set", "storage.database=mysql://x"]);
    assert!(code == Some(2) && text.contains("storage.database"), "{text}");
    let (code, text) = said(&["serve", "--set", "storage.secret=/nowhere/secret"]);
    assert!(code == Some(1) && text.contains("/nowhere/secret"), "{text}");
    let (code, text) = said(&["serve", "--set", "tls={certificate=\"/nowhere\",key=\"/nowhere\"}"]);
    assert!(code == Some(2) && text.contains("/nowhere") && text.contains("next:"), "{text}");
    let (code, _) = said(&["check-config"]);
    assert_eq!(code, Some(0));
    let (code, _) = said(&["nonsense"]);
    assert_eq!(code, Some(2));
    // A database that is damaged is not served; its log, which could repair it, is gone too.
    for companion in ["db-wal", "db-shm"] {
        let _ = fs::remove_file(place.path(companion));
    }
    fs::write(place.path("db"), vec![0x55; 8192]).unwrap();
    let (code, text) = said(&["serve"]);
    assert!(code == Some(1) || code == Some(3), "{text}");
}
