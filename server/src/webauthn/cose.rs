//! Public keys of credentials: COSE_Key (RFC 9052, section 7) with the parameters of WebAuthn, section 5.8.5.
//!
//! Invariant: the parameters stand in their canonical order and there are no others, so that none is there twice.

use super::cbor::{Malformed, Reader};

/// Algorithms by their numbers (IANA, COSE Algorithms), the one that is liked most first.
pub(super) const ALGORITHMS: [i64; 3] = [ES256, EDDSA, RS256];

const ES256: i64 = -7;
const EDDSA: i64 = -8;
const RS256: i64 = -257;

/// Labels and values of the parameters (RFC 9053, section 7; RFC 8230, section 4).
const KTY: i64 = 1;
const ALG: i64 = 3;
const OKP: i64 = 1;
const EC2: i64 = 2;
const RSA: i64 = 3;
const P256: i64 = 1;
const ED25519: i64 = 6;

/// Bytes of a modulus: 2048 to 4096 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=512;

/// A key of an algorithm that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PublicKey<'a> {
    /// ECDSA with SHA-256 on P-256: both coordinates of the point, big-endian.
    Es256 {
        /// x.
        x: &'a [u8; 32],
        /// y.
        y: &'a [u8; 32],
    },
    /// Ed25519.
    EdDsa(&'a [u8; 32]),
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256 {
        /// The modulus, big-endian without zeros before it.
        n: &'a [u8],
        /// The exponent, as the modulus.
        e: &'a [u8],
    },
}

impl<'a> PublicKey<'a> {
    /// Reads a key that is all there is.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let key = Self::read(&mut reader)?;
        reader.end()?;
        Ok(key)
    }

    /// Reads the key that comes next.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let pairs = reader.map()?;
        let (kind, algorithm) = (labelled(reader, KTY)?.int()?, labelled(reader, ALG)?.int()?);
        match (pairs, kind, algorithm) {
            (5, EC2, ES256) => {
                named_curve(reader, P256)?;
                let (x, y) = (labelled(reader, -2)?.bytes()?, labelled(reader, -3)?.bytes()?);
                Ok(Self::Es256 { x: sized(x)?, y: sized(y)? })
            }
            (4, OKP, EDDSA) => {
                named_curve(reader, ED25519)?;
                Ok(Self::EdDsa(sized(labelled(reader, -2)?.bytes()?)?))
            }
            (4, RSA, RS256) => {
                let (n, e) = (labelled(reader, -1)?.bytes()?, labelled(reader, -2)?.bytes()?);
                let plain = |number: &[u8]| number.first().is_some_and(|first| *first != 0);
                let sizes = MODULUS.contains(&n.len()) && (1..=4).contains(&e.len());
                if sizes && plain(n) && plain(e) { Ok(Self::Rs256 { n, e }) } else { Err(Malformed) }
            }
            _ => Err(Malformed),
        }
    }

    /// The number of its algorithm.
    pub(super) const fn algorithm(&self) -> i64 {
        match self {
            Self::Es256 { .. } => ES256,
            Self::EdDsa(_) => EDDSA,
            Self::Rs256 { .. } => RS256,
        }
    }
}

/// The reader behind a label, which must be this one.
fn labelled<'r, 'a>(reader: &'r mut Reader<'a>, label: i64) -> Result<&'r mut Reader<'a>, Malformed> {
    if reader.int()? == label { Ok(reader) } else { Err(Malformed) }
}

fn named_curve(reader: &mut Reader<'_>, curve: i64) -> Result<(), Malformed> {
    if labelled(reader, -1)?.int()? == curve { Ok(()) } else { Err(Malformed) }
}

fn sized(bytes: &[u8]) -> Result<&[u8; 32], Malformed> {
    bytes.try_into().map_err(|_length| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Head, kty, alg, crv, then x and y.
    fn es256(x: usize, y: usize) -> Vec<u8> {
        let head = [0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, u8::try_from(x).unwrap()];
        [&head[..], &vec![1; x], &[0x22, 0x58, u8::try_from(y).unwrap()], &vec![2; y]].concat()
    }

    #[test]
    fn a_key_is_taken_in_its_one_form() {
        let good = es256(32, 32);
        assert_eq!(PublicKey::parse(&good), Ok(PublicKey::Es256 { x: &[1; 32], y: &[2; 32] }));
        for at in 0..10 {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(PublicKey::parse(&bad), Err(Malformed), "byte {at}");
        }
        for bad in [es256(31, 32), es256(32, 33), good[..good.len() - 1].to_vec(), [&good[..], &[0]].concat()]
        {
            assert_eq!(PublicKey::parse(&bad), Err(Malformed));
        }
        // The compressed form of a point has a truth for y.
        let compressed = [&good[..good.len() - 34], &[0xf5]].concat();
        assert_eq!(PublicKey::parse(&compressed), Err(Malformed));
    }

    #[test]
    fn rsa_keys_are_neither_short_nor_padded() {
        let key = |n: &[u8], e: &[u8]| {
            let length = u16::try_from(n.len()).unwrap().to_be_bytes();
            let e = [&[0x21, 0x40 + u8::try_from(e.len()).unwrap()][..], e].concat();
            [&[0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20, 0x59][..], &length, n, &e].concat()
        };
        let exponent = [1, 0, 1];
        let taken = |n: &[u8], e: &[u8]| PublicKey::parse(&key(n, e)).is_ok();
        assert!(taken(&[0xff; 256], &exponent) && taken(&[0xff; 512], &exponent));
        assert!(!taken(&[0xff; 255], &exponent) && !taken(&[0xff; 513], &exponent));
        assert!(!taken(&[&[0][..], &[0xff; 256]].concat(), &exponent));
        assert!(
            !taken(&[0xff; 256], &[]) && !taken(&[0xff; 256], &[0, 1, 1]) && !taken(&[0xff; 256], &[1; 5])
        );
    }
}
