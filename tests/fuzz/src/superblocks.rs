//! What a device holds.

use super::disk::Disk;
use aegis_core::{
    probe::{Content, Probe, READ_LIMIT, Source, probe},
    text::is_plain,
};

/// Tries one input.
pub fn run(input: &[u8]) {
    let Some(mut disk) = Disk::new(input) else { return };
    let found = probe(&mut disk);
    assert!(disk.read <= READ_LIMIT, "{} bytes were read", disk.read);
    // An answer without what could not be read would be a guess.
    assert_eq!(found.is_err(), disk.failed);
    match found {
        Ok(content) => {
            check(&content, disk.size());
            assert_eq!(probe(&mut disk.repaired()), Ok(content), "what was not read changed the answer");
        }
        Err(error) => assert!(error.offset < disk.size() && error.length > 0),
    }
}

fn check(content: &Content, size: u64) {
    match content {
        Content::Unknown => {}
        Content::One(found) => check_one(found),
        Content::Several(kinds) => {
            assert!(kinds.len() > 1);
            assert!((1..kinds.len()).all(|end| !kinds[..end].contains(&kinds[end])), "{kinds:?}");
        }
    }
    assert!(size > 1024 || *content == Content::Unknown);
}

fn check_one(found: &Probe) {
    if let Some(label) = &found.label {
        assert!((1..=256).contains(&label.as_bytes().len()));
        assert!(label.to_string().chars().all(is_plain));
    }
    if let Some(uuid) = &found.uuid {
        assert!(!uuid.as_str().is_empty() && uuid.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
    }
    assert!(found.block_size != Some(0));
}
