//! Types and attributes of partitions.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::{Uuid, uuid};

/// What a partition says that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartitionType {
    /// Type GUID of a GPT.
    Gpt(Uuid),
    /// Type byte of an MBR.
    Mbr(u8),
}

impl PartitionType {
    /// EFI system partition.
    pub const ESP: Self = Self::Gpt(uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"));
    /// GRUB's core image on machines with a BIOS.
    pub const BIOS_BOOT: Self = Self::Gpt(uuid!("21686148-6449-6e6f-744e-656564454649"));
    /// Root file system for x86-64, as the Discoverable Partitions Specification defines it.
    pub const ROOT_X86_64: Self = Self::Gpt(uuid!("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"));
    /// Any file system of Linux.
    pub const LINUX: Self = Self::Gpt(uuid!("0fc63daf-8483-4772-8e79-3d69d8477de4"));

    /// What Windows takes for its own, whatever the file system.
    pub const WINDOWS_DATA: Self = Self::Gpt(uuid!("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"));

    /// What a live system keeps, on the stick that it came from.
    pub const PERSISTENCE: Self = Self::Gpt(Uuid::from_bytes(aegis_core::persistence::TYPE.0));

    /// The name that the specification, or common use, gives to the type.
    pub fn name(&self) -> Option<&'static str> {
        match self {
            Self::Gpt(guid) => GPT_NAMES.iter().find(|(known, _)| known == guid).map(|(_, name)| *name),
            Self::Mbr(byte) => MBR_NAMES.iter().find(|(known, _)| known == byte).map(|(_, name)| *name),
        }
    }

    /// The type of a GPT with this name.
    pub fn named(name: &str) -> Option<Self> {
        GPT_NAMES.iter().find(|(_, known)| *known == name).map(|(guid, _)| Self::Gpt(*guid))
    }

    /// Whether an MBR's partition is a container of others.
    pub(super) fn is_extended(byte: u8) -> bool {
        matches!(byte, 0x05 | 0x0f | 0x85)
    }
}

impl fmt::Display for PartitionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self) {
            (Some(name), _) => f.pad(name),
            (None, Self::Gpt(guid)) => f.pad(&guid.to_string()),
            (None, Self::Mbr(byte)) => f.pad(&format!("0x{byte:02x}")),
        }
    }
}

/// Every type of the Discoverable Partitions Specification that exists for x86-64 or for all machines, and what is
/// met beside it: <https://uapi-group.org/specifications/specs/discoverable_partitions_specification/>.
const GPT_NAMES: [(Uuid, &str); 35] = [
    (uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"), "esp"),
    (uuid!("bc13c2ff-59e6-4262-a352-b275fd6f7172"), "xbootldr"),
    (uuid!("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"), "root-x86-64"),
    (uuid!("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"), "root-x86-64-verity"),
    (uuid!("41092b05-9fc8-4523-994f-2def0408b176"), "root-x86-64-verity-sig"),
    (uuid!("8484680c-9521-48c6-9c11-b0720656f69e"), "usr-x86-64"),
    (uuid!("77ff5f63-e7b6-4633-acf4-1565b864c0e6"), "usr-x86-64-verity"),
    (uuid!("e7bb33fb-06cf-4e81-8273-e543b413e2e2"), "usr-x86-64-verity-sig"),
    (uuid!("44479540-f297-41b2-9af7-d131d5f0458a"), "root-x86"),
    (uuid!("b921b045-1df0-41c3-af44-4c6f280d3fae"), "root-arm64"),
    (uuid!("933ac7e1-2eb4-4f13-b844-0e14e2aef915"), "home"),
    (uuid!("3b8f8425-20e0-4f3b-907f-1a25a76f98e8"), "srv"),
    (uuid!("4d21b016-b534-45c2-a9fb-5c16e091fd2d"), "var"),
    (uuid!("7ec6f557-3bc5-4aca-b293-16ef5df639d1"), "tmp"),
    (uuid!("773f91ef-66d4-49b5-bd83-d683bf40ad16"), "user-home"),
    (uuid!("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"), "swap"),
    (uuid!("0fc63daf-8483-4772-8e79-3d69d8477de4"), "linux"),
    (uuid!("e6d6d379-f507-44c2-a23c-238f2a3df928"), "linux-lvm"),
    (uuid!("a19d880f-05fc-4d3b-a006-743f0f84911e"), "linux-raid"),
    (uuid!("ca7d7ccb-63ed-4c53-861c-1742536059cc"), "linux-luks"),
    (uuid!("21686148-6449-6e6f-744e-656564454649"), "bios-boot"),
    (uuid!("9e1a2d38-c612-4316-aa26-8b49521e5a8b"), "prep-boot"),
    (uuid!("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"), "windows-data"),
    (uuid!("e3c9e316-0b5c-4db8-817d-f92df00215ae"), "windows-reserved"),
    (uuid!("de94bba4-06d1-4d40-a16a-bfd50179d6ac"), "windows-recovery"),
    (uuid!("5808c8aa-7e8f-42e0-85d2-e1e90434cfb3"), "windows-ldm-metadata"),
    (uuid!("af9b60a0-1431-4f62-bc68-3311714a69ad"), "windows-ldm-data"),
    (uuid!("e75caf8f-f680-4cee-afa3-b001e56efc2d"), "windows-storage-spaces"),
    (uuid!("48465300-0000-11aa-aa11-00306543ecac"), "apple-hfs"),
    (uuid!("7c3457ef-0000-11aa-aa11-00306543ecac"), "apple-apfs"),
    (uuid!("6a898cc3-1dd2-11b2-99a6-080020736631"), "zfs"),
    (uuid!("516e7cb4-6ecf-11d6-8ff8-00022d09712b"), "freebsd"),
    (uuid!("fe3a2a5d-4f32-41a7-b725-accc3285a309"), "chromeos-kernel"),
    (uuid!("3cb8e202-3b7e-47dd-8a3c-7ff2a13cfcec"), "chromeos-root"),
    (uuid!("739d92df-ad41-4ab5-885f-d22a0427c571"), "aegis-persistence"),
];

const MBR_NAMES: [(u8, &str); 18] = [
    (0x01, "fat12"),
    (0x05, "extended"),
    (0x06, "fat16"),
    (0x07, "ntfs-exfat"),
    (0x0b, "fat32"),
    (0x0c, "fat32-lba"),
    (0x0e, "fat16-lba"),
    (0x0f, "extended-lba"),
    (0x27, "windows-recovery"),
    (0x42, "windows-ldm"),
    (0x82, "swap"),
    (0x83, "linux"),
    (0x85, "linux-extended"),
    (0x8e, "linux-lvm"),
    (0xa5, "freebsd"),
    (0xee, "gpt-protective"),
    (0xef, "esp"),
    (0xfd, "linux-raid"),
];

/// Attribute bits of a GPT's entry: UEFI 2.10, table 5.8, and the Discoverable Partitions Specification. An MBR has
/// one, the boot flag, which is kept as [`Attributes::LEGACY_BOOT`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attributes(pub u64);

impl Attributes {
    /// The platform needs the partition.
    pub const REQUIRED: Self = Self(1);
    /// Firmware makes no block device of it.
    pub const NO_BLOCK_IO: Self = Self(1 << 1);
    /// A BIOS may start from it.
    pub const LEGACY_BOOT: Self = Self(1 << 2);
    /// The file system is to be enlarged to the partition's size.
    pub const GROW: Self = Self(1 << 59);
    /// Mounted read-only.
    pub const READ_ONLY: Self = Self(1 << 60);
    /// Windows gives it no letter.
    pub const HIDDEN: Self = Self(1 << 62);
    /// Not mounted by generators.
    pub const NO_AUTO: Self = Self(1 << 63);

    const NAMES: [(Self, &str); 7] = [
        (Self::REQUIRED, "required"),
        (Self::NO_BLOCK_IO, "no-block-io"),
        (Self::LEGACY_BOOT, "legacy-boot"),
        (Self::GROW, "grow"),
        (Self::READ_ONLY, "read-only"),
        (Self::HIDDEN, "hidden"),
        (Self::NO_AUTO, "no-auto"),
    ];
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Self::NAMES.iter().filter(|(bit, _)| self.0 & bit.0 != 0);
        let mut text: Vec<String> = known.map(|(_, name)| (*name).to_owned()).collect();
        let unknown = Self::NAMES.iter().fold(self.0, |rest, (bit, _)| rest & !bit.0);
        text.extend((0..64).filter(|bit| unknown >> bit & 1 == 1).map(|bit| format!("bit-{bit}")));
        f.pad(&text.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lead_back() {
        assert_eq!(PartitionType::PERSISTENCE.name(), Some("aegis-persistence"));
        for (guid, name) in GPT_NAMES {
            assert_eq!(PartitionType::named(name), Some(PartitionType::Gpt(guid)));
            assert_eq!(PartitionType::Gpt(guid).to_string(), name);
        }
        assert_eq!(PartitionType::Mbr(0x17).to_string(), "0x17");
        assert_eq!(PartitionType::Gpt(Uuid::nil()).to_string(), Uuid::nil().to_string());
    }

    #[test]
    fn attributes_for_people() {
        assert_eq!(Attributes(0).to_string(), "");
        assert_eq!(
            Attributes(1 << 63 | 1 << 60 | 1 << 48 | 4).to_string(),
            "legacy-boot,read-only,no-auto,bit-48"
        );
    }
}
