//! Two processes on one database of PostgreSQL and one bucket.

use std::thread;

use aegis_core::edition::Edition;
use nix::sys::signal::Signal;

use crate::{Bench, How, ISO, client::Client, content, follow, program::Place, said, server, until};

#[test]
fn two_processes_on_one_bucket_are_one() {
    let server = server::shared();
    let directory = tempfile::tempdir().unwrap();
    let mail = format!("folder = \"{}/mail\"", directory.path().display());
    let bench = Bench::with(Place::with(directory, &server.database(), &mail), How::Passed);
    let (one, two) = (bench.place.serve(), bench.place.serve());
    // Two publish the same at the same time: one object, and neither fails.
    let content = content(9 * 1024 * 1024);
    let folder = bench.release(Edition::Freemium, &content);
    let publish = || bench.place.run(&["publish", &folder, "--keys", bench.keys.to_str().unwrap()]);
    thread::scope(|scope| {
        for published in [scope.spawn(publish), scope.spawn(publish)] {
            let published = published.join().unwrap();
            assert!(published.status.success(), "{}", said(&published));
        }
    });
    assert_eq!(bench.store().objects().len(), 4);
    assert!(!bench.store().has_parts());
    for served in [&one, &two] {
        served.signal(Signal::SIGHUP);
        until("the release is not there", || {
            Client::new(served.public, "192.0.2.1").send("HEAD", ISO, &[], "").unwrap().status == 200
        });
    }
    // A download begins at one and goes on at the other, which is alone.
    let etag = Client::new(one.public, "192.0.2.1").send("HEAD", ISO, &[], "").unwrap();
    let etag = etag.header("etag").unwrap().to_owned();
    let begun = follow(one.public, ISO, &[("Range", "bytes=0-4999999")]);
    one.signal(Signal::SIGKILL);
    assert_eq!(one.wait(), None);
    let rest = follow(two.public, ISO, &[("Range", "bytes=5000000-"), ("If-Range", &etag)]);
    assert_eq!((begun.status, rest.status), (206, 206));
    assert!(begun.body + &rest.body == content);
    assert_eq!(Client::new(two.watch, "").get("/readyz").status, 200);
}
