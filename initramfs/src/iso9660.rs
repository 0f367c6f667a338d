//! The primary volume descriptor of an ISO 9660 file system (ECMA-119, section 8.4).

/// Byte position of the descriptor on the medium.
pub(crate) const POSITION: u64 = 32768;
/// Bytes of the descriptor.
pub(crate) const SIZE: usize = 2048;

/// What the descriptor says about the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Volume {
    /// Name of the volume, for messages only: a name proves nothing.
    pub(crate) label: String,
    /// Bytes that the medium must have.
    pub(crate) size: u64,
}

impl Volume {
    /// Parses the 2048 bytes at [`POSITION`]; `None` when there is no such file system.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.get(..7)? != b"\x01CD001\x01" {
            return None;
        }
        let blocks = u32::from_le_bytes(bytes.get(80..84)?.try_into().ok()?);
        let block_size = u16::from_le_bytes(bytes.get(128..130)?.try_into().ok()?);
        let label = bytes.get(40..72)?;
        Some(Self {
            label: String::from_utf8_lossy(label).trim_end_matches([' ', '\0']).to_string(),
            size: u64::from(blocks) * u64::from(block_size),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor() -> Vec<u8> {
        let mut bytes = vec![0; SIZE];
        bytes[..7].copy_from_slice(b"\x01CD001\x01");
        bytes[40..72].copy_from_slice(format!("{:32}", "AEGIS").as_bytes());
        bytes[80..84].copy_from_slice(&1000u32.to_le_bytes());
        bytes[128..130].copy_from_slice(&2048u16.to_le_bytes());
        bytes
    }

    #[test]
    fn label_and_size() {
        let volume = Volume::parse(&descriptor()).unwrap();
        assert_eq!(volume, Volume { label: "AEGIS".to_string(), size: 2_048_000 });
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(Volume::parse(&[0; SIZE]), None);
        assert_eq!(Volume::parse(b""), None);
        assert_eq!(Volume::parse(&descriptor()[..100]), None);
        let mut terminator = descriptor();
        terminator[0] = 255;
        assert_eq!(Volume::parse(&terminator), None);
    }
}
