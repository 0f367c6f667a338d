//! The keys of each generation of the secret, each for one purpose (HKDF, RFC 5869).
//!
//! What signs or seals is of the generation whose time it is. Forms and tokens are taken of former ones for their time;
//! what the database keeps, sealed secrets and recovery codes, is opened by any.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey},
    hkdf, hmac,
    signature::Ed25519KeyPair,
};

use crate::{Clock, Error, Result, secret::Dated};

/// The keys of all generations.
pub(super) struct Keyring {
    clock: Clock,
    /// The newest first; never none.
    generations: Vec<(Dated, Keys)>,
}

impl Keyring {
    pub(super) fn of(secrets: &[Dated], clock: Clock) -> Result<Self> {
        let keys = |one: &Dated| Ok((one.clone(), Keys::derived_from(&one.key)?));
        let generations = secrets.iter().map(keys).collect::<Result<Vec<_>>>()?;
        if generations.is_empty() {
            return Err(unusable("there is none"));
        }
        Ok(Self { clock, generations })
    }

    /// Those of the generation whose time it is.
    pub(super) fn current(&self) -> &Keys {
        let now = self.clock.now();
        let began = self.generations.iter().position(|(dated, _)| dated.from <= now);
        &self.generations[began.unwrap_or(self.generations.len() - 1)].1
    }

    /// Those whose signatures are taken now; another process may have begun with the next one a moment earlier.
    pub(super) fn taken(&self) -> impl Iterator<Item = &Keys> {
        let now = self.clock.now();
        self.generations.iter().filter(move |(dated, _)| now < dated.until).map(|(_, keys)| keys)
    }

    pub(super) fn form_token(&self, holder: &[u8]) -> String {
        self.current().form_token(holder)
    }

    pub(super) fn is_form_token(&self, holder: &[u8], token: &str) -> bool {
        self.taken().any(|keys| keys.is_form_token(holder, token))
    }

    /// A rotation begins all counters anew.
    pub(super) fn place(&self, parts: &[&[u8]]) -> Vec<u8> {
        self.current().place(parts)
    }

    pub(super) fn recovery_digest(&self, account: &[u8], code: &str) -> Vec<u8> {
        self.current().recovery_digest(account, code)
    }

    /// What a code may be stored as.
    pub(super) fn recovery_digests(&self, account: &[u8], code: &str) -> Vec<Vec<u8>> {
        self.generations.iter().map(|(_, keys)| keys.recovery_digest(account, code)).collect()
    }

    pub(super) fn sealed(&self, account: &[u8], secret: &[u8]) -> Result<Vec<u8>> {
        self.current().sealed(account, secret)
    }

    /// Opens what any generation sealed.
    pub(super) fn opened(&self, account: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
        let mut all = self.generations.iter().map(|(_, keys)| keys.opened(account, sealed));
        let first = all.next().unwrap_or_else(|| Err(unusable("there is none")));
        first.or_else(|error| all.find_map(Result::ok).ok_or(error))
    }

    /// Whether something was sealed by another generation than that whose time it is.
    pub(super) fn is_outdated(&self, account: &[u8], sealed: &[u8]) -> bool {
        self.current().opened(account, sealed).is_err()
    }
}

/// The keys of one generation.
pub(super) struct Keys {
    /// Tokens of forms.
    forms: hmac::Key,
    /// Names of counters, so that the table tells nobody whose they are.
    places: hmac::Key,
    /// Recovery codes, which are too short for a plain digest.
    codes: hmac::Key,
    /// Secrets of authenticators.
    seal: RandomizedNonceKey,
    /// Access tokens.
    pub(super) tokens: Ed25519KeyPair,
}

impl Keys {
    pub(super) fn derived_from(secret: &[u8; 32]) -> Result<Self> {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"aegis-server accounts 1").extract(secret);
        let derive = |purpose: &'static str| -> Result<[u8; 32]> {
            let mut key = [0; 32];
            let filled =
                root.expand(&[purpose.as_bytes()], hkdf::HKDF_SHA256).and_then(|okm| okm.fill(&mut key));
            filled.map_err(|error| unusable(&error.to_string())).map(|()| key)
        };
        let mac = |purpose| derive(purpose).map(|key| hmac::Key::new(hmac::HMAC_SHA256, &key));
        Ok(Self {
            forms: mac("forms")?,
            places: mac("places")?,
            codes: mac("recovery codes")?,
            seal: RandomizedNonceKey::new(&AES_256_GCM, &derive("authenticators")?)
                .map_err(|error| unusable(&error.to_string()))?,
            tokens: Ed25519KeyPair::from_seed_unchecked(&derive("access tokens")?)
                .map_err(|error| unusable(&error.to_string()))?,
        })
    }

    /// The token of the forms of one session, or of one visitor without.
    pub(super) fn form_token(&self, holder: &[u8]) -> String {
        data_encoding::BASE64URL_NOPAD.encode(hmac::sign(&self.forms, holder).as_ref())
    }

    pub(super) fn is_form_token(&self, holder: &[u8], token: &str) -> bool {
        let Ok(tag) = data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()) else { return false };
        hmac::verify(&self.forms, holder, &tag).is_ok()
    }

    /// The name of a counter. The parts are told apart by their lengths.
    pub(super) fn place(&self, parts: &[&[u8]]) -> Vec<u8> {
        mac_of(&self.places, parts)
    }

    pub(super) fn recovery_digest(&self, account: &[u8], code: &str) -> Vec<u8> {
        mac_of(&self.codes, &[account, code.as_bytes()])
    }

    /// Seals a secret so that it opens for this account alone.
    pub(super) fn sealed(&self, account: &[u8], secret: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = secret.to_vec();
        let nonce = self.seal.seal_in_place_append_tag(Aad::from(account), &mut sealed);
        let nonce = nonce.map_err(|error| unusable(&error.to_string()))?;
        Ok([nonce.as_ref().as_slice(), &sealed].concat())
    }

    pub(super) fn opened(&self, account: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
        let damaged = || Error::Corrupt {
            what: "the secret of an authenticator".into(),
            problem: "was not sealed by this server's secret".into(),
        };
        let (nonce, rest) = sealed.split_at_checked(12).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_length| damaged())?;
        let mut rest = rest.to_vec();
        let open =
            self.seal.open_in_place(nonce, Aad::from(account), &mut rest).map_err(|_forged| damaged())?;
        Ok(open.to_vec())
    }
}

fn mac_of(key: &hmac::Key, parts: &[&[u8]]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    context.sign().as_ref().to_vec()
}

fn unusable(problem: &str) -> Error {
    Error::Config {
        place: "secret".into(),
        problem: format!("cannot be used: {problem}"),
        hint: "give 32 random bytes".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_for_its_account_alone() {
        let keys = Keys::derived_from(&[1; 32]).unwrap();
        let sealed = keys.sealed(b"a", b"secret").unwrap();
        assert_eq!(keys.opened(b"a", &sealed).unwrap(), b"secret");
        assert!(keys.opened(b"b", &sealed).is_err());
        assert!(Keys::derived_from(&[2; 32]).unwrap().opened(b"a", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(keys.opened(b"a", &changed).is_err());
        }
        assert!(keys.opened(b"a", &sealed[..5]).is_err());
    }

    #[test]
    fn parts_of_a_place_cannot_be_shifted() {
        let keys = Keys::derived_from(&[1; 32]).unwrap();
        assert_ne!(keys.place(&[b"ab", b"c"]), keys.place(&[b"a", b"bc"]));
        assert!(keys.is_form_token(b"s", &keys.form_token(b"s")));
        for bad in [keys.form_token(b"t"), String::new(), "?".into()] {
            assert!(!keys.is_form_token(b"s", &bad));
        }
    }
}
