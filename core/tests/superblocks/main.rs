//! What devices hold, by superblocks that were written by hand, whole, damaged, hostile and unreadable.

mod images;

use std::collections::BTreeSet;

use aegis_core::probe::{Content, Kind, Probe, READ_LIMIT, ReadError, Source, probe};

use images::{Image, LABEL, UUID};

/// A device that counts what is read, refuses what is not there, and fails at one byte.
struct Device<'a> {
    bytes: &'a [u8],
    read: u64,
    broken: Option<u64>,
}

impl<'a> Device<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, read: 0, broken: None }
    }
}

impl Source for Device<'_> {
    type Error = &'static str;

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), &'static str> {
        let start = usize::try_from(offset).expect("within the device");
        let end = start.checked_add(buffer.len()).expect("within the device");
        buffer.copy_from_slice(self.bytes.get(start..end).expect("read beyond the end"));
        self.read += buffer.len() as u64;
        let is_broken =
            self.broken.is_some_and(|byte| (offset..offset + buffer.len() as u64).contains(&byte));
        if is_broken { Err("dying") } else { Ok(()) }
    }
}

/// The answer; within the bounds that the documentation promises.
fn look(bytes: &[u8]) -> Content {
    let mut device = Device::new(bytes);
    let content = probe(&mut device).expect("nothing is broken");
    assert!(device.read <= READ_LIMIT, "{} bytes were read for {content:?}", device.read);
    content
}

fn one(bytes: &[u8]) -> Probe {
    match look(bytes) {
        Content::One(probe) => probe,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_kind_is_known() {
    let mut kinds = BTreeSet::new();
    for image in images::all() {
        let found = one(&image.bytes);
        kinds.insert(found.kind);
        assert_eq!(found.kind, image.kind);
        assert_eq!(found.is_checked, image.is_checked, "{found:?}");
        let label = found.label.map(|label| label.to_string());
        let named = match image.kind {
            Kind::Squashfs | Kind::BitLocker | Kind::Lvm2 => None,
            Kind::Raid if !image.is_checked => None,
            Kind::Luks if found.version.as_deref() == Some("1") => None,
            Kind::Fat => Some("BACKUP"),
            _ => Some(LABEL),
        };
        assert_eq!(label.as_deref(), named, "{:?}", image.kind);
        let id = match image.kind {
            Kind::Fat | Kind::Exfat => Some("0102-0304"),
            Kind::Ntfs => Some("0102030405060708"),
            Kind::Iso9660 => Some("2026-11-23-21-24-50-00"),
            Kind::Lvm2 => Some("abcdef-0123-4567-89AB-CDEF-GHIJ-KLMNOP"),
            Kind::Squashfs => None,
            _ => Some(UUID),
        };
        assert_eq!(found.uuid.as_ref().map(|id| id.as_str()), id, "{:?}", image.kind);
    }
    assert_eq!(kinds, Kind::ALL.into());
}

#[test]
fn sizes_and_versions() {
    let told = |image: Image| {
        let found = one(&image.bytes);
        (found.version.map(|version| version.as_str().to_string()), found.size, found.block_size)
    };
    let (mib, text) = (1 << 20, |version: &str| Some(version.to_string()));
    assert_eq!(told(images::ext4()), (text("1.0"), Some(2 * mib), Some(1024)));
    assert_eq!(told(images::btrfs()), (None, Some(2 * mib), Some(4096)));
    assert_eq!(told(images::xfs()), (None, Some(2 * mib), Some(4096)));
    assert_eq!(told(images::fat(12)), (text("FAT12"), Some(4096 * 512), Some(512)));
    assert_eq!(told(images::fat(16)), (text("FAT16"), Some(8192 * 512), Some(512)));
    assert_eq!(told(images::fat(32)), (text("FAT32"), Some(80_000 * 512), Some(512)));
    assert_eq!(told(images::exfat()), (text("1.0"), Some(2 * mib), Some(512)));
    assert_eq!(told(images::iso9660()), (None, Some(2 * mib), Some(2048)));
    assert_eq!(told(images::squashfs()), (text("4.0"), Some(4096), Some(131_072)));
    assert_eq!(told(images::erofs()), (None, Some(8192), Some(4096)));
    assert_eq!(told(images::swap(16384, b"SWAPSPACE2")), (text("1"), Some(99 * 16384), Some(16384)));
    assert_eq!(told(images::raid_0()), (text("0.90.0"), None, None));
    assert_eq!(told(images::raid(4096)), (text("1.2"), None, None));
    assert_eq!(told(images::f2fs()), (text("1.16"), Some(2 * mib), Some(4096)));
}

/// Flips each bit of each superblock: what a checksum covers is no longer believed, and nothing else comes of it.
#[test]
fn every_bit_of_a_superblock() {
    let mut seen = BTreeSet::new();
    for mut image in images::all() {
        // The pages of swap spaces differ in nothing but the place of their signature.
        if !seen.insert((image.kind, one(&image.bytes).version)) {
            continue;
        }
        let end = image.superblock.end.min(image.superblock.start + 512);
        let mut unchecked = 0;
        for (at, bit) in (image.superblock.start..end).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            image.bytes[at] ^= 1 << bit;
            let is_free = match image.kind {
                // These change at every mount.
                Kind::Exfat => matches!(at, 106 | 107 | 112),
                // The field has room for longer checksums.
                Kind::Btrfs => (65540..65568).contains(&at),
                _ => false,
            };
            match look(&image.bytes) {
                Content::Unknown => {}
                // The features tell the kinds of ext apart.
                Content::One(found) if found.kind == image.kind || image.kind.id().starts_with("ext") => {
                    assert!(is_free || !found.is_checked, "bit {bit} of byte {at}: {found:?}");
                    unchecked += u32::from(image.is_checked && !is_free);
                }
                found => panic!("bit {bit} of byte {at} of {:?}: {found:?}", image.kind),
            }
            image.bytes[at] ^= 1 << bit;
        }
        // The bits that say whether and how a checksum is there.
        assert!(unchecked <= 2, "{unchecked} bits of {:?} switch its checksum off", image.kind);
    }
}

#[test]
fn every_length() {
    for image in images::all() {
        let ends = [
            0,
            1,
            511,
            512,
            1024,
            1025,
            2048,
            4096,
            8191,
            32768,
            36864,
            65536,
            69632,
            1 << 20,
            (2 << 20) - 1,
        ];
        for end in ends {
            match look(&image.bytes[..end]) {
                Content::Unknown => {}
                Content::One(found) => assert_eq!(found.kind, image.kind, "{end}"),
                found => panic!("{found:?}"),
            }
        }
        assert_eq!(look(&image.bytes[..1024]), Content::Unknown);
    }
    assert_eq!(look(&[]), Content::Unknown);
    assert_eq!(look(&vec![0; 4 << 20]), Content::Unknown);
    assert_eq!(look(&vec![0xff; 4 << 20]), Content::Unknown);
}

#[test]
fn several_are_told_and_none_is_chosen() {
    for (a, b) in [
        (images::ext4(), images::btrfs()),
        (images::iso9660(), images::ext4()),
        (images::xfs(), images::swap(4096, b"SWAPSPACE2")),
        (images::bcache(), images::btrfs()),
    ] {
        let Content::Several(kinds) = look(&images::over(&a, &b)) else {
            panic!("{:?} {:?}", a.kind, b.kind)
        };
        let kinds: BTreeSet<_> = kinds.into_iter().collect();
        assert_eq!(kinds, [a.kind, b.kind].into());
    }
}

#[test]
fn what_holds_another_device_hides_it() {
    for holder in [images::raid(4096), images::raid((2 << 20) - 8192), images::lvm2(), images::luks(2)] {
        assert_eq!(one(&images::over(&holder, &images::btrfs())).kind, holder.kind);
    }
    // BitLocker on a stick begins as an ordinary FAT does.
    let mut stick = images::fat(32);
    stick.bytes[3..11].copy_from_slice(b"MSWIN4.1");
    assert_eq!(one(&stick.bytes).kind, Kind::Fat);
    stick.bytes[440..448].copy_from_slice(&4096_u64.to_le_bytes());
    assert_eq!(one(&stick.bytes).kind, Kind::Fat);
    stick.bytes[4096..4104].copy_from_slice(b"-FVE-FS-");
    assert_eq!(one(&stick.bytes).kind, Kind::BitLocker);
}

#[test]
fn the_end_of_a_partition_is_not_the_disk_s() {
    let mut disk = images::raid_0();
    disk.bytes[510..512].copy_from_slice(b"\x55\xaa");
    assert_eq!(one(&disk.bytes).kind, Kind::Raid);
    disk.bytes[446 + 16 + 4] = 0xfd;
    assert_eq!(look(&disk.bytes), Content::Unknown);
}

#[test]
fn nothing_is_a_member_of_an_array_on_a_floppy_disk() {
    let floppy = images::lvm2().bytes[..1440 * 1024].to_vec();
    assert_eq!(look(&floppy), Content::Unknown);
    let both = images::over(&images::ext4(), &images::btrfs())[..1440 * 1024].to_vec();
    assert_eq!(one(&both).kind, Kind::Ext4);
}

#[test]
fn an_unreadable_block_is_an_error_with_its_place() {
    let image = images::ext4();
    for (byte, offset) in [(0, 0), (2047, 0), (65536 + 100, 65536), ((2 << 20) - 65536, (2 << 20) - 65536)] {
        let mut device = Device { broken: Some(byte), ..Device::new(&image.bytes) };
        let Err(ReadError { offset: found, source, .. }) = probe(&mut device) else { panic!("byte {byte}") };
        assert_eq!((found, source), (offset, "dying"));
    }
    // What is not looked at may be broken.
    let mut device = Device { broken: Some(1 << 20), ..Device::new(&image.bytes) };
    assert!(matches!(probe(&mut device), Ok(Content::One(_))));
}

#[test]
fn hostile_labels() {
    let shown = |image: &Image| one(&image.bytes).label.map(|label| label.to_string());
    let labelled = |mut image: Image, at: usize, label: &[u8]| {
        image.bytes[at..at + label.len()].copy_from_slice(label);
        shown(&image)
    };
    let ext = |label: &[u8]| labelled(images::ext(Kind::Ext2, 0), 1024 + 0x78, label);
    assert_eq!(ext(b"\x1b[2Jroot\0").as_deref(), Some("\\u{1b}[2Jroot"));
    assert_eq!(ext("\u{202e}toor\0".as_bytes()).as_deref(), Some("\\u{202e}toor"));
    assert_eq!(ext(b"a\xff\xfeb \t\0").as_deref(), Some("a\\xff\\xfeb"));
    assert_eq!(ext(b"0123456789abcdefX").as_deref(), Some("0123456789abcdef"));
    assert_eq!(ext(b"\0ackup"), None);
    assert_eq!(ext(b"      \0"), None);
    let root = (256 + 2 * 8) * 512 + 32;
    // A surrogate without its other half, then one with it.
    let units = [0xd800_u16, 0x61, 0xd83d, 0xde00].map(u16::to_le_bytes).concat();
    assert_eq!(labelled(images::exfat(), root + 2, &units).as_deref(), Some("\\u{fffd}a\u{1f600}up"));
    assert_eq!(labelled(images::exfat(), root + 1, &[255]).as_deref(), Some("backup"));
    let mut long = images::f2fs();
    long.bytes[1024 + 32] = 0;
    long.bytes[1024 + 33] = 0;
    let name = "\u{20ac}".repeat(512).encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    assert_eq!(labelled(long, 1024 + 0x7c, &name), Some("\u{20ac}".repeat(85)));
}

#[test]
fn a_label_of_joliet_completes_the_plain_one() {
    let label = |plain: &str, wide: &str| {
        let mut image = images::iso9660();
        image.bytes[32768 + 40..32768 + 72].copy_from_slice(format!("{plain:32}").as_bytes());
        let at = 32768 + 2048;
        image.bytes[at..at + 7].copy_from_slice(b"\x02CD001\x01");
        image.bytes[at + 88..at + 91].copy_from_slice(b"%/E");
        let units: Vec<u8> =
            format!("{wide:16}").encode_utf16().flat_map(u16::to_be_bytes).take(32).collect();
        image.bytes[at + 40..at + 72].copy_from_slice(&units);
        let found = one(&image.bytes);
        assert_eq!(found.version.as_deref(), Some("Joliet Extension"));
        found.label.map(|label| label.to_string()).unwrap_or_default()
    };
    assert_eq!(label("AEGIS", "Aegis"), "Aegis");
    assert_eq!(label("ABCDEFGHIJKLMNOPQRST", "Abcdefghijklmnop"), "AbcdefghijklmnopQRST");
    assert_eq!(label("B_CHER", "B\u{fc}cher"), "B\u{fc}cher");
    assert_eq!(label("OTHER", "Name"), "Name");
}

#[test]
fn a_disc_that_is_udf_too() {
    let mut image = images::iso9660();
    for (number, id) in [(2, b"BEA01"), (3, b"NSR02"), (4, b"TEA01")] {
        let at = 32768 + number * 2048 + 1;
        image.bytes[at..at + 5].copy_from_slice(id);
    }
    // The last of them took the place of the root directory.
    let root = 32768 + 5 * 2048;
    image.bytes[32768 + 158] = 21;
    image.bytes[root..root + 3].copy_from_slice(&[34, 0, 21]);
    image.bytes[root + 32] = 1;
    assert_eq!(one(&image.bytes).version.as_deref(), Some("UDF bridge"));
    // An image inside another file system has its root directory elsewhere.
    image.bytes[root + 32] = 0;
    assert_eq!(look(&image.bytes), Content::Unknown);
}

#[test]
fn chains_end() {
    // The root directory's first cluster points to itself, and no entry is a label or the last.
    let mut image = images::fat(32);
    image.bytes[626 * 512..627 * 512].copy_from_slice(&b"FILE    TXT\x20aaaaaaaaaaaaaaaaaaaa".repeat(16));
    image.bytes[512 + 8..512 + 12].copy_from_slice(&2_u32.to_le_bytes());
    assert_eq!(one(&image.bytes).label, None);
    let mut image = images::exfat();
    let root = (256 + 2 * 8) * 512;
    image.bytes[root..root + 4096].copy_from_slice(&[0x85; 4096]);
    image.bytes[128 * 512 + 16..128 * 512 + 20].copy_from_slice(&4_u32.to_le_bytes());
    assert_eq!(one(&image.bytes).label, None);
}

#[test]
fn the_largest_device_that_a_number_can_name() {
    /// Ends at the last byte that has a number, and says everywhere what a superblock with the largest numbers does.
    struct Huge(Vec<u8>);

    impl Source for Huge {
        type Error = &'static str;

        fn size(&self) -> u64 {
            u64::MAX
        }

        fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), &'static str> {
            for (at, byte) in (offset..).zip(buffer) {
                *byte = usize::try_from(at).ok().and_then(|at| self.0.get(at).copied()).unwrap_or(0xff);
            }
            Ok(())
        }
    }

    for image in images::all() {
        let mut device = Huge(image.bytes);
        assert!(probe(&mut device).is_ok());
    }
}
