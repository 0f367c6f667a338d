//! What an authenticator says: authenticator data (WebAuthn, section 6.1) and attestation objects (section 6.5.4).

use super::{
    cbor::{Malformed, Reader},
    cose::PublicKey,
};

/// Bytes of an id of a credential at most (section 6.5.1).
const LONGEST_ID: usize = 1023;

/// The flags of authenticator data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    /// Somebody was there (UP).
    pub(super) const fn present(self) -> bool {
        self.0 & 1 != 0
    }

    /// And was who they should be, by PIN or body (UV).
    pub(super) const fn verified(self) -> bool {
        self.0 & 1 << 2 != 0
    }

    /// The credential may be copied to other devices (BE).
    pub(super) const fn backup_eligible(self) -> bool {
        self.0 & 1 << 3 != 0
    }

    /// The credential is on other devices (BS).
    pub(super) const fn backed_up(self) -> bool {
        self.0 & 1 << 4 != 0
    }

    const fn attested(self) -> bool {
        self.0 & 1 << 6 != 0
    }

    const fn extended(self) -> bool {
        self.0 & 1 << 7 != 0
    }
}

/// Authenticator data.
#[derive(Clone, Copy, Debug)]
pub(super) struct AuthenticatorData<'a> {
    /// SHA-256 of the RP ID that the authenticator worked for.
    pub(super) rp_id_hash: &'a [u8; 32],
    /// What it observed.
    pub(super) flags: Flags,
    /// How often the key signed; 0 for those that do not count.
    pub(super) counter: u32,
    /// The credential that it made.
    pub(super) attested: Option<Attested<'a>>,
}

/// A new credential (section 6.5.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Attested<'a> {
    /// Its id: 1 to 1023 bytes.
    pub(super) id: &'a [u8],
    /// Its public key as a COSE_Key.
    pub(super) public_key: &'a [u8],
}

impl<'a> AuthenticatorData<'a> {
    /// Reads authenticator data. What extensions say is passed over: none is asked for.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let rp_id_hash = reader.array()?;
        let [flags] = *reader.array()?;
        let flags = Flags(flags);
        let counter = u32::from_be_bytes(*reader.array()?);
        let attested = if flags.attested() { Some(Attested::read(&mut reader)?) } else { None };
        if flags.extended() {
            let mut extensions = Reader::new(reader.item()?);
            extensions.map()?;
        }
        reader.end()?;
        Ok(Self { rp_id_hash, flags, counter, attested })
    }
}

impl<'a> Attested<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        // The AAGUID names a model, which nothing here depends on.
        reader.take(16)?;
        let length = usize::from(u16::from_be_bytes(*reader.array()?));
        if !(1..=LONGEST_ID).contains(&length) {
            return Err(Malformed);
        }
        let id = reader.take(length)?;
        let public_key = reader.item()?;
        PublicKey::parse(public_key)?;
        Ok(Self { id, public_key })
    }
}

/// An attestation object whose statement is one that clients leave where none is asked for (section 5.4.7).
#[derive(Clone, Copy, Debug)]
pub(super) struct AttestationObject<'a> {
    /// The authenticator data, as it was signed.
    pub(super) data: &'a [u8],
    /// The statement.
    pub(super) statement: Statement<'a>,
}

/// An attestation statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statement<'a> {
    /// Nothing (section 8.7).
    None,
    /// A signature by the credential's own key (section 8.2), which clients may leave.
    Own {
        /// The algorithm.
        algorithm: i64,
        /// Over the authenticator data and the digest of the client data.
        signature: &'a [u8],
    },
}

impl<'a> AttestationObject<'a> {
    /// Reads an attestation object. Its three parts may stand in any order, each once.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.map()? != 3 {
            return Err(Malformed);
        }
        let (mut format, mut statement, mut data) = (None, None, None);
        for _ in 0..3 {
            let there = match reader.text()? {
                "fmt" => format.replace(reader.text()?).is_some(),
                "attStmt" => statement.replace(reader.item()?).is_some(),
                "authData" => data.replace(reader.bytes()?).is_some(),
                _ => true,
            };
            if there {
                return Err(Malformed);
            }
        }
        reader.end()?;
        let (Some(format), Some(statement), Some(data)) = (format, statement, data) else {
            return Err(Malformed);
        };
        Ok(Self { data, statement: Statement::parse(format, statement)? })
    }
}

impl<'a> Statement<'a> {
    fn parse(format: &str, bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let statement = match (format, reader.map()?) {
            ("none", 0) => Self::None,
            // With a third pair, `x5c`, a manufacturer vouches for it, which was not asked for.
            ("packed", 2) => {
                let expect = |found: &str, name| if found == name { Ok(()) } else { Err(Malformed) };
                expect(reader.text()?, "alg")?;
                let algorithm = reader.int()?;
                expect(reader.text()?, "sig")?;
                Self::Own { algorithm, signature: reader.bytes()? }
            }
            _ => return Err(Malformed),
        };
        reader.end()?;
        Ok(statement)
    }
}
