//! Superblocks written by hand from the formats' documentation, one for each kind; tests/suite compares the same rules
//! with what the formats' own programs write.

use aegis_core::probe::Kind;

/// The bytes of a device.
pub(crate) struct Image {
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
    /// The bytes of its superblock that mean something.
    pub(crate) superblock: std::ops::Range<usize>,
    /// Whether a checksum covers them.
    pub(crate) is_checked: bool,
}

pub(crate) const LABEL: &str = "backup";
pub(crate) const ID: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
pub(crate) const UUID: &str = "01020304-0506-0708-090a-0b0c0d0e0f10";

const MIB: usize = 1 << 20;

impl Image {
    fn new(kind: Kind, superblock: std::ops::Range<usize>) -> Self {
        Self { kind, bytes: vec![0; 2 * MIB], superblock, is_checked: false }
    }

    fn put(&mut self, at: usize, bytes: &[u8]) -> &mut Self {
        let start = self.superblock.start + at;
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Computes the checksum over a part of the superblock and stores it.
    fn seal(&mut self, covered: std::ops::Range<usize>, at: usize, sum: fn(&[u8]) -> Vec<u8>) -> &mut Self {
        let start = self.superblock.start;
        let sum = sum(&self.bytes[start + covered.start..start + covered.end]);
        self.is_checked = true;
        self.put(at, &sum)
    }
}

/// CRC by the definition: one bit after the other.
fn crc(polynomial: u32, start: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(start, |sum, byte| {
        (0..8).fold(
            sum ^ u32::from(*byte),
            |sum, _bit| {
                if sum & 1 == 1 { sum >> 1 ^ polynomial } else { sum >> 1 }
            },
        )
    })
}

fn crc32c(bytes: &[u8]) -> u32 {
    crc(0x82f6_3b78, !0, bytes)
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

pub(crate) fn ext4() -> Image {
    let mut image = Image::new(Kind::Ext4, 1024..2048);
    image
        .put(0x4, &2048_u32.to_le_bytes())
        .put(0x38, b"\x53\xef")
        .put(0x4c, &[1])
        .put(0x5c, &[4])
        .put(0x60, &[0xc2, 2])
        .put(0x64, &[0x6b, 4])
        .put(0x68, &ID)
        .put(0x78, LABEL.as_bytes())
        .seal(0..0x3fc, 0x3fc, |bytes| crc32c(bytes).to_le_bytes().into());
    image
}

/// Without checksum.
pub(crate) fn ext(kind: Kind, journal: u8) -> Image {
    let mut image = Image::new(kind, 1024..1024 + 0x88);
    image.put(0x4, &[0, 8]).put(0x38, b"\x53\xef").put(0x5c, &[journal]).put(0x60, &[2]).put(0x64, &[3]);
    image.put(0x68, &ID).put(0x78, LABEL.as_bytes());
    image
}

pub(crate) fn btrfs() -> Image {
    let mut image = Image::new(Kind::Btrfs, 65536..65536 + 4096);
    image
        .put(0x20, &ID)
        .put(0x30, &65536_u64.to_le_bytes())
        .put(0x40, b"_BHRfS_M")
        .put(0x70, &(2 * MIB).to_le_bytes())
        .put(0x90, &4096_u32.to_le_bytes())
        .put(0x12b, LABEL.as_bytes())
        .seal(32..4096, 0, |bytes| (!crc32c(bytes)).to_le_bytes().into());
    image
}

pub(crate) fn xfs() -> Image {
    let mut image = Image::new(Kind::Xfs, 0..512);
    image
        .put(0, b"XFSB")
        .put(4, &4096_u32.to_be_bytes())
        .put(8, &512_u64.to_be_bytes())
        .put(32, &ID)
        .put(80, &1_u32.to_be_bytes())
        .put(84, &512_u32.to_be_bytes())
        .put(88, &1_u32.to_be_bytes())
        .put(100, &0xb4a5_u16.to_be_bytes())
        .put(102, &512_u16.to_be_bytes())
        .put(104, &512_u16.to_be_bytes())
        .put(108, LABEL.as_bytes())
        .put(120, &[12, 9, 9, 3])
        .put(127, &[25])
        .put(200, &0x100_u32.to_be_bytes())
        .seal(0..512, 224, |bytes| (!crc32c(bytes)).to_le_bytes().into());
    image
}

pub(crate) fn fat(bits: u8) -> Image {
    let mut image = Image::new(Kind::Fat, 0..512);
    let sectors: u32 = if bits == 32 { 80_000 } else { u32::from(bits) * 1024 - 8192 };
    // A sector for each cluster, so that the number of clusters decides the kind.
    image
        .put(0, b"\xeb\x58\x90mkfs.fat")
        .put(11, &512_u16.to_le_bytes())
        .put(13, &[1])
        .put(14, &[1])
        .put(16, &[1]);
    image.put(21, &[0xf8]).put(32, &sectors.to_le_bytes()).put(510, b"\x55\xaa");
    let root = if bits == 32 {
        image.put(36, &625_u32.to_le_bytes()).put(44, &[2]).put(67, &[4, 3, 2, 1]);
        626 * 512
    } else {
        image.put(17, &[0, 2]).put(22, &[32]).put(38, &[0x29, 4, 3, 2, 1]);
        33 * 512
    };
    image.put(root, b"LONG       \x0f").put(root + 32, b"BACKUP     \x08");
    image
}

pub(crate) fn exfat() -> Image {
    let mut image = Image::new(Kind::Exfat, 0..11 * 512);
    image
        .put(0, b"\xeb\x76\x90EXFAT   ")
        .put(72, &4096_u64.to_le_bytes())
        .put(80, &128_u32.to_le_bytes())
        .put(84, &32_u32.to_le_bytes())
        .put(88, &256_u32.to_le_bytes())
        .put(92, &480_u32.to_le_bytes())
        .put(96, &4_u32.to_le_bytes())
        .put(100, &[4, 3, 2, 1])
        .put(105, &[1])
        .put(108, &[9, 3, 1])
        .put(510, b"\x55\xaa");
    let root = (256 + 2 * 8) * 512;
    image.put(root, &[0x81]).put(root + 32, &[0x83, 6]).put(root + 34, &utf16(LABEL));
    image.seal(0..11 * 512, 11 * 512, |bytes| {
        let counted = bytes.iter().enumerate().filter(|(at, _)| !matches!(at, 106 | 107 | 112));
        let sum = counted
            .fold(0_u32, |sum, (_, byte)| (sum << 31).wrapping_add(sum >> 1).wrapping_add(u32::from(*byte)));
        sum.to_le_bytes().repeat(128)
    });
    image
}

pub(crate) fn iso9660() -> Image {
    let mut image = Image::new(Kind::Iso9660, 32768..32768 + 2048);
    image
        .put(0, b"\x01CD001\x01")
        .put(40, format!("{:32}", LABEL).as_bytes())
        .put(80, &1024_u32.to_le_bytes())
        .put(128, &2048_u16.to_le_bytes())
        .put(156, &[34, 0, 20])
        .put(830, b"2026112321245000")
        .put(2048, b"\xffCD001\x01");
    image.put(4 * 2048, &[34, 0, 20]).put(4 * 2048 + 32, &[1]);
    image
}

pub(crate) fn squashfs() -> Image {
    let mut image = Image::new(Kind::Squashfs, 0..96);
    image.put(0, b"hsqs").put(12, &131_072_u32.to_le_bytes()).put(22, &[17]).put(28, &[4]).put(40, &[0, 16]);
    image
}

pub(crate) fn erofs() -> Image {
    let mut image = Image::new(Kind::Erofs, 1024..4096);
    image.put(0, b"\xe2\xe1\xf5\xe0").put(8, &[1]).put(12, &[12]).put(36, &[2]).put(48, &ID);
    image.put(64, LABEL.as_bytes()).seal(0..3072, 4, |bytes| crc32c(bytes).to_le_bytes().into());
    image
}

pub(crate) fn luks(version: u8) -> Image {
    let mut image = Image::new(Kind::Luks, 0..208);
    image.put(0, b"LUKS\xba\xbe").put(7, &[version]).put(168, UUID.as_bytes());
    if version == 2 {
        image.put(24, LABEL.as_bytes());
    }
    image
}

pub(crate) fn swap(page: usize, signature: &[u8]) -> Image {
    let kind = if signature == b"SWAPSPACE2" { Kind::Swap } else { Kind::Suspended };
    let mut image = Image::new(kind, 1024..1024 + 176);
    image.put(0, &[1]).put(4, &[99]).put(12, &ID).put(28, LABEL.as_bytes()).put(page - 1034, signature);
    image
}

pub(crate) fn ntfs() -> Image {
    let mut image = Image::new(Kind::Ntfs, 0..84);
    image
        .put(0, b"\xeb\x52\x90NTFS    ")
        .put(11, &512_u16.to_le_bytes())
        .put(13, &[8])
        .put(21, &[0xf8])
        .put(40, &4096_u64.to_le_bytes())
        .put(48, &[4])
        .put(56, &[2])
        .put(64, &[0xf6])
        .put(72, &[8, 7, 6, 5, 4, 3, 2, 1]);
    let (table, name) = (4 * 4096, utf16(LABEL));
    image
        .put(table, b"FILE")
        .put(table + 3072, b"FILE")
        .put(table + 3072 + 20, &[56])
        .put(table + 3072 + 28, &[0, 4]);
    image.put(table + 3072 + 56, &[0x10, 0, 0, 0, 24]);
    image.put(table + 3072 + 80, &[0x60, 0, 0, 0, 40]).put(table + 3072 + 96, &[12, 0, 0, 0, 24]);
    image.put(table + 3072 + 104, &name);
    image
}

pub(crate) fn bitlocker() -> Image {
    let mut image = Image::new(Kind::BitLocker, 0..184);
    image.put(0, b"\xeb\x58\x90-FVE-FS-").put(176, &[0, 16]);
    // A GUID of Microsoft: the first three fields have their low byte first.
    let guid = [4, 3, 2, 1, 6, 5, 8, 7, 9, 10, 11, 12, 13, 14, 15, 16];
    image.put(4096, b"-FVE-FS-").put(4106, &[2]).put(4096 + 80, &guid);
    image
}

pub(crate) fn lvm2() -> Image {
    let mut image = Image::new(Kind::Lvm2, 512..1024);
    image
        .put(0, b"LABELONE")
        .put(8, &[1])
        .put(20, &[32])
        .put(24, b"LVM2 001")
        .put(32, b"abcdef0123456789ABCDEFGHIJKLMNOP")
        .seal(20..512, 16, |bytes| crc(0xedb8_8320, 0xf597_a6cf, bytes).to_le_bytes().into());
    image
}

/// Version 1 at this place.
pub(crate) fn raid(position: usize) -> Image {
    let mut image = Image::new(Kind::Raid, position..position + 256 + 3 * 2);
    image
        .put(0, &0xa92b_4efc_u32.to_le_bytes())
        .put(4, &[1])
        .put(16, &ID)
        .put(32, LABEL.as_bytes())
        .put(144, &(position / 512).to_le_bytes())
        .put(220, &[3])
        .put(256, &[0, 0, 1, 0, 2])
        .seal(0..256 + 6, 216, |bytes| {
            let words = bytes
                .chunks(4)
                .map(|word| word.iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte)));
            let sum: u64 = words.sum();
            let folded = (sum & 0xffff_ffff) + (sum >> 32);
            folded.to_le_bytes()[..4].into()
        });
    image
}

/// Version 0.90 at the end.
pub(crate) fn raid_0() -> Image {
    let position = 2 * MIB - 65536;
    let mut image = Image::new(Kind::Raid, position..position + 64);
    image.put(0, &0xa92b_4efc_u32.to_le_bytes()).put(8, &[90]).put(20, &[4, 3, 2, 1]).put(32, &[0, 7]);
    image.put(52, &[8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13]);
    image
}

pub(crate) fn bcache() -> Image {
    let mut image = Image::new(Kind::Bcache, 4096..4096 + 208);
    image
        .put(8, &[8])
        .put(16, &[1])
        .put(
            24,
            &[0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81],
        )
        .put(40, &ID)
        .put(72, LABEL.as_bytes())
        .seal(8..208, 0, |bytes| {
            let sum = bytes.iter().fold(!0_u64, |sum, byte| {
                (0..8).fold(sum ^ u64::from(*byte) << 56, |sum, _bit| {
                    if sum >> 63 == 1 { sum << 1 ^ 0x42f0_e1eb_a9ea_3693 } else { sum << 1 }
                })
            });
            (!sum).to_le_bytes().into()
        });
    image
}

pub(crate) fn f2fs() -> Image {
    let mut image = Image::new(Kind::F2fs, 1024..4096);
    image
        .put(0, b"\x10\x20\xf5\xf2\x01\0\x10")
        .put(16, &[12])
        .put(32, &3068_u32.to_le_bytes())
        .put(36, &[0, 2])
        .put(0x6c, &ID)
        .put(0x7c, &utf16(LABEL))
        .seal(0..3068, 3068, |bytes| crc(0xedb8_8320, 0xf2f5_2010, bytes).to_le_bytes().into());
    image
}

/// One of each kind and variant.
pub(crate) fn all() -> Vec<Image> {
    let mut all = vec![
        ext4(),
        ext(Kind::Ext3, 4),
        ext(Kind::Ext2, 0),
        btrfs(),
        xfs(),
        fat(12),
        fat(16),
        fat(32),
        exfat(),
        iso9660(),
        squashfs(),
        erofs(),
        luks(1),
        luks(2),
        ntfs(),
        bitlocker(),
        lvm2(),
        raid_0(),
        raid(0),
        raid(4096),
        raid(2 * MIB - 8192),
        bcache(),
        f2fs(),
    ];
    for page in [4096, 8192, 16384, 32768, 65536] {
        all.push(swap(page, b"SWAPSPACE2"));
        all.push(swap(page, b"S1SUSPEND\0"));
    }
    all
}

/// The first device where it is not zero, and the other one elsewhere.
pub(crate) fn over(first: &Image, other: &Image) -> Vec<u8> {
    first.bytes.iter().zip(&other.bytes).map(|(one, other)| if *one == 0 { *other } else { *one }).collect()
}
