//! Images of which not everything is needed, and what says so: range manifests and block maps.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use aegis_core::edition::Edition;
use aegis_installer::{
    Error,
    flash::{
        image::{Authority, ImageFile},
        map::{Map, Origin, Signature},
        ranges::{self, KeyFile, Wanted},
        verify,
    },
};
use proptest::prelude::*;

use super::{
    Bytes, Failure, Image, MIB, Memory, Options, Order, Outcome, Target, Way, assert_blank_head, flash, io,
};

/// What the vectors in `core/tests/vectors/ranges` are of: a chunk, a hole, half a chunk.
fn content() -> Vec<u8> {
    [vec![b'a'; MIB], vec![0; MIB], vec![b'c'; MIB / 2]].concat()
}

const RANGES: &str = include_str!("../../../core/tests/vectors/ranges/image.ranges.json");
const SIGNATURE: &str = include_str!("../../../core/tests/vectors/ranges/image.ranges.json.sig");
const KEYS: &str = include_str!("../../../core/tests/vectors/ranges/keys.json");
/// By bmaptool 3.6, of the same image as a sparse file.
const BMAP: &str = include_str!("image.img.bmap");

/// An image beside which files can lie.
struct Place(tempfile::TempDir);

impl Place {
    fn new(name: &str, content: &[u8]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write(name, content);
        place
    }

    /// The image of the vectors with its range manifest, and a key ring.
    fn signed() -> Self {
        let place = Self::new("image.iso", &content());
        place.write("image.iso.ranges.json", RANGES);
        place.write("image.iso.ranges.json.sig", SIGNATURE);
        place.write("keys.json", KEYS);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn wanted(&self) -> Wanted {
        Wanted::of_system(self.0.path())
    }

    fn look(&self, name: &str) -> Result<ImageFile, Error> {
        self.look_for(name, &self.wanted())
    }

    fn look_for(&self, name: &str, wanted: &Wanted) -> Result<ImageFile, Error> {
        ranges::find(ImageFile::look(&self.path(name), &Authority::Beside)?, wanted)
    }

    fn map(&self, name: &str) -> Map {
        self.look(name).unwrap().map.unwrap()
    }
}

fn write(image: &dyn Image, device: &Memory) -> Outcome {
    let targets: Vec<Box<Target>> = vec![Box::new(device.clone())];
    flash::flash(&Order { image, targets: &targets, options: Options::default() }, &mut |_| true).remove(0)
}

/// Whether the bytes are what the device was full of, or the zeros of the capacity test.
fn untouched(bytes: &[u8]) -> bool {
    let (old, zeros) = ([Memory::OLD; 512], [0; 512]);
    bytes.chunks(512).all(|sector| sector == &old[..sector.len()] || sector == &zeros[..sector.len()])
}

#[test]
fn a_signed_hole_is_left_out_and_everything_else_arrives() {
    let place = Place::signed();
    let zst = zstd::encode_all(&content()[..], 1).unwrap();
    place.write("archive.iso.zst", zst);
    for name in ["ranges.json", "ranges.json.sig"] {
        fs::copy(place.path(&format!("image.iso.{name}")), place.path(&format!("archive.iso.{name}")))
            .unwrap();
    }
    for name in ["image.iso", "archive.iso.zst"] {
        let image = place.look(name).unwrap();
        let map = image.map.clone().unwrap();
        assert_eq!((image.length(), map.skipped), (Some(5 * MIB as u64 / 2), MIB as u64));
        let text = map.to_string();
        assert!(
            text.contains("signed by DEVELOPMENT key") && text.contains("Aegis OS server 0.1.0"),
            "{text}"
        );
        let device = Memory::new(8 * MIB, 512);
        let outcome = write(&image, &device);
        let Outcome::Complete { length, skipped, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!((length, skipped), (5 * MIB as u64 / 2, MIB as u64));
        let found = device.content();
        assert!(found[..MIB] == content()[..MIB] && found[2 * MIB..5 * MIB / 2] == content()[2 * MIB..]);
        assert!(untouched(&found[MIB..2 * MIB]), "the hole was written");
        // By the manifest alone the device is right, and by the image too.
        assert_eq!(verify::ranges(&device, &map, |_| ()).unwrap(), []);
        let summary = verify::image(&image, &mut |_| true).unwrap();
        assert_eq!(summary.sha256, aegis_core::crypto::Sha256::of(&content()));
        verify::device(&device, &summary, |_| ()).unwrap();
    }
}

#[test]
fn without_a_key_ring_nothing_is_left_out_and_the_plan_says_so() {
    let place = Place::signed();
    fs::remove_file(place.path("keys.json")).unwrap();
    fs::remove_file(place.path("image.iso.ranges.json.sig")).unwrap();
    let image = place.look("image.iso").unwrap();
    let map = image.map.clone().unwrap();
    let text = map.to_string();
    assert!(text.contains("its signature is NOT CHECKED: there is no key ring"), "{text}");
    assert_eq!(map.skipped, 0);
    let device = Memory::new(8 * MIB, 512);
    assert!(matches!(write(&image, &device), Outcome::Complete { skipped: 0, .. }));
    assert!(device.content_is(&content()));
    // Also then the image must be what it says.
    let mut wrong = content();
    wrong[MIB + 7] = 1;
    place.write("image.iso", wrong);
    let outcome = write(&place.look("image.iso").unwrap(), &device);
    let Outcome::NotBootable(Failure::Image { offset, source }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(offset, MIB as u64);
    assert!(source.to_string().starts_with("bytes 1048576 to 2097151 are not zero, says "), "{source}");
}

#[test]
fn a_wrong_chunk_ends_the_work_at_its_place() {
    for (at, chunk) in [(5, 0), (MIB - 1, 0), (2 * MIB, 2), (5 * MIB / 2 - 1, 2)] {
        let place = Place::signed();
        let mut wrong = content();
        wrong[at] ^= 1;
        place.write("image.iso", wrong);
        let image = place.look("image.iso").unwrap();
        let device = Memory::new(8 * MIB, 512);
        let outcome = write(&image, &device);
        let Outcome::NotBootable(Failure::Image { offset, source }) = outcome else { panic!("{outcome:?}") };
        assert_eq!(offset, chunk * MIB as u64, "{source}");
        assert!(source.to_string().contains("differ, says "), "{source}");
        assert_blank_head(&device);
        assert!(untouched(&device.content()[2 * MIB..3 * MIB]), "a wrong chunk was written");
        assert!(matches!(verify::image(&image, &mut |_| true), Err(Failure::Image { .. })));
    }
    // Nothing reads a hole that is not written, but whoever asks about the file.
    let place = Place::signed();
    let mut wrong = content();
    wrong[MIB] = 1;
    place.write("image.iso", wrong);
    let image = place.look("image.iso").unwrap();
    assert!(matches!(write(&image, &Memory::new(8 * MIB, 512)), Outcome::Complete { .. }));
    assert!(matches!(verify::image(&image, &mut |_| true), Err(Failure::Image { .. })));
}

#[test]
fn another_length_is_refused() {
    let place = Place::signed();
    for length in [content().len() - 1, content().len() + 1] {
        let mut other = content();
        other.resize(length, b'c');
        place.write("image.iso", &other);
        let Err(Error::Map { problem, .. }) = place.look("image.iso") else { panic!("{length}") };
        assert!(problem.starts_with("is of an image of 2621440 bytes"), "{problem}");
        // Of an archive it is seen when it was decoded.
        place.write("image.iso.zst", zstd::encode_all(&other[..], 1).unwrap());
        let device = Memory::new(8 * MIB, 512);
        let outcome = write(&place.look("image.iso.zst").unwrap(), &device);
        assert!(matches!(outcome, Outcome::NotBootable(Failure::Image { .. })), "{outcome:?}");
        assert_blank_head(&device);
    }
}

#[test]
fn sums_and_ranges_must_agree() {
    let place = Place::signed();
    let sum = aegis_core::crypto::Sha256::of(&content());
    place.write("SHA256SUMS", format!("{sum}  image.iso\n"));
    let image = place.look("image.iso").unwrap();
    assert!(matches!(write(&image, &Memory::new(8 * MIB, 512)), Outcome::Complete { .. }));
    place.write("SHA256SUMS", format!("{}  image.iso\n", "0".repeat(64)));
    assert!(matches!(place.look("image.iso"), Err(Error::Map { .. })));
    // What an archive holds is hashed with its holes.
    place.write("image.iso.zst", zstd::encode_all(&content()[..], 1).unwrap());
    place.write("SHA256SUMS", format!("{sum}  image.iso\n"));
    let image = place.look("image.iso.zst").unwrap();
    let options = Options { expected: image.content_digest(), ..Options::default() };
    assert!(options.expected.is_some());
    let device = Memory::new(8 * MIB, 512);
    let targets: Vec<Box<Target>> = vec![Box::new(device.clone())];
    let outcome = flash::flash(&Order { image: &image, targets: &targets, options }, &mut |_| true);
    assert!(matches!(outcome[..], [Outcome::Complete { .. }]), "{outcome:?}");
}

#[test]
fn signatures_keys_and_editions_that_are_not_right_are_refused() {
    let place = Place::signed();
    let edition = |edition| Wanted { edition: Some(edition), ..place.wanted() };
    assert!(place.look_for("image.iso", &edition(Edition::Server)).is_ok());
    let other = place.look_for("image.iso", &edition(Edition::Gamer));
    assert!(matches!(other, Err(Error::EditionOfImage { found: Some(Edition::Server), .. })), "{other:?}");

    place.write("image.iso.ranges.json", RANGES.replace("\"server\"", "\"gamer\""));
    assert!(matches!(place.look("image.iso"), Err(Error::Ranges { .. })));
    place.write("image.iso.ranges.json", RANGES);
    place.write("image.iso.ranges.json.sig", "{}");
    assert!(matches!(place.look("image.iso"), Err(Error::Ranges { .. })));
    fs::remove_file(place.path("image.iso.ranges.json.sig")).unwrap();
    assert!(matches!(place.look("image.iso"), Err(Error::Io { .. })));
    place.write("image.iso.ranges.json.sig", SIGNATURE);

    for (from, to) in [("\"not_after\": 20", "\"not_after\": 15"), ("\"release\"", "\"update\"")] {
        place.write("keys.json", KEYS.replace(from, to));
        assert!(matches!(place.look("image.iso"), Err(Error::Ranges { .. })), "{to}");
    }
    place.write("keys.json", "[]");
    assert!(matches!(place.look("image.iso"), Err(Error::Ranges { .. })));
    place.write("keys.json", "[{}]");
    assert!(matches!(place.look("image.iso"), Err(Error::KeyRing { .. })));
    let named = Wanted { keys: KeyFile::Named(place.path("missing.json")), ..place.wanted() };
    assert!(matches!(place.look_for("image.iso", &named), Err(Error::Io { .. })));

    // One key alone, as `aegis keys generate` leaves it.
    let one = KEYS.trim().trim_start_matches('[').trim_end_matches(']');
    place.write("release.pub.json", one);
    let named = Wanted { keys: KeyFile::Named(place.path("release.pub.json")), ..place.wanted() };
    let map = place.look_for("image.iso", &named).unwrap().map.unwrap();
    assert!(matches!(
        map.origin,
        Origin::Ranges { signature: Signature::Good { development: true, .. }, .. }
    ));

    // Nobody who is trusted says which edition this is.
    fs::remove_file(place.path("keys.json")).unwrap();
    let unknown = place.look_for("image.iso", &edition(Edition::Server));
    assert!(matches!(unknown, Err(Error::EditionOfImage { found: None, .. })), "{unknown:?}");
    fs::remove_file(place.path("image.iso.ranges.json")).unwrap();
    let unknown = place.look_for("image.iso", &edition(Edition::Server));
    assert!(matches!(unknown, Err(Error::EditionOfImage { found: None, .. })), "{unknown:?}");
}

#[test]
fn a_device_is_compared_with_a_range_manifest_alone() {
    let place = Place::signed();
    let map = place.map("image.iso");
    let device = Memory::new(8 * MIB, 4096);
    let outcome = write(&place.look("image.iso").unwrap(), &device);
    assert!(matches!(outcome, Outcome::Complete { .. }), "{outcome:?}");
    let differ = |at: Option<usize>| {
        device.sick.lock().unwrap().flips = at;
        let differ = verify::ranges(&device, &map, |_| ()).unwrap();
        differ.into_iter().map(|range| (range.start, range.end)).collect::<Vec<_>>()
    };
    assert_eq!(differ(None), []);
    assert_eq!(differ(Some(3)), [(0, MIB as u64)]);
    assert_eq!(differ(Some(5 * MIB / 2 - 1)), [(2 * MIB as u64, 5 * MIB as u64 / 2)]);
    // In the hole and behind the image nobody cares.
    assert_eq!(differ(Some(MIB)), []);
    assert_eq!(differ(Some(5 * MIB / 2)), []);
    let empty = Memory::new(8 * MIB, 512);
    assert_eq!(
        verify::ranges(&empty, &map, |_| ()).unwrap(),
        [0..MIB as u64, 2 * MIB as u64..5 * MIB as u64 / 2]
    );
    let small = verify::ranges(&Memory::new(2 * MIB, 512), &map, |_| ());
    assert!(matches!(small, Err(Failure::TooLarge { .. })), "{small:?}");
}

#[test]
fn a_block_map_of_bmaptool() {
    let place = Place::new("image.img", &content());
    place.write("image.img.bmap", BMAP);
    place.write("image.img.zst", zstd::encode_all(&content()[..], 1).unwrap());
    for name in ["image.img", "image.img.zst"] {
        let image = place.look(name).unwrap();
        assert_eq!(image.map.as_ref().unwrap().skipped, MIB as u64);
        let device = Memory::new(8 * MIB, 512);
        let outcome = write(&image, &device);
        assert!(matches!(outcome, Outcome::Complete { skipped: 1_048_576, .. }), "{outcome:?}");
        let found = device.content();
        assert!(found[..MIB] == content()[..MIB] && found[2 * MIB..5 * MIB / 2] == content()[2 * MIB..]);
        assert!(untouched(&found[MIB..2 * MIB]));
        let summary = verify::image(&image, &mut |_| true).unwrap();
        verify::device(&device, &summary, |_| ()).unwrap();
    }
    let mut wrong = content();
    wrong[2 * MIB + 9] ^= 1;
    place.write("image.img", wrong);
    let device = Memory::new(8 * MIB, 512);
    let outcome = write(&place.look("image.img").unwrap(), &device);
    assert!(matches!(outcome, Outcome::NotBootable(Failure::Image { offset: 2_097_152, .. })), "{outcome:?}");
    assert_blank_head(&device);
    place.write("image.img", [content(), vec![0]].concat());
    assert!(matches!(place.look("image.img"), Err(Error::Map { .. })));
    place.write("image.img.bmap", BMAP.replace("512-639", "512-638"));
    assert!(matches!(place.look("image.img"), Err(Error::Bmap { .. })));
    // A range manifest comes first, a block map that is named before both.
    let place = Place::signed();
    place.write("image.iso.bmap", BMAP);
    assert!(matches!(place.map("image.iso").origin, Origin::Ranges { .. }));
    let named = Wanted { bmap: Some(place.path("image.iso.bmap")), ..place.wanted() };
    let map = place.look_for("image.iso", &named).unwrap().map.unwrap();
    assert!(matches!(map.origin, Origin::Bmap { .. }));
}

/// An image in memory with holes anywhere.
struct Holed {
    data: Vec<u8>,
    holes: Vec<bool>,
    known: bool,
}

impl Image for Holed {
    fn open(&self) -> io::Result<Box<dyn io::Read + Send>> {
        Ok(Box::new(io::Cursor::new(self.data.clone())))
    }

    fn length(&self) -> Option<u64> {
        self.known.then_some(self.data.len() as u64)
    }

    fn needs(&self, offset: u64) -> bool {
        !self.holes[usize::try_from(offset).unwrap() / MIB]
    }

    fn skipped(&self) -> u64 {
        let parts = self.data.chunks(MIB).zip(&self.holes);
        parts.filter(|(_, hole)| **hole).map(|(part, _)| part.len() as u64).sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_holes_are_left_out_and_nothing_else(
        holes in prop::collection::vec(any::<bool>(), 0..10),
        rest in 1..=MIB,
        known: bool,
        update: bool,
    ) {
        // The first chunk is never one.
        let holes: Vec<bool> = [false].into_iter().chain(holes).collect();
        let length = (holes.len() - 1) * MIB + rest;
        let image = Holed { data: Bytes::new(length).data, holes, known };
        let devices = [Memory::new(12 * MIB, 512), Memory::new(12 * MIB, 4096)];
        let targets = [Way::Threads.target(&devices[0]), Way::Ring.target(&devices[1])];
        let options = Options { update, ..Options::default() };
        let outcomes = flash::flash(&Order { image: &image, targets: &targets, options }, &mut |_| true);
        for (device, outcome) in devices.iter().zip(outcomes) {
            let Outcome::Complete { length: told, skipped, .. } = outcome else { panic!("{outcome:?}") };
            prop_assert_eq!((told, skipped), (length as u64, image.skipped()));
            let found = device.content();
            for (at, (part, hole)) in image.data.chunks(MIB).zip(&image.holes).enumerate() {
                let found = &found[at * MIB..at * MIB + part.len()];
                let right = if *hole { untouched(found) } else { found == part };
                prop_assert!(right, "chunk {}", at);
            }
            prop_assert!(untouched(&found[length.next_multiple_of(4096)..]));
        }
    }
}

/// `aegis-installer` with a state directory that has the place's key ring.
fn program(place: &Place, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aegis-installer"));
    command.current_dir(place.0.path()).arg("--state").arg(place.0.path());
    command.arg("--lock").arg(place.path("lock")).args(args).output().unwrap()
}

fn output(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

fn stick(path: &Path, size: usize) {
    fs::write(path, vec![Memory::OLD; size]).unwrap();
}

#[test]
fn the_program_writes_verifies_and_refuses() {
    let place = Place::signed();
    stick(&place.path("stick"), 8 * MIB);
    let run = |args: &[&str]| output(&program(&place, args));
    let to = ["flash", "image.iso", "--to", "stick", "--serial", "stick"];
    let with = |more: &[&'static str]| [&to[..], more].concat();
    let (code, text) = run(&with(&["--plan"]));
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("1.0 MiB of it are not needed and not written") && !text.contains("NOT CHECKED"),
        "{text}"
    );
    // A session repeats it.
    let saved =
        with(&["--plan", "--keys", "keys.json", "--edition", "server", "--save-answers", "session.toml"]);
    assert_eq!(run(&saved).0, Some(0));
    let repeat = ["flash", "--answers", "session.toml", "--plan"];
    let (code, text) = run(&repeat);
    assert!(code == Some(0) && text.contains("signed by DEVELOPMENT key"), "{text}");
    let session = fs::read_to_string(place.path("session.toml")).unwrap();
    place.write("session.toml", session.replace("\"server\"", "\"gamer\""));
    assert_eq!(run(&repeat).0, Some(3));
    let (code, text) = run(&with(&["--edition", "gamer"]));
    assert_eq!(code, Some(3), "{text}");
    assert!(
        text.contains("the image is of the edition server, not of gamer") && text.contains("next: "),
        "{text}"
    );
    let (code, text) = run(&with(&["--edition", "servant"]));
    assert_eq!(code, Some(2), "{text}");
    assert!(fs::read(place.path("stick")).unwrap().iter().all(|byte| *byte == Memory::OLD));

    let check = ["verify", "--ranges", "image.iso.ranges.json", "--device", "stick"];
    let (code, text) = run(&check);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("  bytes 0 to 1048575 differ\n  bytes 2097152 to 2621439 differ\n"), "{text}");
    assert!(
        text.contains("1.5 MiB of the device differ, from byte 0 on") && text.contains("next: "),
        "{text}"
    );
    let (code, text) = run(&with(&["--edition", "server"]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("SHA-256 of all but 1.0 MiB that are not needed"), "{text}");
    let (code, text) = run(&check);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("every chunk that is needed is right"), "{text}");
    let (code, text) = run(&[&check[..], &["--json"]].concat());
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &value["same"], &value["differ"]), (Some(0), &true.into(), &serde_json::json!([])));
    let (code, text) = run(&["verify", "image.iso", "--device", "stick"]);
    assert_eq!(code, Some(0), "{text}");

    place.write("image.iso.ranges.json.sig", SIGNATURE.replace("\"signature\": \"", "\"signature\": \"00"));
    for args in [&with(&["--plan"])[..], &check] {
        let (code, text) = run(args);
        assert_eq!(code, Some(3), "{text}");
        assert!(text.contains("signature") && text.contains("next: do not use the image"), "{text}");
    }
    place.write("image.iso.bmap", BMAP.replace("2.0", "9.0"));
    let (code, text) = run(&with(&["--plan", "--bmap", "image.iso.bmap"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("it has version 9.0, read are 1.3, 1.4 and 2.x") && text.contains("bmaptool"),
        "{text}"
    );
}
