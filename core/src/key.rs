//! Public keys, what each may sign, and detached signatures.
//!
//! A signature covers the domain of its role, a zero byte, then the exact bytes of the document, so that
//! a signature for one purpose never passes for another.

use alloc::{string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::hex::{self, Hex};

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
}

impl KeyRole {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Release, Self::Update, Self::License];

    /// `release`, `update` or `license`.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Update => "update",
            Self::License => "license",
        }
    }

    /// The prefix of every message that a key of this role signs.
    pub fn message(self, document: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(document.len() + 32);
        out.extend_from_slice(b"aegis-os ");
        out.extend_from_slice(self.id().as_bytes());
        out.extend_from_slice(b" v1\0");
        out.extend_from_slice(document);
        out
    }
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
    /// RSAPublicKey in DER (RFC 8017, appendix A.1.1) as hexadecimal text.
    pub rsa: String,
}

impl PublicKey {
    /// The DER bytes; empty when the text is not hexadecimal, which no signature verifies under.
    pub fn der(&self) -> Vec<u8> {
        hex::decode(&self.rsa).unwrap_or_default()
    }
}

/// A detached signature, stored as JSON beside the document with `.sig` appended to its name.
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
        /// Date of the document, Unix time.
        dated: u64,
        /// End of the key's validity, Unix time.
        not_after: u64,
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
            Self::KeyExpired { key, dated, not_after } => {
                write!(f, "dated {dated}, outside the validity of key {key}, which ended at {not_after}")
            }
            Self::Mismatch(key) => {
                write!(f, "the signature of key {key} does not match: the file was changed")
            }
        }
    }
}

impl core::error::Error for VerifyError {}
