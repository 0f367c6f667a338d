//! What a device holds: libblkid and our own probe look at the same images, whole and damaged.
//!
//! Where they differ, ours says less:
//! - libblkid knows more kinds, such as an external journal of ext4.
//! - Ours wants numbers that libblkid does not look at to be sound too, and a checksum to be right.
//! - Of the checksums of Btrfs, ours compares CRC-32C alone; images with another one are believed without.
//! - libblkid says `udf` of a disc that is ISO 9660 and UDF at once.

#[path = "../../../core/tests/superblocks/images.rs"]
mod images;
mod made;

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
};

use aegis_hw::content::{self, Content, Signature, Source};

const SECTOR: usize = 512;

/// Both answers to the same bytes.
fn both(path: &Path, file: &File, size: u64) -> (Content, Content) {
    let ours = content::by_core(path, file, 0, size).expect("a file can be read");
    let theirs = content::by_libblkid(file, 0, size);
    (ours, theirs.expect("libblkid.so.1 is missing; next: tests/setup"))
}

/// Ours without what versions of libblkid before 2.41 do not tell of some kinds.
fn as_told(our: &Signature, their: &Signature) -> Signature {
    let told = |ours: &Option<String>, theirs: &Option<String>| {
        let is_news = theirs.is_none() && matches!(our.kind.as_str(), "bcache" | "BitLocker");
        if is_news { None } else { ours.clone() }
    };
    Signature {
        label: told(&our.label, &their.label),
        uuid: told(&our.uuid, &their.uuid),
        version: told(&our.version, &their.version),
        ..our.clone()
    }
}

/// Both answers to a whole image are the same.
fn compare(path: &Path, file: &File, size: u64) -> Content {
    let (ours, theirs) = both(path, file, size);
    if let (Content::One(our), Content::One(their)) = (&ours, &theirs) {
        assert_eq!(&as_told(our, their), their, "{}", path.display());
    }
    ours
}

/// Ours is theirs, or says less.
fn compare_damaged(path: &Path, file: &File, size: u64, damage: &str) {
    let (ours, theirs) = both(path, file, size);
    let is_subset = match (&ours, &theirs) {
        (Content::Unknown, _) | (Content::Several { .. }, Content::Several { .. }) => true,
        (Content::One(our), Content::One(their)) => {
            let our = as_told(our, their);
            let is_less = |our: &Option<String>, their: &Option<String>| our.is_none() || our == their;
            (&our.kind, our.usage) == (&their.kind, their.usage)
                && (!their.is_damaged || our.kind == "btrfs")
                && is_less(&our.label, &their.label)
                && is_less(&our.uuid, &their.uuid)
                && is_less(&our.version, &their.version)
        }
        _ => false,
    };
    assert!(is_subset, "{}, {damage}: ours {ours:?}, theirs {theirs:?}", path.display());
}

#[test]
fn images_of_the_formats_own_programs() {
    let made = made::Made::all();
    for image in &made.images {
        let file = File::open(image).expect("an image");
        let size = file.metadata().expect("an image").len();
        let name = image.file_name().expect("a name").to_string_lossy();
        match compare(image, &file, size) {
            Content::One(_) => {}
            Content::Unknown if name == "10-mke2fs" => {}
            other => panic!("{name}: {other:?}"),
        }
        let whole = content::identify(image, &file, 0, size).expect("a file can be read");
        assert_eq!(whole.source, Source::Libblkid);
        damage(image, size);
    }
}

/// Truncates, zeroes each sector that is not, and inverts bytes of it, among the first and last that a probe reads.
fn damage(image: &Path, size: u64) {
    let file = OpenOptions::new().read(true).write(true).open(image).expect("an image");
    for length in [0, 512, 1024, 1536, 4096, 32768, 65536, 69632, 1 << 20, size / 2, size - 512, size - 1] {
        compare_damaged(image, &file, length.min(size), &format!("cut to {length}"));
    }
    let ends = (0..192 * 1024).chain(size.saturating_sub(160 * 1024) / 512 * 512..size);
    for at in ends.step_by(SECTOR).filter(|at| *at + SECTOR as u64 <= size) {
        let mut sector = [0; SECTOR];
        file.read_exact_at(&mut sector, at).expect("a sector");
        if sector == [0; SECTOR] {
            continue;
        }
        let check = |damaged: &[u8], what: &str| {
            file.write_all_at(damaged, at).expect("a sector");
            compare_damaged(image, &file, size, &format!("sector at {at} {what}"));
        };
        check(&[0; SECTOR], "zeroed");
        check(&[0xff; SECTOR], "filled");
        // Any step that is no divisor of a field's length.
        for byte in (0..SECTOR).step_by(13).filter(|byte| sector[*byte] != 0) {
            let mut damaged = sector;
            damaged[byte] = !damaged[byte];
            check(&damaged, &format!("byte {byte} inverted"));
        }
        file.write_all_at(&sector, at).expect("a sector");
    }
}

/// What no small package makes: members of arrays, BitLocker, hibernated systems.
#[test]
fn superblocks_by_hand() {
    for image in images::all() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(image.kind.id());
        std::fs::write(&path, &image.bytes).expect("an image");
        let file = File::open(&path).expect("an image");
        let size = image.bytes.len() as u64;
        let found = compare(&path, &file, size);
        assert!(matches!(found, Content::One(found) if found.kind == image.kind.id()));
        damage(&path, size);
    }
}

/// Superblocks of two kinds on one device. Where one damages the other, libblkid may still believe both.
#[test]
fn two_kinds_on_one_device() {
    let mut images = images::all();
    let mut seen = BTreeSet::new();
    images.retain(|image| seen.insert(image.kind));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("both");
    let mut ambiguous = 0;
    for (number, first) in images.iter().enumerate() {
        for second in &images[number + 1..] {
            let bytes = images::over(first, second);
            std::fs::write(&path, &bytes).expect("an image");
            let file = File::open(&path).expect("an image");
            let (ours, theirs) = both(&path, &file, bytes.len() as u64);
            match (&ours, &theirs) {
                (Content::Several { kinds: ours }, Content::Several { .. }) if ours.len() > 1 => {
                    ambiguous += 1
                }
                (Content::One(our), Content::One(their)) if our.kind == their.kind => {}
                (Content::Unknown, _) | (Content::One(_), Content::Several { .. }) => {}
                _ => panic!("{:?} over {:?}: ours {ours:?}, theirs {theirs:?}", first.kind, second.kind),
            }
        }
    }
    assert!(ambiguous > 60, "only {ambiguous} pairs were undamaged");
}
