//! Names of what a device can hold.

use core::fmt;

use serde::{Deserialize, Serialize};

/// What a device holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Member of a Linux software RAID array (md).
    Raid,
    /// bcache: backing or caching device.
    Bcache,
    /// Physical volume of LVM 2.
    Lvm2,
    /// LUKS, version 1 or 2.
    Luks,
    /// BitLocker.
    BitLocker,
    /// FAT with 12, 16 or 32 bits.
    Fat,
    /// Swap space that holds the image of a hibernated system: whoever changes a file system of that system damages it.
    Suspended,
    /// Swap space.
    Swap,
    /// XFS.
    Xfs,
    /// ext2.
    Ext2,
    /// ext3: ext2 with a journal.
    Ext3,
    /// ext4.
    Ext4,
    /// ISO 9660.
    Iso9660,
    /// NTFS.
    Ntfs,
    /// SquashFS 4.
    Squashfs,
    /// Btrfs.
    Btrfs,
    /// exFAT.
    Exfat,
    /// F2FS.
    F2fs,
    /// EROFS.
    Erofs,
}

/// What a kind is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Usage {
    /// Files.
    Filesystem,
    /// Part of a device that is made of several.
    Raid,
    /// Encrypted data.
    Crypto,
    /// Anything else.
    Other,
}

impl Kind {
    /// Every kind, in the order in which they are looked for.
    pub const ALL: [Self; 19] = [
        Self::Raid,
        Self::Bcache,
        Self::Lvm2,
        Self::Luks,
        Self::BitLocker,
        Self::Fat,
        Self::Suspended,
        Self::Swap,
        Self::Xfs,
        Self::Ext2,
        Self::Ext3,
        Self::Ext4,
        Self::Iso9660,
        Self::Ntfs,
        Self::Squashfs,
        Self::Btrfs,
        Self::Exfat,
        Self::F2fs,
        Self::Erofs,
    ];

    /// The name that libblkid gives it as `TYPE`.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Raid => "linux_raid_member",
            Self::Bcache => "bcache",
            Self::Lvm2 => "LVM2_member",
            Self::Luks => "crypto_LUKS",
            Self::BitLocker => "BitLocker",
            Self::Fat => "vfat",
            Self::Suspended => "swsuspend",
            Self::Swap => "swap",
            Self::Xfs => "xfs",
            Self::Ext2 => "ext2",
            Self::Ext3 => "ext3",
            Self::Ext4 => "ext4",
            Self::Iso9660 => "iso9660",
            Self::Ntfs => "ntfs",
            Self::Squashfs => "squashfs",
            Self::Btrfs => "btrfs",
            Self::Exfat => "exfat",
            Self::F2fs => "f2fs",
            Self::Erofs => "erofs",
        }
    }

    /// What it is used for.
    pub const fn usage(self) -> Usage {
        match self {
            Self::Raid | Self::Lvm2 => Usage::Raid,
            Self::Luks | Self::BitLocker => Usage::Crypto,
            Self::Bcache | Self::Suspended | Self::Swap => Usage::Other,
            _ => Usage::Filesystem,
        }
    }
}

/// The name for people.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Raid => "RAID member",
            Self::Lvm2 => "LVM volume",
            Self::Luks => "LUKS",
            Self::Fat => "FAT",
            Self::Suspended => "hibernated system",
            Self::Swap => "swap space",
            Self::Xfs => "XFS",
            Self::Iso9660 => "ISO 9660",
            Self::Ntfs => "NTFS",
            Self::Squashfs => "SquashFS",
            Self::Exfat => "exFAT",
            Self::F2fs => "F2FS",
            Self::Erofs => "EROFS",
            other => other.id(),
        })
    }
}

impl Usage {
    /// Every usage.
    pub const ALL: [Self; 4] = [Self::Filesystem, Self::Raid, Self::Crypto, Self::Other];

    /// The name that libblkid gives it as `USAGE`.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Filesystem => "filesystem",
            Self::Raid => "raid",
            Self::Crypto => "crypto",
            Self::Other => "other",
        }
    }
}
