//! The corpora of the fuzz targets: what broke something before does not break it again.
//!
//! The targets themselves, which libFuzzer drives, are a package of their own; this takes only what they do with an input.

#[path = "fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, reason = "the other package shows it to the programs of the targets")]
mod fuzz;

use std::{collections::BTreeSet, fs, panic, path::Path};

/// What a target does with an input.
type Target = fn(&[u8]);

/// Every target, by the name of its program and of its corpus.
const TARGETS: [(&str, Target); 15] = [
    ("answers", fuzz::answers::run),
    ("bmap", fuzz::bmap::run),
    ("cmdline", fuzz::cmdline::run),
    ("gpt", fuzz::gpt::run),
    ("license", fuzz::license::run),
    ("license_key", fuzz::license_key::run),
    ("machine", fuzz::machine::run),
    ("manifest", fuzz::manifest::run),
    ("mbr", fuzz::mbr::run),
    ("ranges", fuzz::ranges::run),
    ("revocations", fuzz::revocations::run),
    ("sums", fuzz::sums::run),
    ("superblocks", fuzz::superblocks::run),
    ("uevents", fuzz::uevents::run),
    ("webauthn", fuzz::webauthn::run),
];

fn corpus() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

#[test]
fn no_input_breaks_its_target() {
    for (name, run) in TARGETS {
        let folder = corpus().join(name);
        let entries: Vec<_> = fs::read_dir(&folder).expect("every target has a corpus").flatten().collect();
        assert!(!entries.is_empty(), "{name} has no input");
        for entry in entries {
            let input = fs::read(entry.path()).expect("an input can be read");
            let result = panic::catch_unwind(|| run(&input));
            assert!(result.is_ok(), "{} breaks the target {name}", entry.path().display());
        }
    }
}

#[test]
fn every_target_and_every_corpus_is_tried() {
    let names = |path: &Path| -> BTreeSet<String> {
        let entries = fs::read_dir(path).expect("a directory of the project").flatten();
        entries.filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned())).collect()
    };
    let tried: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&corpus()), tried);
    assert_eq!(names(&corpus().with_file_name("fuzz_targets")), tried);
}
