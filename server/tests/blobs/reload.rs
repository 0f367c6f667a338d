//! Whether clients are sent to a bucket, changed by SIGHUP.

use std::fs;

use aegis_core::edition::Edition;
use nix::sys::signal::Signal;

use crate::{Bench, How, ISO, client::Client, follow, until};

#[test]
fn clients_are_sent_to_a_bucket_or_not_from_the_next_request_on() {
    let bench = Bench::new(How::Redirected);
    assert!(bench.publish(Edition::Freemium, "an image").status.success());
    let served = bench.place.serve();
    let status = || Client::new(served.public, "192.0.2.1").get(ISO).status;
    assert_eq!(status(), 307);
    let path = bench.place.path("config.toml");
    let redirected = fs::read_to_string(&path).unwrap();
    let passed = redirected.replace("redirect = true", "redirect = false");
    assert_ne!(redirected, passed);
    for (text, expected) in [(passed, 200), (redirected, 307)] {
        fs::write(&path, text).unwrap();
        served.signal(Signal::SIGHUP);
        until("the way that files are sent has changed", || status() == expected);
        assert_eq!(follow(served.public, ISO, &[]).body, "an image");
    }
}
