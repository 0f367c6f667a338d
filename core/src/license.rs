//! Licenses that verify offline.
//!
//! Three things that others mix are apart here. A [`key`] is a name that the server looks up: whoever knows it has
//! proved nothing. A [`document`] is the proof: [`claims`] signed with RSA. A [`verdict`] is what the two mean on this
//! machine at this time, and only a favourable one carries the [`verdict::Grant`] that opens entitlements.
//!
//! Signatures are RSASSA-PKCS1-v1_5 with SHA-256. It is deterministic, so that the same claims give the same document,
//! and `openssl dgst -sha256 -verify` checks it without options. PSS would add a proof of security, which nothing
//! here leans on, and a random salt.

pub mod armour;
pub mod claims;
pub mod document;
#[cfg(feature = "alloc")]
pub mod entitlements;
pub mod key;
pub mod machine;
pub mod revocation;
pub mod verdict;
