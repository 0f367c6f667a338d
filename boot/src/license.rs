//! License documents: issued, read, revoked. The operator's side of [`aegis_core::license`].

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read, Write},
    path::Path,
};

use aegis_core::{
    crypto::{AwsLc, PreparedKey},
    edition::Edition,
    license::{
        claims::{self, Claims, Kind, Override, Setting},
        document::{self, Form, License, SealError, Sealed},
        key::LicenseKey,
        machine::Binding,
        revocation::{self, Revocations},
    },
    time::UnixTime,
};
use aegis_editions::licensing::Licensing;
use ring::rand::{SecureRandom, SystemRandom};

use crate::{
    error::{Error, Result},
    keys::Signer,
};

/// Most licenses of one revocation list.
const MOST_REVOKED: usize = 1 << 20;

/// Bytes of the longest armoured list: each license takes 8 bytes, Base64 makes 4 of 3, and lines end.
const LIST_TEXT: u64 = (MOST_REVOKED as u64) * 11 + 4096;

/// The entitlement that limits the seats of a license.
const MACHINES: &str = "license_machines";

/// A key that licenses are verified by, made ready once for all of them.
pub type VerifyingKey = PreparedKey<AwsLc>;

/// What a license is to say.
#[derive(Debug)]
pub struct Order {
    /// The edition.
    pub edition: Edition,
    /// How long it holds, and why.
    pub kind: Kind,
    /// The key that it belongs to; a new one is made without.
    pub key: Option<LicenseKey>,
    /// Machines at a time.
    pub seats: u32,
    /// When it is signed.
    pub issued: UnixTime,
    /// First second at which it holds.
    pub not_before: UnixTime,
    /// First second at which it no longer does.
    pub expires: Option<UnixTime>,
    /// Days after the end in which it still works.
    pub grace_days: u16,
    /// The machine that it is for.
    pub binding: Option<Binding>,
    /// What differs from the edition.
    pub overrides: Vec<Override>,
}

/// A new license.
#[derive(Debug)]
pub struct Issued {
    /// The key that it belongs to.
    pub key: LicenseKey,
    /// What it says.
    pub claims: Claims,
    /// The document.
    pub text: String,
}

/// Signs a license.
pub fn issue(mut order: Order, licensing: &Licensing, signer: &Signer) -> Result<Issued> {
    check_seats(&order, licensing)?;
    let key = match order.key {
        Some(key) => key,
        None => new_key(order.edition, licensing)?,
    };
    order.overrides.sort_by(|one, two| one.name.cmp(&two.name));
    let claims = Claims {
        serial: u64::from_le_bytes(random()?),
        key: key.digest::<AwsLc>(),
        edition: order.edition,
        kind: order.kind,
        seats: order.seats,
        issued: order.issued,
        not_before: order.not_before,
        expires: order.expires,
        grace_days: order.grace_days,
        binding: order.binding,
        overrides: order.overrides.into_iter().collect(),
    };
    let mut buffer = [0; claims::CAPACITY];
    let payload = claims.encode(&mut buffer).map_err(Error::Claims)?;
    let text = seal(Form::License, payload, signer)?;
    Ok(Issued { key, claims, text })
}

/// A license is for no more machines than its edition allows, or than it says itself.
fn check_seats(order: &Order, licensing: &Licensing) -> Result<()> {
    let mut sold = licensing.sold(order.edition);
    for set in order.overrides.iter().filter(|set| set.name == MACHINES) {
        if let Setting::Limit(value) = set.setting {
            sold.limits.insert(MACHINES.into(), value);
        }
    }
    match sold.limit(MACHINES) {
        Some(allowed) if order.edition != Edition::Freemium && u64::from(order.seats) > allowed => {
            Err(Error::Seats { seats: order.seats, allowed })
        }
        _ => Ok(()),
    }
}

fn new_key(edition: Edition, licensing: &Licensing) -> Result<LicenseKey> {
    let prefixes = licensing.prefixes();
    let prefix = prefixes.iter().find(|(_, other)| *other == edition).ok_or(Error::FreeEdition(edition))?.0;
    LicenseKey::generate(prefix, random()?).ok_or(Error::FreeEdition(edition))
}

/// An override as a person writes it: `name=true`, `name=false` or `name=NUMBER`.
pub fn read_override(text: &str) -> Result<Override> {
    let wrong = || Error::Setting(text.into());
    let (name, value) = text.split_once('=').ok_or_else(wrong)?;
    let setting = match value {
        "true" => Setting::Flag(true),
        "false" => Setting::Flag(false),
        number => Setting::Limit(number.parse().map_err(|_not_a_number| wrong())?),
    };
    Ok(Override { name: name.try_into().map_err(|_too_long| wrong())?, setting })
}

/// Reads what `aegis-license request` wrote on a machine.
pub fn read_request(path: &Path) -> Result<Binding> {
    let text = read_bounded(path, document::LICENSE_TEXT as u64)?;
    serde_json::from_slice(&text)
        .map_err(|error| Error::Request { path: path.into(), reason: error.to_string() })
}

/// What a license says, without a look at its signature.
pub fn inspect(path: &Path) -> Result<Claims> {
    let text = read_bounded(path, document::LICENSE_TEXT as u64)?;
    let mut buffer = [0; document::LICENSE_ROOM];
    let refused = |source| Error::Document { path: path.into(), source };
    let sealed = Sealed::open(Form::License, &text, &mut buffer).map_err(refused)?;
    Claims::decode(sealed.unverified()).map_err(|error| refused(document::DocumentError::Claims(error)))
}

/// A license that one of the keys signed.
pub fn verify(path: &Path, keys: &[VerifyingKey]) -> Result<License> {
    let text = read_bounded(path, document::LICENSE_TEXT as u64)?;
    License::verify(&text, keys).map_err(|source| Error::Document { path: path.into(), source })
}

/// Number and serials of a list that one of the keys signed.
pub fn read_list(path: &Path, keys: &[VerifyingKey]) -> Result<(u64, BTreeSet<u64>)> {
    let text = read_bounded(path, LIST_TEXT)?;
    let mut buffer = vec![0; text.len().max(document::LICENSE_ROOM)];
    let list = Revocations::verify(&text, keys, 0, &mut buffer)
        .map_err(|source| Error::Document { path: path.into(), source })?;
    Ok((list.number(), list.serials().collect()))
}

/// Signs a list with the next number and puts it in place of the old one.
pub fn write_list(
    path: &Path,
    number: u64,
    serials: &BTreeSet<u64>,
    now: UnixTime,
    signer: &Signer,
) -> Result<()> {
    let refused =
        |source| Error::Document { path: path.into(), source: document::DocumentError::List(source) };
    let payload = revocation::encode(number, now, serials.iter().copied()).map_err(refused)?;
    write_whole(path, seal(Form::Revocations, &payload, signer)?.as_bytes())
}

fn seal(form: Form, payload: &[u8], signer: &Signer) -> Result<String> {
    let mut buffer = vec![0; payload.len() + document::LICENSE_ROOM];
    let mut text = String::new();
    let sign = |message: &[u8], room: &mut [u8]| signer.sign_message(message, room);
    document::seal(form, payload, signer.public().id, &mut buffer, &mut text, sign).map_err(|error| {
        match error {
            SealError::Signer(error) => error,
            SealError::TooLarge | SealError::Write => Error::Sealing,
        }
    })?;
    Ok(text)
}

/// Reads a file that must not be longer; what is longer is cut one byte beyond, which no parser accepts.
fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(Error::io("reading", path))?;
    file.take(limit + 1).read_to_end(&mut text).map_err(Error::io("reading", path))?;
    Ok(text)
}

/// Writes a file so that it is old or new, whatever happens.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |error| Error::io("writing", path)(error);
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    file.write_all(content).and_then(|()| file.as_file().sync_all()).map_err(Error::io("writing", path))?;
    file.persist(path).map_err(|error| Error::io("writing", path)(error.error))?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(Error::io("writing", directory))
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_unspecified| Error::Random)?;
    Ok(bytes)
}

/// Whether a path names something.
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

#[cfg(test)]
mod tests {
    use aegis_core::{
        crypto::Ring,
        key::{KeyRole, PublicKey},
    };

    use super::*;
    use crate::keys;

    fn order(seed: u64) -> Order {
        let edition = Edition::ALL[1 + usize::try_from(seed % 6).unwrap()];
        let kind = Kind::ALL[usize::try_from(seed / 6 % 4).unwrap()];
        let start = UnixTime(1_700_000_000 + i64::try_from(seed * 7919 % 1_000_000).unwrap());
        Order {
            edition,
            kind,
            key: None,
            seats: 1 + u32::try_from(seed % 1000).unwrap(),
            issued: start,
            not_before: start.plus_days(u32::try_from(seed % 3).unwrap()),
            expires: (kind != Kind::Lifetime)
                .then(|| start.plus_days(30 + u32::try_from(seed % 500).unwrap())),
            grace_days: if kind.is_trial() { 0 } else { u16::try_from(seed % 60).unwrap() },
            binding: None,
            overrides: (0..seed % 4)
                .map(|n| format!("extra_{n}={seed}"))
                .chain(["license_machines=-1".into()])
                .map(|text| read_override(&text).unwrap())
                .collect(),
        }
    }

    /// A thousand documents verify, and none of them does under another key.
    #[test]
    fn a_thousand_licenses_verify_under_their_key_alone() {
        let licensing = Licensing::load().unwrap();
        let make = || {
            let directory = tempfile::tempdir().unwrap();
            keys::generate(directory.path(), true, 30_000, 1_700_000_000).unwrap();
            let signer = Signer::open(directory.path(), KeyRole::License, false, 1_700_000_000).unwrap();
            (signer.public().clone(), signer)
        };
        let ((own, signer), (other, _)) = (make(), make());
        // A foreign key that bears the name of the right one.
        let disguised = PublicKey { id: own.id, ..other.clone() };
        let rings = [own.clone(), other, disguised].map(|key| (key.clone(), VerifyingKey::new(key)));
        let mut serials = BTreeSet::new();
        for seed in 0..1000 {
            let issued = issue(order(seed), &licensing, &signer).unwrap();
            // As a machine does, and as `aegis` does.
            for (key, prepared) in &rings {
                let text = issued.text.as_bytes();
                let found = License::verify::<Ring>(text, std::slice::from_ref(key));
                assert_eq!(found.as_ref().map(License::claims).ok(), (*key == own).then_some(&issued.claims));
                assert_eq!(License::verify(text, std::slice::from_ref(prepared)), found);
            }
            assert!(serials.insert(issued.claims.serial));
            assert_eq!(issued.claims.key, issued.key.digest::<AwsLc>());
        }
    }

    #[test]
    fn overrides_are_read_as_they_are_written() {
        for (text, setting) in [
            ("wine=true", Setting::Flag(true)),
            ("wine=false", Setting::Flag(false)),
            ("seats=-1", Setting::Limit(-1)),
        ] {
            assert_eq!(read_override(text).unwrap().setting, setting);
        }
        for wrong in ["", "wine", "wine=", "wine=yes", "wine=1.5", &format!("{}=1", "a".repeat(33))] {
            assert!(matches!(read_override(wrong), Err(Error::Setting(_))), "{wrong}");
        }
    }
}
