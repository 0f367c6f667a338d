//! The identity of an installed system, from which the identifiers of its partitions follow.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{hex::Hex, slot::Slot};

/// A partition of an installed disk, in the order of the partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Holds GRUB's core image on machines with a BIOS.
    BiosBoot,
    /// EFI system partition: loader, kernels and initramfs of both slots.
    Esp,
    /// Slot A: read-only image with its verity tree.
    RootA,
    /// Slot B.
    RootB,
    /// /home, /var and the writable layer of /etc.
    Data,
}

impl Role {
    /// Every role, in the order of the partition table; the partition number is the index plus one.
    pub const ALL: [Self; 5] = [Self::BiosBoot, Self::Esp, Self::RootA, Self::RootB, Self::Data];

    /// The partition's name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BiosBoot => "bios-boot",
            Self::Esp => "esp",
            Self::RootA => "root-a",
            Self::RootB => "root-b",
            Self::Data => "data",
        }
    }
}

impl From<Slot> for Role {
    fn from(slot: Slot) -> Self {
        match slot {
            Slot::A => Self::RootA,
            Slot::B => Self::RootB,
        }
    }
}

/// The random number that names one installation; printed as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InstallId(pub Hex<16>);

impl InstallId {
    /// Reads 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        Hex::parse(text).map(Self)
    }

    /// The GUID of a partition of this installation, as its canonical lower-case text
    /// (RFC 9562, version 8). The initramfs finds partitions by it, never by label.
    ///
    /// The low four bits of byte 15 carry the role; every other bit, apart from version and
    /// variant, is the installation's own.
    pub fn partition_guid(self, role: Role) -> PartitionGuid {
        let mut b = self.0.0;
        b[6] = b[6] & 0x0f | 0x80;
        b[8] = b[8] & 0x3f | 0x80;
        b[15] = b[15] & 0xf0 | (role as u8 + 1);
        PartitionGuid(b)
    }
}

impl fmt::Display for InstallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A GUID in the byte order of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartitionGuid(pub [u8; 16]);

impl fmt::Display for PartitionGuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(i, byte)| {
            let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02x}")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{string::ToString, vec::Vec};

    use super::*;

    #[test]
    fn guids_differ_by_role_and_are_version_8() {
        let id = InstallId::parse("00112233445566778899aabbccddeeff").unwrap();
        assert_eq!(id.partition_guid(Role::Esp).to_string(), "00112233-4455-8677-8899-aabbccddeef2");
        let mut all: Vec<_> = Role::ALL.iter().map(|r| id.partition_guid(*r).0).collect();
        all.dedup();
        assert_eq!(all.len(), Role::ALL.len());
    }
}
