//! `aegis-installer download` against a server that does what a test tells it. Against `aegis-server` itself it is tested in
//! the crate `tests`.
//!
//! Needs openssl, which makes a certificate.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "download/program.rs"]
mod program;
#[path = "download/release.rs"]
mod release;
#[path = "download/server.rs"]
mod server;
#[path = "download/statuses.rs"]
mod statuses;
#[path = "download/wrong.rs"]
mod wrong;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use aegis_core::{edition::Edition, report::Hint};
use aegis_installer::{
    Error,
    download::{Done, DownloadPlan, Event, Fault, Origin, Patience, Problem, Url, Web, Wishes, run},
    flash::{
        image::{Authority, ImageFile},
        ranges::{KeyFile, Wanted, find},
    },
};
use release::{Key, Made, catalogue};
use server::{Asked, Files, Reply, Server, good};
use tempfile::TempDir;

const MIB: usize = 1 << 20;

/// A directory for a download.
struct Place {
    dir: TempDir,
    keys: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = tempfile::tempdir().unwrap().keep();
        let keys = Key::trusted().file(&keys);
        Self { dir, keys }
    }

    fn wishes(&self, servers: &[&Server]) -> Wishes {
        Wishes {
            edition: Edition::Server,
            channel: None,
            version: "1.0.0".parse().ok(),
            origins: servers.iter().map(|server| Origin::parse(&server.origin()).unwrap()).collect(),
            links: Vec::new(),
            token: None,
            keys: KeyFile::Named(self.keys.clone()),
            directory: self.dir.path().into(),
            overwrite: false,
            patience: Patience {
                idle: Duration::from_secs(20),
                pause: Duration::from_millis(1),
                attempts: 3,
                ..Patience::default()
            },
        }
    }

    /// What comes of it, and the servers that were left with what was said of them.
    fn fetch(&self, wishes: &Wishes) -> (Result<Done, Error>, Vec<String>) {
        let mut left = Vec::new();
        let web = Web::new(false, wishes.patience.idle).unwrap();
        let done = DownloadPlan::new(wishes, &web, &|| false).and_then(|plan| {
            run(&plan, wishes, &web, &mut |event| {
                if let Event::Left { server, fault } = event {
                    left.push(format!("{server}: {}", fault.map_or_else(|| "slow".into(), Fault::to_string)));
                }
                true
            })
        });
        (done, left)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn image(&self) -> Vec<u8> {
        fs::read(self.file(Made::default().name)).unwrap()
    }

    fn part(&self) -> PathBuf {
        self.file("aegis-server-1.0.0.iso.part")
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

fn made() -> (Made, Files) {
    let made = Made::default();
    let files = made.files(Key::trusted());
    (made, files)
}

/// Answers for everything but the image.
fn only_image(reply: impl Fn(&Files, &Asked) -> Reply) -> impl Fn(&Files, &Asked) -> Reply {
    move |files, asked| if asked.is_image() { reply(files, asked) } else { good(files, asked) }
}

fn faults(error: &Error) -> Vec<&Fault> {
    match error {
        Error::Download(problem) => match problem.as_ref() {
            Problem::Servers(faults) => faults.iter().map(|(_, fault)| fault).collect(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn problem(result: Result<Done, Error>) -> Problem {
    match result.unwrap_err() {
        Error::Download(problem) => *problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_arrives_whole_with_what_is_signed_of_it() {
    let (place, (made, files)) = (Place::new(), made());
    let server = Server::good(&files);
    let (done, left) = place.fetch(&place.wishes(&[&server]));
    let done = done.unwrap();
    assert_eq!((done.bytes, done.fetched, left.len()), (made.content.len() as u64, done.bytes, 0));
    assert!(place.image() == made.content);
    let suffixes =
        ["", ".manifest.json", ".manifest.json.sig", ".ranges.json", ".ranges.json.sig", ".sha256"];
    assert_eq!(place.names(), suffixes.map(|suffix| format!("{}{suffix}", made.name)));
    // It is what `flash` and `verify` take.
    let image = ImageFile::look(&place.file(made.name), &Authority::Beside).unwrap();
    assert!(image.expected.is_some());
    let wanted = Wanted { keys: KeyFile::Named(place.keys.clone()), edition: None, bmap: None };
    let map = find(image, &wanted).unwrap().map.unwrap();
    assert!(map.to_string().contains("signed by DEVELOPMENT key"), "{map}");
    // A second time nothing is fetched.
    let (again, _) = place.fetch(&place.wishes(&[&server]));
    assert_eq!((again.unwrap().fetched, server.images().len()), (0, 1));
}

#[test]
fn a_cut_connection_goes_on_where_the_last_whole_chunk_ended() {
    let (place, (made, files)) = (Place::new(), made());
    let times = AtomicUsize::new(0);
    let server = Server::new(
        &files,
        only_image(move |files, asked| match times.fetch_add(1, Ordering::SeqCst) {
            0 => good(files, asked).cut(2 * MIB + MIB / 2),
            1 => good(files, asked).cut(MIB),
            _ => good(files, asked),
        }),
    );
    let (done, left) = place.fetch(&place.wishes(&[&server]));
    assert!(done.is_ok() && place.image() == made.content, "{done:?}");
    assert_eq!(left.len(), 2, "{left:?}");
    let asked: Vec<_> = server.images().iter().map(|asked| asked.from).collect();
    assert_eq!(asked, [None, Some(2 << 20), Some(3 << 20)]);
    let tag =
        good(&files, &server.images()[0]).headers.iter().find(|(name, _)| name == "ETag").unwrap().1.clone();
    assert!(server.images()[1..].iter().all(|asked| asked.header("if-range") == Some(&tag)));
}

#[test]
fn what_came_is_kept_over_runs_and_checked_before_it_is_used() {
    let (place, (made, files)) = (Place::new(), made());
    let dead = Server::new(
        &files,
        only_image(|files, asked| match asked.from {
            None => good(files, asked).cut(3 * MIB + 5),
            Some(_) => Reply::status("503 Service Unavailable"),
        }),
    );
    let error = place.fetch(&place.wishes(&[&dead])).0.unwrap_err();
    assert!(matches!(faults(&error)[..], [Fault::Status { status: 503, .. }]), "{error:?}");
    assert!(error.hint().unwrap().contains("is kept"));
    assert_eq!(fs::metadata(place.part()).unwrap().len(), 3 << 20);
    assert_eq!(place.names(), ["aegis-server-1.0.0.iso.part"]);
    // A chunk of it goes bad meanwhile.
    let mut part = fs::read(place.part()).unwrap();
    part[MIB + 7] ^= 1;
    fs::write(place.part(), &part).unwrap();
    let server = Server::good(&files);
    let done = place.fetch(&place.wishes(&[&server])).0.unwrap();
    assert_eq!(server.images()[0].from, Some(1 << 20));
    assert_eq!(done.fetched, made.content.len() as u64 - (1 << 20));
    assert!(place.image() == made.content);
}

#[test]
fn a_part_that_is_no_file_of_ours_is_not_touched_and_a_longer_one_begins_anew() {
    let (place, (made, files)) = (Place::new(), made());
    let server = Server::good(&files);
    let other = place.dir.path().join("other");
    fs::write(&other, b"mine").unwrap();
    symlink(&other, place.part()).unwrap();
    let error = place.fetch(&place.wishes(&[&server])).0.unwrap_err();
    assert!(matches!(error, Error::Output { .. }), "{error:?}");
    assert_eq!(fs::read(&other).unwrap(), b"mine");
    fs::remove_file(place.part()).unwrap();
    fs::write(place.part(), vec![1; made.content.len() + 1]).unwrap();
    let held = fs::File::open(place.part()).unwrap();
    held.lock().unwrap();
    assert!(matches!(problem(place.fetch(&place.wishes(&[&server])).0), Problem::Busy(_)));
    drop(held);
    assert!(place.fetch(&place.wishes(&[&server])).0.is_ok() && place.image() == made.content);
}

#[test]
fn a_file_that_is_there_and_differs_is_replaced_only_when_that_is_asked_for() {
    let (place, (made, files)) = (Place::new(), made());
    let server = Server::good(&files);
    fs::write(place.file(made.name), b"another").unwrap();
    let error = place.fetch(&place.wishes(&[&server])).0.unwrap_err();
    assert_eq!((error.exit_code(), place.image()), (3, b"another".to_vec()), "{error:?}");
    assert!(server.images().is_empty());
    let wishes = Wishes { overwrite: true, ..place.wishes(&[&server]) };
    assert!(place.fetch(&wishes).0.is_ok() && place.image() == made.content);
}

#[test]
fn servers_without_parts_or_with_tags_of_their_own_serve_too() {
    let (made, files) = made();
    let own = |files: &Files, asked: &Asked| {
        let mut asked = asked.clone();
        let same = asked.headers.remove("if-range").is_none_or(|tag| tag == "\"own\"");
        asked.from = asked.from.filter(|_| same);
        good(files, &asked).with("ETag", "\"own\"")
    };
    let whole = |files: &Files, asked: &Asked| good(files, &Asked { from: None, ..asked.clone() });
    for (parts, script) in [(true, own as fn(&Files, &Asked) -> Reply), (false, whole)] {
        let place = Place::new();
        fs::write(place.part(), &made.content[..2 * MIB]).unwrap();
        let server = Server::new(&files, script);
        assert!(place.fetch(&place.wishes(&[&server])).0.is_ok() && place.image() == made.content);
        let asked: Vec<_> =
            server.images().iter().map(|asked| asked.header("if-range").map(str::to_owned)).collect();
        assert_eq!(asked.len(), if parts { 2 } else { 1 });
        assert_eq!(asked.last().unwrap().as_deref() == Some("\"own\""), parts);
    }
}

#[test]
fn a_slow_server_is_left_once_for_one_that_was_not_tried() {
    let (place, (made, files)) = (Place::new(), made());
    let (first, second) = (Server::good(&files), Server::good(&files));
    let mut wishes = place.wishes(&[&first, &second]);
    // Whatever comes is too slow, and at once.
    (wishes.patience.slow, wishes.patience.window) = (u64::MAX, Duration::ZERO);
    let (done, left) = place.fetch(&wishes);
    assert!(done.is_ok() && place.image() == made.content, "{done:?}");
    assert!(
        !left.is_empty() && left.len() <= 2 && left.iter().all(|left| left.ends_with("slow")),
        "{left:?}"
    );
    assert!(!first.images().is_empty() && !second.images().is_empty());
}

#[test]
fn signatures_of_others_and_manifests_of_other_releases_are_refused() {
    let made = Made::default();
    let (trusted, other) = (Key::trusted(), Key::other());
    let good_files = made.files(trusted);
    let mut forged = made.files(trusted);
    forged.get_mut(&made.path("manifest.json")).unwrap()[9] ^= 1;
    let mut unsigned = made.files(trusted);
    unsigned.insert(made.path("manifest.json.sig"), b"{}".to_vec());
    let with = |change: fn(&mut aegis_core::manifest::Manifest)| {
        let (mut files, mut manifest) = (made.files(trusted), made.manifest());
        change(&mut manifest);
        made.put_manifest(&mut files, &manifest, trusted);
        files
    };
    let version = with(|manifest| manifest.version = "0.9.0".parse().unwrap());
    let edition = with(|manifest| manifest.edition = Edition::Gamer);
    let mut ranges = made.files(other);
    for name in ["manifest.json", "manifest.json.sig"] {
        ranges.insert(made.path(name), good_files[&made.path(name)].clone());
    }
    for (what, code, files) in [
        ("another key", 3, made.files(other)),
        ("changed", 3, forged),
        ("no signature", 3, unsigned),
        ("an older version", 1, version),
        ("another edition", 1, edition),
        ("ranges of another key", 3, ranges),
    ] {
        let (place, bad) = (Place::new(), Server::good(&files));
        let error = place.fetch(&place.wishes(&[&bad])).0.unwrap_err();
        assert_eq!((error.exit_code(), place.names().len()), (code, 0), "{what}: {error:?}");
        assert!(error.hint().is_some() && bad.images().is_empty(), "{what}");
        // The next one helps.
        let fine = Server::good(&good_files);
        assert!(
            place.fetch(&place.wishes(&[&bad, &fine])).0.is_ok() && place.image() == made.content,
            "{what}"
        );
    }
}

#[test]
fn names_that_lead_elsewhere_are_not_taken() {
    for name in ["../x.iso", "a/b.iso", ".x.iso", "/etc/x.iso", "a\nb.iso", "\u{202e}.iso"] {
        let made = Made { name, ..Made::default() };
        let (place, server) = (Place::new(), Server::good(&made.files(Key::trusted())));
        assert!(matches!(problem(place.fetch(&place.wishes(&[&server])).0), Problem::NoImage), "{name:?}");
        assert!(place.names().is_empty());
    }
}

#[test]
fn the_newest_version_of_the_channel_is_found_over_several_pages() {
    let (place, (made, mut files)) = (Place::new(), made());
    catalogue(&mut files, "", &[("0.9.0", "lts"), ("3.0.0", "beta"), ("../../etc", "lts")], Some("aa11"));
    catalogue(&mut files, "&cursor=aa11", &[("1.0.0", "lts"), ("0.1.0", "lts")], None);
    let server = Server::good(&files);
    let wishes = Wishes { version: None, ..place.wishes(&[&server]) };
    assert!(place.fetch(&wishes).0.is_ok() && place.image() == made.content);
    let wishes = Wishes { channel: Some(aegis_core::channel::Channel::Stable), ..wishes };
    let found = problem(place.fetch(&wishes).0);
    assert!(
        found.to_string().contains("on the channel stable; there are")
            && found.to_string().contains("3.0.0 (beta)"),
        "{found}"
    );

    for (next, entry) in [("../x", "1.0.0"), ("b&limit=1", "1.0.0")] {
        let mut files = files.clone();
        catalogue(&mut files, "", &[(entry, "lts")], Some(next));
        let server = Server::good(&files);
        let wishes = Wishes { version: None, ..place.wishes(&[&server]) };
        assert!(matches!(faults(&place.fetch(&wishes).0.unwrap_err())[..], [Fault::Malformed(_)]), "{next}");
    }
    // A page that names itself as the next one has no end.
    catalogue(&mut files, "", &[], Some("aa"));
    catalogue(&mut files, "&cursor=aa", &[], Some("aa"));
    let server = Server::good(&files);
    let wishes = Wishes { version: None, ..place.wishes(&[&server]) };
    assert!(matches!(faults(&place.fetch(&wishes).0.unwrap_err())[..], [Fault::Malformed(_)]));
    assert!(server.asked().len() <= 50);
}

#[test]
fn without_a_range_manifest_the_whole_file_is_judged_and_parts_join_only_by_its_digest() {
    let made = Made { ranges: false, ..Made::default() };
    let files = made.files(Key::trusted());
    let place = Place::new();
    fs::write(place.part(), &made.content[..MIB + 3]).unwrap();
    let server = Server::good(&files);
    let done = place.fetch(&place.wishes(&[&server])).0.unwrap();
    assert_eq!(done.fetched, (made.content.len() - MIB - 3) as u64);
    assert!(place.image() == made.content);

    // Another tag: nothing says that it is the same file, so that all of it is fetched.
    let place = Place::new();
    fs::write(place.part(), vec![9; MIB]).unwrap();
    let server = Server::new(
        &files,
        only_image(|files, asked| {
            good(files, &Asked { from: None, ..asked.clone() }).with("ETag", "\"own\"")
        }),
    );
    assert!(place.fetch(&place.wishes(&[&server])).0.is_ok() && place.image() == made.content);

    // A part that was wrong before is found at the end, and is gone.
    let place = Place::new();
    fs::write(place.part(), vec![9; MIB]).unwrap();
    let server = Server::good(&files);
    let error = place.fetch(&place.wishes(&[&server])).0.unwrap_err();
    assert!(matches!(faults(&error)[..], [Fault::Digest { .. }]) && error.exit_code() == 3, "{error:?}");
    assert!(!place.part().exists() && !place.file(made.name).exists());
    assert!(place.fetch(&place.wishes(&[&server])).0.is_ok());
}

#[test]
fn too_little_room_is_told_before_anything_is_fetched() {
    let made = Made { ranges: false, ..Made::default() };
    let (place, mut files, mut manifest) = (Place::new(), made.files(Key::trusted()), made.manifest());
    manifest.files.get_mut(made.name).unwrap().size = 1 << 60;
    made.put_manifest(&mut files, &manifest, Key::trusted());
    let server = Server::good(&files);
    assert!(matches!(problem(place.fetch(&place.wishes(&[&server])).0), Problem::Space { .. }));
    assert!(place.names().is_empty() && server.images().is_empty());
}

#[test]
fn a_link_opens_the_image_and_its_release_is_the_one_that_is_fetched() {
    let (place, (made, files)) = (Place::new(), made());
    let server = Server::new(&files, |files, asked| match asked.is_image() {
        true => Reply::status("403 Forbidden"),
        false => good(
            files,
            &Asked { target: asked.target.replace("?expires=1&signature=ab", ""), ..asked.clone() },
        ),
    });
    let link = |path: &str| Url::parse(&format!("{}{path}?expires=1&signature=ab", server.origin())).unwrap();
    let wishes =
        |link: Url| Wishes { version: None, links: vec![link], origins: Vec::new(), ..place.wishes(&[]) };
    assert!(matches!(problem(place.fetch(&wishes(link("/elsewhere"))).0), Problem::Link(_)));
    assert!(matches!(problem(place.fetch(&wishes(link(&made.path("other.iso")))).0), Problem::Link(_)));
    let gamer = made.image_path().replace("server/", "gamer/");
    assert!(matches!(problem(place.fetch(&wishes(link(&gamer))).0), Problem::Link(_)));
    let done = place.fetch(&wishes(link(&made.image_path()))).0;
    assert!(done.is_ok() && place.image() == made.content, "{done:?}");
    let open = Url::parse("http://shop.example/download/server/1.0.0/aegis-server-1.0.0.iso?x").unwrap();
    let refused = problem(place.fetch(&wishes(open)).0);
    assert!(matches!(refused, Problem::NotPrivate(_)) && refused.exit_code() == 3);
}

#[test]
fn stopping_keeps_what_came() {
    let (place, (made, files)) = (Place::new(), made());
    let server = Server::good(&files);
    let wishes = place.wishes(&[&server]);
    let web = Web::new(false, wishes.patience.idle).unwrap();
    let plan = DownloadPlan::new(&wishes, &web, &|| false).unwrap();
    let stopped = run(
        &plan,
        &wishes,
        &web,
        &mut |event| !matches!(event, Event::Progress(report) if report.bytes >= 1),
    );
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    assert!(Path::new(&plan.part()).exists() && !plan.file.exists());
    assert!(matches!(DownloadPlan::new(&wishes, &web, &|| true), Err(Error::Cancelled)));
    assert!(place.fetch(&wishes).0.is_ok() && place.image() == made.content);
}
