//! Public keys, what each may sign, and detached signatures.
//!
//! A signature covers the domain of its role, a zero byte, then the exact bytes of the document, so that
//! a signature for one purpose never passes for another.

#[cfg(feature = "alloc")]
use alloc::{string::String, vec::Vec};
use core::{fmt, ops::Range};

use serde::{Deserialize, Serialize, de};

use crate::{
    hex::{self, Hex},
    time::UnixTime,
};

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyRole {
    /// Signs manifests of media and releases.
    Release,
    /// Signs update metadata.
    Update,
    /// Signs license documents.
    License,
    /// Signs receipts of written sticks.
    Receipt,
}

impl KeyRole {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Release, Self::Update, Self::License, Self::Receipt];

    /// `release`, `update`, `license` or `receipt`.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Update => "update",
            Self::License => "license",
            Self::Receipt => "receipt",
        }
    }

    /// The message that a key of this role signs for a document with a detached signature.
    #[cfg(feature = "alloc")]
    pub fn message(self, document: &[u8]) -> Vec<u8> {
        message(self.id(), document)
    }
}

/// What is signed of a document in a domain: `aegis-os <domain> v1`, a zero byte, the document.
#[cfg(feature = "alloc")]
pub(crate) fn message(domain: &str, document: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(document.len() + 32);
    out.extend_from_slice(b"aegis-os ");
    out.extend_from_slice(domain.as_bytes());
    out.extend_from_slice(b" v1\0");
    out.extend_from_slice(document);
    out
}

impl fmt::Display for KeyRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// The first eight bytes of the SHA-256 of the key's PKCS#1 bytes.
pub type KeyId = Hex<8>;

/// A public key as it is stored in `*.pub.json`, in the initramfs and on the installed system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicKey {
    /// Name of the key.
    pub id: KeyId,
    /// What the key may sign.
    pub role: KeyRole,
    /// A key for development: a release build refuses it and a boot with it says so.
    pub development: bool,
    /// First second at which a document of this key may be dated, Unix time.
    pub not_before: u64,
    /// First second at which it may no longer be, Unix time.
    pub not_after: u64,
    /// The key itself.
    pub rsa: RsaKey,
}

impl PublicKey {
    /// Whether a document may be dated so.
    pub fn covers(&self, dated: UnixTime) -> bool {
        u64::try_from(dated.0).is_ok_and(|dated| self.validity().contains(&dated))
    }

    /// The seconds in which a document of this key may be dated, Unix time.
    pub const fn validity(&self) -> Range<u64> {
        self.not_before..self.not_after
    }

    /// RSAPublicKey in DER (RFC 8017, appendix A.1.1).
    pub fn der(&self) -> &[u8] {
        self.rsa.der()
    }
}

/// RSAPublicKey in DER (RFC 8017, appendix A.1.1), of at most 4096 bits; hexadecimal in JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct RsaKey {
    length: usize,
    bytes: [u8; Self::CAPACITY],
}

impl RsaKey {
    /// Bytes of a key of 4096 bits with the usual exponent.
    pub const CAPACITY: usize = 526;

    /// Keeps the bytes; `None` when there are none or too many. Whether they are a key is seen when it verifies.
    pub fn from_der(der: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::CAPACITY];
        bytes.get_mut(..der.len()).filter(|_room| !der.is_empty())?.copy_from_slice(der);
        Some(Self { length: der.len(), bytes })
    }

    /// The bytes.
    pub fn der(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&hex::Digits(self.der()), f)
    }
}

impl Serialize for RsaKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&hex::Digits(self.der()))
    }
}

impl<'de> Deserialize<'de> for RsaKey {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = RsaKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an RSA public key of at most {} bytes in hexadecimal digits", RsaKey::CAPACITY)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RsaKey, E> {
                let mut bytes = [0; RsaKey::CAPACITY];
                hex::decode_into(text, &mut bytes)
                    .and_then(|length| RsaKey::from_der(&bytes[..length]))
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A detached signature, stored as JSON beside the document with `.sig` appended to its name.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The key that made it.
    pub key: KeyId,
    /// Always [`Signature::ALGORITHM`].
    pub algorithm: String,
    /// The RSA signature as hexadecimal text.
    pub signature: String,
}

#[cfg(feature = "alloc")]
impl Signature {
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2).
    pub const ALGORITHM: &'static str = "rsa-pkcs1-sha256";
}

/// Why a signature was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyError {
    /// The signature file is not one.
    Malformed,
    /// The signature names a key that is not in the key ring.
    UnknownKey(KeyId),
    /// The key exists but may not sign such documents.
    WrongRole {
        /// The key that signed.
        key: KeyId,
        /// What that key is for.
        role: KeyRole,
    },
    /// The document is dated outside the validity of its key.
    KeyExpired {
        /// The key that signed.
        key: KeyId,
        /// Date of the document.
        dated: UnixTime,
        /// The key's validity, Unix time.
        valid: Range<u64>,
    },
    /// The signature does not belong to these bytes.
    Mismatch(KeyId),
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the signature file is not a signature"),
            Self::UnknownKey(key) => write!(f, "signed by key {key}, which is not a trusted key"),
            Self::WrongRole { key, role } => {
                write!(f, "signed by key {key}, which is only for {role} documents")
            }
            Self::KeyExpired { key, dated, valid } => {
                write!(
                    f,
                    "dated {dated}, but key {key} signs from {} until {}",
                    at(valid.start),
                    at(valid.end)
                )
            }
            Self::Mismatch(key) => {
                write!(f, "the signature of key {key} does not match: the file was changed")
            }
        }
    }
}

/// A bound of a key's validity. What is beyond the range of a date is for ever.
fn at(seconds: u64) -> UnixTime {
    UnixTime::from_unsigned(seconds).min(UnixTime::MAX)
}

impl core::error::Error for VerifyError {}
