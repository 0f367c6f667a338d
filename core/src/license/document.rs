//! Signed documents in armour: how licenses and revocation lists are sealed and opened.
//!
//! The body is: version (one byte), key id (8), length of the payload (4, little-endian), payload, signature. The
//! signature covers the domain of the form, then the body up to itself, so that one kind of document never passes for
//! another. The buffer into which the armour is decoded begins with that domain, which makes the signed message one
//! slice without a copy.

use core::fmt;

use super::{
    armour::{self, ArmourError},
    claims::{self, Claims, ClaimsError},
    revocation::ListError,
};
use crate::{
    crypto::{self, Crypto, TrustedKey},
    hex::Hex,
    key::{KeyId, KeyRole, PublicKey, VerifyError},
    time::UnixTime,
};

/// The version of the documents that this program makes and reads.
pub const VERSION: u8 = 1;

/// Version, key id, length.
const HEADER: usize = 1 + 8 + 4;

/// Bytes of the signatures of 2048, 3072 and 4096 bits.
const SIGNATURES: [usize; 3] = [256, 384, 512];
const LONGEST_SIGNATURE: usize = 512;

/// What a document is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A license.
    License,
    /// A list of revoked licenses.
    Revocations,
}

impl Form {
    /// The words between the dashes.
    pub const fn label(self) -> &'static str {
        match self {
            Self::License => "AEGIS LICENSE",
            Self::Revocations => "AEGIS REVOCATIONS",
        }
    }

    /// What a signed message begins with. Equal in length, so that buffers are.
    const fn domain(self) -> &'static [u8; DOMAIN] {
        match self {
            Self::License => b"aegis-os license-doc v1\0",
            Self::Revocations => b"aegis-os revocations v1\0",
        }
    }

    /// Bytes of a buffer that holds every document of this form with a payload up to so many bytes.
    const fn room(payload: usize) -> usize {
        DOMAIN + HEADER + payload + LONGEST_SIGNATURE
    }
}

const DOMAIN: usize = 24;

/// Room for any license.
pub const LICENSE_ROOM: usize = Form::room(claims::CAPACITY);

/// Room for a revocation list with so many licenses.
pub const fn revocations_room(licenses: usize) -> usize {
    Form::room(32 + 8 * licenses)
}

/// Bytes of the longest armour of a license; a program need not read more of a file than one byte beyond.
pub const LICENSE_TEXT: usize = armour::armoured_size("AEGIS LICENSE", LICENSE_ROOM - DOMAIN);

/// Why a text is not an acceptable document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentError {
    /// The armour is not right.
    Armour(ArmourError),
    /// The body is too short, or its lengths contradict each other.
    Body,
    /// A version that this program does not know.
    Version(u8),
    /// The signature is not accepted.
    Signature(VerifyError),
    /// The claims of a license make no sense.
    Claims(ClaimsError),
    /// A revocation list makes no sense.
    List(ListError),
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Armour(_) => f.write_str("the text is not a document of Aegis OS"),
            Self::Body => f.write_str("the document is damaged: its lengths contradict each other"),
            Self::Version(found) => {
                write!(f, "the document has version {found}; this program knows {VERSION}")
            }
            Self::Signature(_) => f.write_str("the signature of the document is not accepted"),
            Self::Claims(_) => f.write_str("the license contradicts itself"),
            Self::List(_) => f.write_str("the revocation list contradicts itself"),
        }
    }
}

impl core::error::Error for DocumentError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Armour(error) => Some(error),
            Self::Signature(error) => Some(error),
            Self::Claims(error) => Some(error),
            Self::List(error) => Some(error),
            Self::Body | Self::Version(_) => None,
        }
    }
}

impl DocumentError {
    /// The next step for the person who has the document.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Armour(error) => error.hint(),
            Self::Body => "download the document again",
            Self::Version(_) => "update Aegis OS, then try again",
            Self::Signature(VerifyError::UnknownKey(_)) => {
                "update Aegis OS if the document is new; otherwise it is not from the maker of this system"
            }
            Self::Signature(VerifyError::KeyExpired { .. }) => {
                "ask for a new document, signed with a current key"
            }
            Self::Signature(_) => "download the document again; if it is refused again, it was forged",
            Self::Claims(error) => error.hint(),
            Self::List(error) => error.hint(),
        }
    }
}

/// A document whose signature was not checked yet.
#[derive(Debug)]
pub struct Sealed<'b> {
    key: KeyId,
    /// Domain, header and payload.
    message: &'b [u8],
    payload: &'b [u8],
    signature: &'b [u8],
}

impl<'b> Sealed<'b> {
    /// Reads an armour into `buffer`.
    ///
    /// # Errors
    /// When the text is not one document of this form and version.
    pub fn open(form: Form, text: &[u8], buffer: &'b mut [u8]) -> Result<Self, DocumentError> {
        let (domain, room) = buffer.split_at_mut_checked(DOMAIN).ok_or(DocumentError::Body)?;
        domain.copy_from_slice(form.domain());
        let length = armour::decode(form.label(), text, room).map_err(DocumentError::Armour)?;
        let whole: &'b [u8] = &buffer[..DOMAIN + length];
        let (&version, rest) = whole[DOMAIN..].split_first().ok_or(DocumentError::Body)?;
        if version != VERSION {
            return Err(DocumentError::Version(version));
        }
        let (id, rest) = rest.split_first_chunk().ok_or(DocumentError::Body)?;
        let (size, rest) = rest.split_first_chunk().ok_or(DocumentError::Body)?;
        let size = usize::try_from(u32::from_le_bytes(*size)).map_err(|_too_large| DocumentError::Body)?;
        let (payload, signature) = rest.split_at_checked(size).ok_or(DocumentError::Body)?;
        if !SIGNATURES.contains(&signature.len()) {
            return Err(DocumentError::Body);
        }
        let message = &whole[..DOMAIN + HEADER + size];
        Ok(Self { key: Hex(*id), message, payload, signature })
    }

    /// The key that claims to have signed it.
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// What it says, unproven: good to show, for nothing else.
    pub const fn unverified(&self) -> &'b [u8] {
        self.payload
    }

    /// Checks the signature and returns the key that made it, and what was signed.
    pub(crate) fn verify<'k, C: Crypto>(
        &self,
        ring: &'k [impl TrustedKey<C>],
    ) -> Result<(&'k PublicKey, &'b [u8]), DocumentError> {
        let key = crypto::verify_by(ring, self.key, KeyRole::License, self.message, self.signature);
        Ok((key.map_err(DocumentError::Signature)?, self.payload))
    }
}

/// Checks the date of a verified document against its key.
pub(crate) fn check_date(key: &PublicKey, dated: UnixTime) -> Result<(), DocumentError> {
    crypto::check_date(key, dated).map_err(DocumentError::Signature)
}

/// A license whose signature was verified: it exists only as the result of [`License::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    claims: Claims,
    key: KeyId,
    development: bool,
}

impl License {
    /// Reads an armoured license and verifies it against a key ring, which for many licenses is one of
    /// [`PreparedKey`](crypto::PreparedKey)s. Reading allocates nothing, and no more than [`LICENSE_TEXT`] bytes are read.
    ///
    /// # Errors
    /// When the text is anything but a license that a key of the ring signed while it was valid.
    pub fn verify<C: Crypto>(text: &[u8], ring: &[impl TrustedKey<C>]) -> Result<Self, DocumentError> {
        let mut buffer = [0; LICENSE_ROOM];
        let sealed = Sealed::open(Form::License, text, &mut buffer)?;
        let (key, payload) = sealed.verify::<C>(ring)?;
        let claims = Claims::decode(payload).map_err(DocumentError::Claims)?;
        check_date(key, claims.issued)?;
        Ok(Self { claims, key: key.id, development: key.development })
    }

    /// What was signed.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The key that signed it.
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// Whether that is a key for development.
    pub const fn is_development(&self) -> bool {
        self.development
    }
}

/// Why a document could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealError<E> {
    /// The payload does not fit.
    TooLarge,
    /// The signer failed.
    Signer(E),
    /// The writer failed.
    Write,
}

/// Signs a payload and writes its armour. `sign` gets the message and writes the signature to the front of the slice that
/// it is given; it returns its length. `buffer` has room for the document, such as [`LICENSE_ROOM`] bytes.
///
/// # Errors
/// When the payload does not fit into the buffer, or the signer or writer fails.
pub fn seal<E>(
    form: Form,
    payload: &[u8],
    key: KeyId,
    buffer: &mut [u8],
    out: &mut impl fmt::Write,
    sign: impl FnOnce(&[u8], &mut [u8]) -> Result<usize, E>,
) -> Result<(), SealError<E>> {
    let size = u32::try_from(payload.len()).map_err(|_too_large| SealError::TooLarge)?;
    let parts: [&[u8]; 5] = [form.domain(), &[VERSION], &key.0, &size.to_le_bytes(), payload];
    let mut end = 0;
    for part in parts {
        let place = buffer.get_mut(end..end + part.len()).ok_or(SealError::TooLarge)?;
        place.copy_from_slice(part);
        end += part.len();
    }
    let (message, room) = buffer.split_at_mut(end);
    let signature = sign(message, room).map_err(SealError::Signer)?;
    let body = buffer.get(DOMAIN..end + signature).ok_or(SealError::TooLarge)?;
    armour::encode(form.label(), body, out).map_err(|_writer| SealError::Write)
}

#[cfg(all(test, feature = "ring"))]
impl License {
    /// A license that nobody signed, to test what follows from a verified one.
    pub(crate) fn unsigned(claims: Claims) -> Self {
        Self { claims, key: Hex([0; 8]), development: true }
    }
}
