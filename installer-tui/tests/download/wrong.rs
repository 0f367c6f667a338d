//! Servers that do wrong: each is noticed, left, and leaves no trace in the file.

use std::{fs, time::Duration};

use aegis_installer::download::{Fault, Patience, Wishes};

use super::{
    MIB, Place, faults, made, only_image,
    server::{After, Asked, Files, Reply, Server, good},
};

/// What a server does wrong with the image alone, and how that is told.
type Wrong = (&'static str, fn(&Files, &Asked) -> Reply, fn(&Fault) -> bool);

const WRONG: [Wrong; 11] = [
    (
        "shorter than promised",
        |files, asked| good(files, asked).cut(MIB + 1),
        |fault| matches!(fault, Fault::Truncated { .. }),
    ),
    (
        "another length",
        |files, asked| good(files, asked).with("Content-Length", "5"),
        |fault| matches!(fault, Fault::Changed),
    ),
    (
        "no length, and shorter",
        |files, asked| good(files, asked).with("Content-Length", "").cut(9),
        |fault| matches!(fault, Fault::Truncated { .. }),
    ),
    (
        "no length, and longer",
        |files, asked| {
            let mut reply = good(files, asked).with("Content-Length", "");
            reply.body.extend(vec![0; 9 << 20]);
            reply
        },
        |fault| matches!(fault, Fault::Malformed(_)),
    ),
    (
        "a part that was not asked for",
        |files, asked| {
            let reply = good(files, asked);
            Reply { status: "206 Partial Content".into(), ..reply }
                .with("Content-Range", "bytes 0-4195080/4195081")
        },
        |fault| matches!(fault, Fault::Malformed(_)),
    ),
    (
        "no HTTP",
        |_, _| Reply { status: "\u{1}\u{2}".into(), ..Reply::status("") },
        |fault| matches!(fault, Fault::Malformed(_) | Fault::Connection(_)),
    ),
    (
        "compressed",
        |files, asked| good(files, asked).with("Content-Encoding", "gzip"),
        |fault| matches!(fault, Fault::Malformed(_)),
    ),
    (
        "two lengths",
        |files, asked| {
            let mut reply = good(files, asked);
            reply.headers.push(("Content-Length".into(), "7".into()));
            reply
        },
        |_| true,
    ),
    (
        "a wrong byte",
        |files, asked| {
            let mut reply = good(files, asked);
            let at = reply.body.len() - 5;
            reply.body[at] ^= 1;
            reply
        },
        |fault| matches!(fault, Fault::Chunk { offset } if *offset == 4 << 20),
    ),
    (
        "a hole that is none",
        |files, asked| {
            let mut reply = good(files, asked);
            if asked.from.is_none() {
                reply.body[2 * MIB + 9] = 1;
            }
            reply
        },
        |fault| matches!(fault, Fault::Chunk { offset } if *offset == 2 << 20),
    ),
    (
        "another file",
        |files, asked| {
            let mut reply = good(files, asked);
            reply.body.reverse();
            reply.with("ETag", "\"other\"")
        },
        |fault| matches!(fault, Fault::Chunk { offset: 0 }),
    ),
];

#[test]
fn a_server_that_does_wrong_is_left_for_the_next_and_leaves_no_trace_in_the_file() {
    let (made, files) = made();
    for (what, reply, expected) in WRONG {
        let place = Place::new();
        let (bad, fine) = (Server::new(&files, only_image(reply)), Server::good(&files));
        let wishes = place.wishes(&[&bad, &fine]);
        let (done, left) = place.fetch(&wishes);
        assert!(done.is_ok() && place.image() == made.content, "{what}: {done:?}");
        assert_eq!(left.len(), 1, "{what}: {left:?}");

        // Alone it gives nothing, and no wrong byte is kept.
        let place = Place::new();
        let wishes =
            Wishes { patience: Patience { attempts: 1, ..wishes.patience }, ..place.wishes(&[&bad]) };
        let error = place.fetch(&wishes).0.unwrap_err();
        assert!(faults(&error).iter().all(|fault| expected(fault)), "{what}: {error:?}");
        assert_eq!(place.names(), ["aegis-server-1.0.0.iso.part"], "{what}");
        let part = fs::read(place.part()).unwrap();
        assert!(part.len().is_multiple_of(MIB) && part == made.content[..part.len()], "{what}");
    }
}

#[test]
fn a_server_that_falls_silent_is_given_up() {
    let (place, (_, files)) = (Place::new(), made());
    let silent = |files: &Files, asked: &Asked| good(files, asked).cut(MIB + MIB / 2).then(After::Silence);
    let server = Server::new(&files, only_image(silent));
    let mut wishes = place.wishes(&[&server]);
    (wishes.patience.idle, wishes.patience.attempts) = (Duration::from_secs(2), 1);
    let error = place.fetch(&wishes).0.unwrap_err();
    assert!(matches!(faults(&error)[..], [Fault::Silent]), "{error:?}");
    assert_eq!(fs::metadata(place.part()).unwrap().len(), 1 << 20);
}

/// Wrong parts after a cut.
const WRONG_PARTS: [Wrong; 5] = [
    (
        "another tag",
        |files, asked| good(files, asked).with("ETag", "\"new\""),
        |fault| matches!(fault, Fault::Changed),
    ),
    (
        "another size",
        |files, asked| good(files, asked).with("Content-Range", "bytes 2097152-9999999/10000000"),
        |fault| matches!(fault, Fault::Changed),
    ),
    (
        "another part",
        |files, asked| good(files, asked).with("Content-Range", "bytes 1048576-4195080/4195081"),
        |fault| matches!(fault, Fault::Malformed(_)),
    ),
    (
        "no word of which",
        |files, asked| good(files, asked).with("Content-Range", ""),
        |fault| matches!(fault, Fault::Malformed(_)),
    ),
    (
        "no longer there",
        |_, _| Reply::status("416 Range Not Satisfiable"),
        |fault| matches!(fault, Fault::Status { status: 416, .. }),
    ),
];

#[test]
fn a_file_that_changes_in_the_middle_is_noticed() {
    let (made, files) = made();
    for (what, reply, expected) in WRONG_PARTS {
        let place = Place::new();
        let script = move |files: &Files, asked: &Asked| match asked.from {
            None => good(files, asked).cut(2 * MIB + 1),
            Some(_) => reply(files, asked),
        };
        let bad = Server::new(&files, only_image(script));
        let error = place.fetch(&place.wishes(&[&bad])).0.unwrap_err();
        assert!(faults(&error).iter().all(|fault| expected(fault)), "{what}: {error:?}");
        assert!(fs::read(place.part()).unwrap() == made.content[..2 * MIB], "{what}");
        let fine = Server::good(&files);
        assert!(
            place.fetch(&place.wishes(&[&bad, &fine])).0.is_ok() && place.image() == made.content,
            "{what}"
        );
    }
}
