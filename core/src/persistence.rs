//! The partition behind a live image on a stick, in which the live system keeps what is changed.
//!
//! Nothing on it is signed: whoever has the stick can change what the system that starts from it does.

use crate::install::PartitionGuid;

/// Type of the partition, by which the initramfs finds it on the medium's own disk and nowhere else.
pub const TYPE: PartitionGuid = PartitionGuid([
    0x73, 0x9d, 0x92, 0xdf, 0xad, 0x41, 0x4a, 0xb5, 0x88, 0x5f, 0xd2, 0x2a, 0x04, 0x27, 0xc5, 0x71,
]);

/// Name of the partition in the table.
pub const NAME: &str = "aegis-persistence";

/// Label of its file system, ext4, which has room for 16 bytes.
pub const LABEL: &str = "aegis-layer";

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn the_type_never_changes() {
        assert_eq!(TYPE.to_string(), "739d92df-ad41-4ab5-885f-d22a0427c571");
        assert!(LABEL.len() <= 16);
    }
}
