//! Mirrors of what everyone may download.

use aegis_core::edition::Edition;

use crate::{Bench, How, ISO, PAID, client::Client, follow, program::Place};

#[test]
fn free_files_come_from_mirrors_and_from_here_on_request() {
    let mirror = Bench::new(How::Folder);
    assert!(mirror.publish(Edition::Freemium, "an image").status.success());
    let mirror = mirror.place.serve();
    let base = format!("http://{}/download", mirror.public);
    let bench = Bench::with(Place::new(), How::Folder);
    let blobs = format!("\"{}\"", bench.place.path("blobs").display());
    let far = "[[downloads.mirrors]]\nurl = \"https://far.example/a\"\nnetworks = [\"198.51.100.0/24\"]\n";
    bench.configure(&blobs, &format!("{far}[[downloads.mirrors]]\nurl = \"{base}/\"\n"));
    for (edition, content) in [(Edition::Freemium, "an image"), (Edition::Gamer, "a game")] {
        assert!(bench.publish(edition, content).status.success());
    }
    let served = bench.place.serve();
    let mut client = Client::new(served.public, "192.0.2.1");
    let sent = client.get(ISO);
    let there = format!("{base}/freemium/1.0.0/aegis-freemium-1.0.0.iso");
    assert_eq!((sent.status, sent.header("location")), (307, Some(there.as_str())));
    assert_eq!(sent.header("link"), Some(format!("<{there}>; rel=duplicate; pri=1").as_str()));
    assert!(sent.header("digest").unwrap().starts_with("SHA-256="));
    assert!(
        sent.header("repr-digest").unwrap().contains(&sent.header("digest").unwrap()["SHA-256=".len()..])
    );
    assert_eq!(sent.header("cache-control"), Some("no-store"));
    assert_eq!(follow(served.public, ISO, &[]).body, "an image");
    assert_eq!(follow(served.public, ISO, &[("Range", "bytes=3-7")]).body, "image");

    let ours = client.get(&format!("{ISO}?mirror=0"));
    assert_eq!((ours.status, ours.body.as_str()), (200, "an image"));
    assert!(ours.header("link").is_some() && ours.header("cache-control").unwrap().contains("immutable"));
    // What depends on our tag is answered here; a header is that of the file.
    let etag = ours.header("etag").unwrap();
    let resumed = client.send("GET", ISO, &[("Range", "bytes=3-"), ("If-Range", etag)], "").unwrap();
    assert_eq!((resumed.status, resumed.body.as_str()), (206, "image"));
    let head = client.send("HEAD", ISO, &[], "").unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, Some("8")));
    // A network has a mirror of its own; what is paid for has none.
    let near = Client::new(served.public, "198.51.100.7").get(ISO);
    assert!(near.header("location").unwrap().starts_with("https://far.example/a/freemium/"));
    let paid = client.get(PAID);
    assert_eq!((paid.status, paid.header("link")), (403, None));
    let link = String::from_utf8(bench.place.run(&["link", PAID]).stdout).unwrap();
    let paid = client.get(&format!("{PAID}?{}", link.trim().rsplit_once('?').unwrap().1));
    assert_eq!((paid.status, paid.body.as_str(), paid.header("link")), (200, "a game", None));

    let page = client.get("/downloads").body;
    assert!(page.contains(&mirror.public.to_string()) && page.contains("?mirror=0"), "{page}");
    assert!(!page.contains("far.example"));
}
