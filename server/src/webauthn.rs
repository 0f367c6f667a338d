//! The relying party's side of WebAuthn (Level 3): what a browser and an authenticator answered, verified. Pure.
//!
//! Invariants: a person was there and was verified by the authenticator, always; of attestations only those are read that
//! say nothing of a manufacturer; the challenge is handed out for the caller to use up, and is part of what is verified.

mod authenticator;
mod cbor;
mod client;
mod cose;
mod signature;
#[cfg(test)]
mod tests;

use std::fmt;

use aws_lc_rs::digest;

use authenticator::{AttestationObject, AuthenticatorData, Statement};
use cbor::Malformed;
use client::ClientData;
use cose::PublicKey;

/// The numbers of the algorithms that are taken, for `pubKeyCredParams` (section 5.4).
pub(crate) const ALGORITHMS: [i64; 3] = cose::ALGORITHMS;

/// What is asked of an authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ceremony {
    /// To make a credential.
    Create,
    /// To use one.
    Get,
}

impl Ceremony {
    const fn kind(self) -> &'static str {
        match self {
            Self::Create => "webauthn.create",
            Self::Get => "webauthn.get",
        }
    }
}

/// Why an answer is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The client data is not readable.
    ClientData,
    /// It is of another ceremony.
    Ceremony,
    /// It is of a page of another site.
    Origin,
    /// The page was within one of another site.
    CrossOrigin,
    /// What the authenticator said is not readable, or of a kind that was not asked for.
    Malformed,
    /// The authenticator worked for another site.
    RelyingParty,
    /// Nobody was there.
    NotPresent,
    /// Whoever was there was not verified.
    NotVerified,
    /// Copied although it cannot be, or its kind has changed.
    BackupState,
    /// The signature is not that of the key.
    Signature,
    /// The key signed before as often or oftener: there may be two of it.
    Counter,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientData => "the client data cannot be read",
            Self::Ceremony => "the answer is of another ceremony",
            Self::Origin => "the answer is of a page of another origin",
            Self::CrossOrigin => "the page was embedded in one of another origin",
            Self::Malformed => "the answer of the authenticator cannot be read",
            Self::RelyingParty => "the authenticator worked for another site",
            Self::NotPresent => "no person was present",
            Self::NotVerified => "the person was not verified",
            Self::BackupState => "the backup state contradicts the credential",
            Self::Signature => "the signature is not that of the credential",
            Self::Counter => "the signature counter did not grow",
        })
    }
}

impl std::error::Error for Refusal {}

impl From<Malformed> for Refusal {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// A site as authenticators know it.
#[derive(Clone, Debug)]
pub(crate) struct RelyingParty {
    id: String,
    origin: String,
}

/// Client data that is of this site and ceremony.
#[derive(Debug)]
pub(crate) struct Client {
    ceremony: Ceremony,
    challenge: String,
    hash: [u8; 32],
}

impl Client {
    /// The challenge in base64url, for the caller to compare with those that it gave (section 7.1 step 8, 7.2 step 11).
    pub(crate) fn challenge(&self) -> &str {
        &self.challenge
    }
}

/// A credential that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registered {
    /// Its id, at most 1023 bytes.
    pub(crate) id: Vec<u8>,
    /// Its public key as a COSE_Key.
    pub(crate) public_key: Vec<u8>,
    /// How often it signed.
    pub(crate) counter: u32,
    /// Whether it may be copied to other devices.
    pub(crate) backup_eligible: bool,
    /// Whether it was.
    pub(crate) backed_up: bool,
}

/// What is kept of a credential.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    /// As [`Registered::public_key`].
    pub(crate) public_key: &'a [u8],
    /// As it was after the last use.
    pub(crate) counter: u32,
    /// As [`Registered::backup_eligible`].
    pub(crate) backup_eligible: bool,
}

/// What a use changes of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asserted {
    /// How often it signed.
    pub(crate) counter: u32,
    /// Whether it was copied to other devices.
    pub(crate) backed_up: bool,
}

impl RelyingParty {
    /// The site at an origin. `None` where browsers offer no passkeys: without TLS unless the host is this machine by name,
    /// and for a host that is a number (sections 5.1.3 and 5.4.2: an RP ID is a domain).
    pub(crate) fn at(origin: &str) -> Option<Self> {
        let (scheme, authority) = origin.split_once("://")?;
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        let is_local = host == "localhost" || host.ends_with(".localhost");
        let is_domain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
            && host
                .rsplit('.')
                .next()
                .is_some_and(|label| label.bytes().any(|byte| byte.is_ascii_alphabetic()));
        let is_secure = scheme == "https" || (scheme == "http" && is_local);
        (is_domain && is_secure).then(|| Self { id: host.to_ascii_lowercase(), origin: origin.to_owned() })
    }

    /// The RP ID.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Reads client data and checks all of it but the challenge: sections 7.1 (steps 5 to 12) and 7.2 (8 to 14 and 20).
    ///
    /// # Errors
    /// Why it is not accepted.
    pub(crate) fn client(&self, ceremony: Ceremony, json: &[u8]) -> Result<Client, Refusal> {
        let data = ClientData::parse(json).ok_or(Refusal::ClientData)?;
        if data.kind != ceremony.kind() {
            return Err(Refusal::Ceremony);
        }
        if data.origin != self.origin {
            return Err(Refusal::Origin);
        }
        if data.cross_origin == Some(true) || data.top_origin.is_some() {
            return Err(Refusal::CrossOrigin);
        }
        Ok(Client { ceremony, challenge: data.challenge, hash: sha256(json) })
    }

    /// Verifies that a credential was made: section 7.1, steps 13 to 25.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub(crate) fn register(&self, client: &Client, object: &[u8]) -> Result<Registered, Refusal> {
        if client.ceremony != Ceremony::Create {
            return Err(Refusal::Ceremony);
        }
        let object = AttestationObject::parse(object)?;
        let data = AuthenticatorData::parse(object.data)?;
        self.check(&data)?;
        let made = data.attested.ok_or(Refusal::Malformed)?;
        let key = PublicKey::parse(made.public_key)?;
        if let Statement::Own { algorithm, signature } = object.statement {
            let signed = [object.data, &client.hash].concat();
            if algorithm != key.algorithm() || !signature::verify(&key, &signed, signature) {
                return Err(Refusal::Signature);
            }
        }
        Ok(Registered {
            id: made.id.to_vec(),
            public_key: made.public_key.to_vec(),
            counter: data.counter,
            backup_eligible: data.flags.backup_eligible(),
            backed_up: data.flags.backed_up(),
        })
    }

    /// Verifies that a credential was used: section 7.2, steps 15 to 22. The counter is looked at last: only who has the key
    /// learns of it.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub(crate) fn verify(
        &self,
        client: &Client,
        known: &Known<'_>,
        data: &[u8],
        signature: &[u8],
    ) -> Result<Asserted, Refusal> {
        if client.ceremony != Ceremony::Get {
            return Err(Refusal::Ceremony);
        }
        let signed = [data, &client.hash].concat();
        let data = AuthenticatorData::parse(data)?;
        self.check(&data)?;
        if data.flags.backup_eligible() != known.backup_eligible {
            return Err(Refusal::BackupState);
        }
        let key = PublicKey::parse(known.public_key)?;
        if !signature::verify(&key, &signed, signature) {
            return Err(Refusal::Signature);
        }
        // Section 6.1.1: those that do not count say 0, always.
        if (data.counter, known.counter) != (0, 0) && data.counter <= known.counter {
            return Err(Refusal::Counter);
        }
        Ok(Asserted { counter: data.counter, backed_up: data.flags.backed_up() })
    }

    /// What must be true of authenticator data in both ceremonies.
    fn check(&self, data: &AuthenticatorData<'_>) -> Result<(), Refusal> {
        if *data.rp_id_hash != sha256(self.id.as_bytes()) {
            return Err(Refusal::RelyingParty);
        }
        if !data.flags.present() {
            return Err(Refusal::NotPresent);
        }
        if !data.flags.verified() {
            return Err(Refusal::NotVerified);
        }
        // Section 6.1.3.
        if data.flags.backed_up() && !data.flags.backup_eligible() {
            return Err(Refusal::BackupState);
        }
        Ok(())
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}
