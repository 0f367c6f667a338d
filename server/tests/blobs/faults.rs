//! Buckets that are gone, refuse, or are cut off in the middle.

use std::process::{Child, Stdio};

use aegis_core::edition::Edition;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    Bench, How, ISO, SUMS,
    bucket::Rule,
    client::{Answer, Client},
    content, follow,
    program::Served,
    said, until,
};

/// More than one part of an upload.
const LONG: usize = 12 * 1024 * 1024;

fn is_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json()["code"], "unavailable");
    assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    assert!(!answer.body.contains("127.0.0.1") && !answer.body.contains("sha256"), "{}", answer.body);
}

/// Status of `/readyz`, and what it says of files.
fn ready(served: &Served) -> (u16, bool) {
    let answer = Client::new(served.watch, "").get("/readyz");
    (answer.status, answer.json()["blobs"].as_bool().unwrap())
}

#[test]
fn the_bucket_goes_and_comes_back() {
    for how in [How::Passed, How::Redirected] {
        let bench = Bench::new(how);
        assert!(bench.publish(Edition::Freemium, "an image").status.success());
        let served = bench.place.serve();
        assert_eq!(ready(&served), (200, true));
        bench.store().stop();
        is_unavailable(&follow(served.public, ISO, &[]));
        // What needs no bucket goes on.
        let mut client = Client::new(served.public, "192.0.2.1");
        let head = client.send("HEAD", ISO, &[], "").unwrap();
        assert_eq!(head.status, 200);
        let known = [("If-None-Match", head.header("etag").unwrap())];
        assert_eq!(client.send("GET", ISO, &known, "").unwrap().status, 304);
        assert_eq!(client.get("/downloads").status, 200);
        until("ready without a bucket", || ready(&served) == (503, false));
        let refused = bench.publish(Edition::Server, "another");
        assert_eq!(refused.status.code(), Some(1));
        let text = said(&refused);
        assert!(text.contains("the object storage: ") && text.contains("next:"), "{text}");
        bench.store().go();
        until("not ready again", || ready(&served) == (200, true));
        assert_eq!(follow(served.public, ISO, &[]).body, "an image");
    }
}

#[test]
fn a_download_that_is_cut_goes_on_where_it_was() {
    let (bench, content) = (Bench::new(How::Passed), content(3 * 1024 * 1024));
    assert!(bench.publish(Edition::Freemium, &content).status.success());
    let served = bench.place.serve();
    bench.gate().set(Rule { cut_down: Some(1_500_000), ..Rule::default() });
    let mut client = Client::new(served.public, "192.0.2.1");
    let cut = client.send("GET", ISO, &[], "").unwrap_err();
    assert!(cut.to_string().contains("was cut"), "{cut}");
    bench.gate().set(Rule::default());
    let part = client.send("GET", ISO, &[("Range", "bytes=1000000-")], "").unwrap();
    assert!(part.status == 206 && part.body == content[1_000_000..]);
}

#[test]
fn a_file_that_is_missing_or_of_another_size_is_not_sent() {
    for how in [How::Passed, How::Redirected] {
        let bench = Bench::new(how);
        assert!(bench.publish(Edition::Freemium, "an image").status.success());
        let served = bench.place.serve();
        bench.store().spoil(8, b"an image and more");
        let answer = follow(served.public, ISO, &[]);
        assert_eq!((answer.status, answer.json()["code"].as_str().unwrap()), (500, "internal"));
        bench.store().clear();
        is_unavailable(&follow(served.public, SUMS, &[]));
    }
}

#[test]
fn wrong_credentials_are_told_and_never_shown() {
    let bench = Bench::new(How::Passed);
    assert!(bench.publish(Edition::Freemium, "an image").status.success());
    bench.store().section(bench.gate().address, bench.place.directory.path(), "wrong");
    let refused = bench.publish(Edition::Server, "another");
    let text = said(&refused);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("it refuses the credentials") && text.contains("next:"), "{text}");
    let mut command = bench.place.command(&["serve"]);
    let log = bench.place.path("log");
    let served = Served::start({
        command.stderr(std::fs::File::create(&log).unwrap());
        command
    });
    is_unavailable(&follow(served.public, ISO, &[]));
    assert_eq!(ready(&served), (503, false));
    drop(served);
    let log = std::fs::read_to_string(log).unwrap();
    assert!(
        log.contains("refuses the credentials")
            && !log.contains("wrong")
            && !log.contains(crate::bucket::KEY),
        "{log}"
    );

    let bench = Bench::new(How::Folder);
    bench.configure("\"s3://aegis-files\"", "");
    let refused = bench.place.run(&["check-config"]);
    let text = said(&refused);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text.contains("storage.s3.credentials: is missing") && text.contains("next:"), "{text}");
}

#[test]
fn a_bucket_that_does_not_exist_is_named_as_the_cause() {
    let bench = Bench::new(How::Passed);
    let text = std::fs::read_to_string(bench.place.path("config.toml")).unwrap();
    std::fs::write(bench.place.path("config.toml"), text.replace("s3://aegis-files", "s3://no-such-bucket"))
        .unwrap();
    let refused = bench.publish(Edition::Freemium, "an image");
    let text = said(&refused);
    assert!(refused.status.code() == Some(1) && text.contains("the bucket is not there"), "{text}");
    assert_eq!(ready(&bench.place.serve()), (503, false));
}

/// Publishes, until so many bytes are on their way to the bucket.
fn stopped_in_the_middle(bench: &Bench) -> Child {
    let folder = bench.release(Edition::Freemium, &content(LONG));
    bench.gate().set(Rule { stop_up: Some(LONG as u64 / 2), ..Rule::default() });
    let mut command = bench.place.command(&["publish", &folder, "--keys", bench.keys.to_str().unwrap()]);
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    bench.gate().wait_until_stopped();
    child
}

#[test]
fn an_upload_that_is_killed_leaves_nothing_to_be_seen_and_is_made_again() {
    let bench = Bench::new(How::Passed);
    let mut child = stopped_in_the_middle(&bench);
    child.kill().unwrap();
    child.wait().unwrap();
    bench.gate().set(Rule::default());
    assert!(bench.store().objects().is_empty());
    let served = bench.place.serve();
    assert_eq!(follow(served.public, ISO, &[]).status, 404);
    let published = bench.publish(Edition::Freemium, &content(LONG));
    assert!(published.status.success(), "{}", said(&published));
    served.signal(Signal::SIGHUP);
    until("the release is not there", || {
        Client::new(served.public, "192.0.2.1").send("HEAD", ISO, &[], "").unwrap().status == 200
    });
    assert!(follow(served.public, ISO, &[]).body == content(LONG));
}

#[test]
fn an_upload_that_is_interrupted_takes_its_parts_back() {
    let bench = Bench::new(How::Passed);
    let child = stopped_in_the_middle(&bench);
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    bench.gate().set(Rule::default());
    let output = child.wait_with_output().unwrap();
    let text = said(&output);
    assert!(output.status.code() == Some(1) && text.contains("it was interrupted"), "{text}");
    assert!(bench.store().objects().is_empty() && !bench.store().has_parts());
}

#[test]
fn a_byte_that_changes_on_the_way_is_noticed_and_sent_again() {
    let bench = Bench::new(How::Passed);
    bench.gate().set(Rule { change_up: Some(LONG as u64 / 2), ..Rule::default() });
    let published = bench.publish(Edition::Freemium, &content(LONG));
    assert!(published.status.success(), "{}", said(&published));
    assert!(bench.gate().has_changed() && !bench.store().has_parts());
    assert!(follow(bench.place.serve().public, ISO, &[]).body == content(LONG));
}
