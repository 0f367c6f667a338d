//! What a client gets is the same from a folder, from a bucket through this server, and from the bucket itself.

use std::{io::Write, net::TcpStream};

use aegis_core::edition::Edition;

use crate::{Bench, How, ISO, PAID, SUMS, client::Client, content, follow, program::Served, said};

/// Longer than what a bucket is asked for at a time.
const LENGTH: usize = 2 * 1024 * 1024 + 12_345;

/// Makes a test for each way of sending.
macro_rules! on_all {
    ($($name:ident)*) => {
        mod folder {
            $( #[test] fn $name() { super::$name(super::How::Folder); } )*
        }
        mod passed {
            $( #[test] fn $name() { super::$name(super::How::Passed); } )*
        }
        mod redirected {
            $( #[test] fn $name() { super::$name(super::How::Redirected); } )*
        }
    };
}

on_all! {
    all_of_a_file_and_every_part_of_it
    conditions_are_judged_here
    what_is_not_for_everyone_needs_a_link
    publishing_again_changes_nothing_and_what_was_tampered_with_is_not_taken
}

fn all_of_a_file_and_every_part_of_it(how: How) {
    let (bench, content) = (Bench::new(how), content(LENGTH));
    let published = bench.publish(Edition::Freemium, &content);
    assert!(published.status.success(), "{}", said(&published));
    let served = bench.place.serve();
    let whole = follow(served.public, ISO, &[]);
    assert_eq!(whole.status, 200);
    assert!(whole.body == content);

    let mut client = Client::new(served.public, "192.0.2.1");
    let head = client.send("HEAD", ISO, &[], "").unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, Some(LENGTH.to_string().as_str())));
    assert_eq!(head.header("accept-ranges"), Some("bytes"));
    let etag = head.header("etag").unwrap().to_owned();
    assert!(head.header("repr-digest").unwrap().starts_with("sha-256=:"));

    let last = LENGTH - 1;
    for (asked, first, to) in [
        ("bytes=0-0".to_owned(), 0, 0),
        ("bytes=1000000-1100000".into(), 1_000_000, 1_100_000),
        (format!("bytes={}-", 1024 * 1024), 1024 * 1024, last),
        ("bytes=-5".into(), LENGTH - 5, last),
        (format!("bytes={last}-9999999999"), last, last),
    ] {
        let part = follow(served.public, ISO, &[("Range", &asked)]);
        assert_eq!(part.status, 206, "{asked}");
        assert_eq!(part.header("content-range"), Some(format!("bytes {first}-{to}/{LENGTH}").as_str()));
        assert!(part.body == content[first..=to], "{asked}");
    }
    let nothing = client.send("GET", ISO, &[("Range", "bytes=9999999999-")], "").unwrap();
    assert_eq!(nothing.status, 416);
    assert_eq!(nothing.header("content-range"), Some(format!("bytes */{LENGTH}").as_str()));
    // Several parts, and a part of what a client has by our tag, come from here.
    let many = client.send("GET", ISO, &[("Range", "bytes=0-2,1048570-1048580")], "").unwrap();
    assert_eq!(many.status, 206);
    assert!(many.body.contains(&content[1_048_570..=1_048_580]) && many.body.contains(&content[..3]));
    let resumed = [("Range", "bytes=5-9"), ("If-Range", &etag)];
    let resumed = client.send("GET", ISO, &resumed, "").unwrap();
    assert_eq!((resumed.status, resumed.body.as_str()), (206, &content[5..10]));
    let other = client.send("GET", ISO, &[("Range", "bytes=5-9"), ("If-Range", "\"other\"")], "").unwrap();
    assert!(other.status == 200 && other.body == content);
}

fn conditions_are_judged_here(how: How) {
    let bench = Bench::new(how);
    assert!(bench.publish(Edition::Freemium, "an image").status.success());
    let served = bench.place.serve();
    let mut client = Client::new(served.public, "192.0.2.1");
    let head = client.send("HEAD", ISO, &[], "").unwrap();
    let (etag, dated) = (head.header("etag").unwrap(), head.header("last-modified").unwrap());
    for (headers, status) in [
        (("If-None-Match", etag), 304),
        (("If-None-Match", "\"other\""), 200),
        (("If-Match", "\"other\""), 412),
        (("If-Match", etag), 200),
        (("If-Modified-Since", dated), 304),
        (("If-Unmodified-Since", dated), 200),
        (("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"), 412),
    ] {
        let answer = client.send("GET", ISO, &[headers], "").unwrap();
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(answer.header("etag"), Some(etag));
        assert_eq!(answer.body, if status == 200 { "an image" } else { "" });
    }
    assert_eq!(client.send("POST", ISO, &[], "").unwrap().status, 405);
}

fn what_is_not_for_everyone_needs_a_link(how: How) {
    let bench = Bench::new(how);
    assert!(bench.publish(Edition::Gamer, "a game").status.success());
    let served = bench.place.serve();
    assert_eq!(follow(served.public, PAID, &[]).status, 403);
    let link = bench.place.run(&["link", PAID]);
    let link = String::from_utf8(link.stdout).unwrap();
    let path = format!("{PAID}?{}", link.trim().rsplit_once('?').unwrap().1);
    let answer = follow(served.public, &path, &[]);
    assert_eq!((answer.status, answer.body.as_str()), (200, "a game"));
    if how == How::Redirected {
        let sent = Client::new(served.public, "192.0.2.1").get(&path);
        let address = sent.header("location").unwrap();
        assert!(
            address.contains("aegis-gamer-1.0.0.iso") && address.contains("X-Amz-Expires=300"),
            "{address}"
        );
        assert!(!address.contains("secret"), "{address}");
        // It opens this object for this method, and nothing without its signature.
        let (at, rest) = crate::place_of(address);
        let mut client = Client::new(at, "192.0.2.1");
        client.host = at.to_string();
        assert_eq!(client.get(&rest.replace("X-Amz-Expires=300", "X-Amz-Expires=900")).status, 403);
        assert_eq!(client.get(rest.split('?').next().unwrap()).status, 403);
        assert_eq!(client.send("DELETE", &rest, &[], "").unwrap().status, 403);
        assert_eq!(client.get(&rest).status, 200);
    }
}

fn publishing_again_changes_nothing_and_what_was_tampered_with_is_not_taken(how: How) {
    let bench = Bench::new(how);
    assert!(bench.publish(Edition::Freemium, "an image").status.success());
    assert!(bench.publish(Edition::Freemium, "an image").status.success());
    let folder = bench.release(Edition::Server, "an image of another length");
    std::fs::write(format!("{folder}/aegis-server-1.0.0.iso"), "AN IMAGE OF ANOTHER LENGTH").unwrap();
    let refused = bench.place.run(&["publish", &folder, "--keys", bench.keys.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    if let Some(store) = &bench.store {
        // The image, its manifest and signature, and the digests.
        assert_eq!(store.objects().len(), 4);
        assert!(!store.objects().contains(&26));
    }
    let served = bench.place.serve();
    assert_eq!(follow(served.public, ISO, &[]).body, "an image");
    assert!(follow(served.public, SUMS, &[]).body.contains("aegis-freemium-1.0.0.iso"));
    assert_eq!(follow(served.public, "/download/server/1.0.0/aegis-server-1.0.0.iso", &[]).status, 404);
}

/// Peak of the memory of a process, bytes.
fn peak(served: &Served) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Three clients that take nothing, while a fourth takes all.
#[test]
fn memory_does_not_grow_with_what_a_bucket_sends() {
    const SIZE: usize = 32 * 1024 * 1024;
    let bench = Bench::new(How::Passed);
    let content = "x".repeat(SIZE);
    assert!(bench.publish(Edition::Freemium, &content).status.success());
    let served = bench.place.serve();
    assert_eq!(follow(served.public, ISO, &[("Range", "bytes=0-9")]).status, 206);
    // The peak begins anew (proc(5), clear_refs).
    std::fs::write(format!("/proc/{}/clear_refs", served.child.id()), "5").unwrap();
    let before = peak(&served);
    let idle: Vec<_> = (0..3)
        .map(|_| {
            let mut stream = TcpStream::connect(served.public).unwrap();
            write!(stream, "GET {ISO} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            stream
        })
        .collect();
    assert!(follow(served.public, ISO, &[]).body == content);
    let grown = peak(&served) - before;
    drop(idle);
    assert!(grown < SIZE as u64 / 2, "{grown}");
}
