//! Checksums of superblocks, computed without tables: what they cover is short, and a table is longer than the code.

use crc::{Algorithm, CRC_32_ISCSI, CRC_32_ISO_HDLC, CRC_64_WE, Crc, Digest, NoTable};

static CRC32C: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISCSI);
/// The polynomial of Ethernet without the inversion at the end; each user starts it with a number of its own.
static CRC32: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&Algorithm { xorout: 0, ..CRC_32_ISO_HDLC });
static CRC64: Crc<u64, NoTable> = Crc::<u64, NoTable>::new(&CRC_64_WE);

/// CRC-32C (RFC 3720), piece by piece. ext4 and EROFS store it without the inversion at the end.
pub(super) fn crc32c_pieces() -> Digest<'static, u32, NoTable> {
    CRC32C.digest()
}

/// CRC-32C of these bytes.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    CRC32C.checksum(bytes)
}

/// CRC-32 with this start, without the inversion at the end.
pub(super) fn crc32(start: u32, bytes: &[u8]) -> u32 {
    // The crate writes the start with the highest power first, as the algorithm's definition does.
    let mut digest = CRC32.digest_with_initial(start.reverse_bits());
    digest.update(bytes);
    digest.finalize()
}

/// CRC-64 of ECMA-182, started and ended with all bits set.
pub(super) fn crc64(bytes: &[u8]) -> u64 {
    CRC64.checksum(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the catalogue of parametrised CRC algorithms, and one that started otherwise.
    #[test]
    fn check_values() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(!crc32(!0, b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(0, b"\x01"), 0x7707_3096);
        assert_eq!(crc64(b"123456789"), 0x62ec_59e3_f1a4_f00a);
    }
}
