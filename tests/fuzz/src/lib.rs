//! What the fuzz targets do with an input, a module each; and what these share: the key ring of the test vectors, and a way
//! past signatures that cannot be guessed.

pub mod disk;
mod table_disk;

pub mod answers;
pub mod bmap;
pub mod cmdline;
pub mod gpt;
pub mod license;
pub mod license_key;
pub mod machine;
pub mod manifest;
pub mod mbr;
pub mod ranges;
pub mod revocations;
pub mod sums;
pub mod superblocks;
pub mod uevents;
pub mod webauthn;

use std::{collections::HashSet, convert::Infallible, sync::LazyLock};

use aegis_core::{
    crypto::{Crypto, Ring},
    hex::Digest,
    key::{KeyId, PublicKey},
    license::{
        armour,
        document::{self, Form},
    },
};
use serde::Deserialize;

pub use table_disk::Disk;

/// Accepts every signature, so that mutations reach what is behind them. Its digests are real.
pub struct Anyone;

impl Crypto for Anyone {
    type Key = ();

    fn sha256(parts: &[&[u8]]) -> Digest {
        Ring::sha256(parts)
    }

    fn prepare(_der: &[u8]) -> Option<()> {
        Some(())
    }

    fn verifies((): &(), _message: &[u8], _signature: &[u8]) -> bool {
        true
    }
}

/// Most licenses of the revocation lists that are tried.
pub const LISTED: usize = 1000;

/// Room for any document that is tried.
pub const ROOM: usize = document::revocations_room(LISTED);

/// What an independent program signed; see `core/tests/vectors/make.py`.
#[derive(Deserialize)]
struct Vectors {
    keys: Vec<PublicKey>,
    good: Vec<Signed>,
    lists: Vec<Signed>,
}

#[derive(Deserialize)]
struct Signed {
    armour: String,
    error: Option<String>,
}

static VECTORS: LazyLock<Vectors> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../core/tests/vectors/licenses.json"))
        .expect("the vectors are what make.py writes")
});

/// Every text that the keys of the ring have signed. Their private halves are gone.
static SIGNED: LazyLock<HashSet<&'static [u8]>> = LazyLock::new(|| {
    let all = VECTORS.good.iter().chain(&VECTORS.lists);
    all.filter(|signed| signed.error.is_none()).map(|signed| signed.armour.as_bytes()).collect()
});

/// The key ring. The first key may sign licenses of any date.
pub fn ring() -> &'static [PublicKey] {
    &VECTORS.keys
}

/// Whether a key of the ring signed this text; any other that is accepted was forged.
pub fn was_signed(text: &[u8]) -> bool {
    SIGNED.contains(text)
}

/// The first key of the ring.
pub fn signer() -> KeyId {
    ring()[0].id
}

/// The document with this payload; its signature is good for [`Anyone`]. `None` when the payload is too long.
pub fn sealed(form: Form, payload: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut buffer = vec![0; ROOM];
    let sign = |_message: &[u8], _room: &mut [u8]| Ok::<_, Infallible>(256);
    document::seal(form, payload, signer(), &mut buffer, &mut text, sign).ok()?;
    Some(text)
}

/// The armour around a body.
pub fn armoured(form: Form, body: &[u8]) -> String {
    let mut text = String::new();
    armour::encode(form.label(), body, &mut text).expect("a string takes everything");
    text
}

/// Checks that an accepted text is the only armour of its body.
pub fn assert_strict(form: Form, text: &[u8]) {
    let mut buffer = vec![0; ROOM];
    let length = armour::decode(form.label(), text, &mut buffer).expect("it was accepted");
    assert_eq!(armoured(form, &buffer[..length]).as_bytes(), text, "two texts are one document");
}
