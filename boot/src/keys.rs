//! Key pairs for signing: made, kept outside the repository, used.
//!
//! A directory of keys holds, for each role, `<role>.key.pem` (PKCS#8, mode 0600) and `<role>.pub.json`
//! ([`PublicKey`]). No key ever reaches a log or an error.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use aegis_core::{
    crypto::{self, Ring},
    hex,
    key::{KeyRole, PublicKey, RsaKey, Signature},
};
use ring::{rand::SystemRandom, signature};
use rsa::{
    RsaPrivateKey,
    pkcs1::EncodeRsaPublicKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding},
};

use crate::{
    error::{Error, Result},
    host,
};

/// Bits of a new key. License documents and receipts are many, small and short-lived; what a medium is trusted by has more.
const fn bits(role: KeyRole) -> usize {
    match role {
        KeyRole::License | KeyRole::Receipt => 2048,
        KeyRole::Release | KeyRole::Update => 3072,
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    // A clock before 1970 makes every key invalid, which is the safe answer.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// Makes a key pair for every role in `directory`, which must hold none.
pub fn generate(directory: &Path, development: bool, days: u32, now: u64) -> Result<Vec<PublicKey>> {
    fs::create_dir_all(directory).map_err(Error::io("creating", directory))?;
    if KeyRole::ALL.iter().any(|role| private_path(directory, *role).exists()) {
        return Err(Error::KeysExist(directory.into()));
    }
    KeyRole::ALL.iter().map(|role| generate_one(directory, *role, development, days, now)).collect()
}

fn generate_one(
    directory: &Path,
    role: KeyRole,
    development: bool,
    days: u32,
    now: u64,
) -> Result<PublicKey> {
    let path = private_path(directory, role);
    let bad = |reason: String| Error::Key { path: path.clone(), reason };
    let mut random = rsa::rand_core::OsRng;
    let private = RsaPrivateKey::new(&mut random, bits(role)).map_err(|error| bad(error.to_string()))?;
    let der = private.to_public_key().to_pkcs1_der().map_err(|error| bad(error.to_string()))?;
    let pem = private.to_pkcs8_pem(LineEnding::LF).map_err(|error| bad(error.to_string()))?;
    let public = PublicKey {
        id: crypto::key_id::<Ring>(der.as_bytes()),
        role,
        development,
        // A document is dated by the newest of its inputs, which may be older than the key.
        not_before: 0,
        not_after: now + u64::from(days) * 86_400,
        rsa: RsaKey::from_der(der.as_bytes()).ok_or_else(|| bad("it is too long".into()))?,
    };
    let text = serde_json::to_string_pretty(&public).unwrap_or_default() + "\n";
    let public_path = public_path(directory, role);
    fs::write(&public_path, text).map_err(Error::io("writing", public_path))?;
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create_new(true).mode(0o600).open(&path).map_err(Error::io("creating", &path))?;
    file.write_all(pem.as_bytes()).map_err(Error::io("writing", &path))?;
    Ok(public)
}

fn private_path(directory: &Path, role: KeyRole) -> PathBuf {
    directory.join(format!("{role}.key.pem"))
}

fn public_path(directory: &Path, role: KeyRole) -> PathBuf {
    directory.join(format!("{role}.pub.json"))
}

/// The public key of a role.
pub fn public(directory: &Path, role: KeyRole) -> Result<PublicKey> {
    let path = public_path(directory, role);
    if !path.exists() {
        return Err(Error::NoKey { role, directory: directory.into() });
    }
    read_public(&path)
}

/// Reads a public key file.
pub fn read_public(path: &Path) -> Result<PublicKey> {
    let text = fs::read(path).map_err(Error::io("reading", path))?;
    serde_json::from_slice(&text).map_err(|error| Error::Key { path: path.into(), reason: error.to_string() })
}

/// Where a directory of keys has the one that signs kernels and their modules: private key and certificate in one PEM file.
pub fn kernel_path(directory: &Path) -> PathBuf {
    directory.join("kernel.pem")
}

/// The name of a development certificate begins so.
const DEVELOPMENT_NAME: &str = "Aegis OS kernels, development";

/// Makes the key that signs kernels and modules, with a certificate of its own for `days`. OpenSSL makes it: firmware, shim
/// and the kernel read X.509.
pub fn generate_kernel(directory: &Path, development: bool, days: u32) -> Result<PathBuf> {
    fs::create_dir_all(directory).map_err(Error::io("creating", directory))?;
    let path = kernel_path(directory);
    if path.exists() {
        return Err(Error::KeysExist(path));
    }
    let openssl = host::find("openssl", "openssl")?;
    let work = tempfile::tempdir_in(directory).map_err(Error::io("creating a directory in", directory))?;
    let (key, certificate) = (work.path().join("key.pem"), work.path().join("certificate.pem"));
    let name = if development { DEVELOPMENT_NAME } else { "Aegis OS kernels" };
    let mut command = Command::new(openssl);
    command.args(["req", "-new", "-x509", "-newkey", "rsa:2048", "-sha256", "-nodes", "-batch"]);
    command.arg("-days").arg(days.to_string()).arg("-subj").arg(format!("/CN={name}/"));
    command.args(["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "keyUsage=digitalSignature"]);
    command.args(["-addext", "extendedKeyUsage=codeSigning"]);
    command.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    host::output(&mut command, "making a key for kernels")?;
    let read = |path: &Path| fs::read(path).map_err(Error::io("reading", path));
    let pem = [read(&key)?, read(&certificate)?].concat();
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create_new(true).mode(0o600).open(&path).map_err(Error::io("creating", &path))?;
    file.write_all(&pem).and_then(|()| file.sync_all()).map_err(Error::io("writing", &path))?;
    Ok(path)
}

/// The key that signs kernels and modules; a release build refuses that of a development set.
pub fn kernel(directory: &Path, release: bool) -> Result<PathBuf> {
    let path = kernel_path(directory);
    if !path.exists() {
        return Err(Error::NoKernelKey(path));
    }
    let mut command = Command::new(host::find("openssl", "openssl")?);
    command.args(["x509", "-noout", "-subject", "-checkend", "0", "-in"]).arg(&path);
    let subject = host::output(&mut command, "reading the certificate of the key for kernels")?;
    if release && String::from_utf8_lossy(&subject).contains(DEVELOPMENT_NAME) {
        return Err(Error::Key { path, reason: "it is a development key, and this is a release".into() });
    }
    Ok(path)
}

/// A key pair that may sign now.
pub struct Signer {
    public: PublicKey,
    pair: signature::RsaKeyPair,
}

impl Signer {
    /// Opens the key of a role. A release build refuses development keys, and `now` must be within the
    /// key's validity.
    pub fn open(directory: &Path, role: KeyRole, release: bool, now: u64) -> Result<Self> {
        let public = public(directory, role)?;
        if release && public.development {
            return Err(Error::DevelopmentKey(public.id));
        }
        if !(public.not_before..public.not_after).contains(&now) {
            return Err(Error::ExpiredKey { key: public.id, not_after: public.not_after });
        }
        let path = private_path(directory, role);
        let bad = |reason: &str| Error::Key { path: path.clone(), reason: reason.into() };
        let pem = fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
        let private =
            RsaPrivateKey::from_pkcs8_pem(&pem).map_err(|_secret| bad("it is not a PKCS#8 RSA key"))?;
        let der = private.to_pkcs8_der().map_err(|_secret| bad("it cannot be encoded"))?;
        let pair = signature::RsaKeyPair::from_pkcs8(der.as_bytes())
            .map_err(|_rejected| bad("it is not an RSA key of 2048 bits or more"))?;
        if pair.public().as_ref() != public.der() {
            return Err(bad("it does not belong to the public key beside it"));
        }
        Ok(Self { public, pair })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message, which begins with a domain, to the front of `out`; returns the length of the signature.
    pub fn sign_message(&self, message: &[u8], out: &mut [u8]) -> Result<usize> {
        let length = self.pair.public().modulus_len();
        let out = out.get_mut(..length).ok_or(Error::Sealing)?;
        self.pair
            .sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), message, out)
            .map_err(|_unspecified| Error::Sealing)?;
        Ok(length)
    }

    /// The content of the `.sig` file for a document.
    pub fn sign(&self, document: &[u8]) -> Result<Vec<u8>> {
        self.detached(&self.public.role.message(document))
    }

    /// As [`Signer::sign`], for a message that begins with a domain of its own.
    pub fn detached(&self, message: &[u8]) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.pair.public().modulus_len()];
        self.sign_message(message, &mut bytes)?;
        let signature = Signature {
            key: self.public.id,
            algorithm: Signature::ALGORITHM.into(),
            signature: hex::encode(&bytes),
        };
        Ok((serde_json::to_string_pretty(&signature).unwrap_or_default() + "\n").into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use aegis_core::{key::VerifyError, time::UnixTime};

    use super::*;

    #[test]
    fn signatures_are_bound_to_role_bytes_and_time() {
        let directory = tempfile::tempdir().unwrap();
        let keys = generate(directory.path(), true, 1, 1000).unwrap();
        assert!(matches!(generate(directory.path(), true, 1, 1000), Err(Error::KeysExist(_))));
        let open = |role, release, now| Signer::open(directory.path(), role, release, now);
        assert!(matches!(open(KeyRole::Release, true, 1000), Err(Error::DevelopmentKey(_))));
        assert!(matches!(open(KeyRole::Release, false, 90_000), Err(Error::ExpiredKey { .. })));
        let signature = open(KeyRole::Release, false, 1000).unwrap().sign(b"text").unwrap();
        let verify = |role, document: &[u8]| {
            crypto::verify::<Ring>(&keys, role, document, &signature).map(|key| key.role)
        };
        assert_eq!(verify(KeyRole::Release, b"text"), Ok(KeyRole::Release));
        assert!(matches!(verify(KeyRole::Release, b"texT"), Err(VerifyError::Mismatch(_))));
        assert!(matches!(verify(KeyRole::License, b"text"), Err(VerifyError::WrongRole { .. })));
        let other = crypto::verify::<Ring>(&keys[1..], KeyRole::Release, b"text", &signature);
        assert!(matches!(other, Err(VerifyError::UnknownKey(_))));
        assert!(crypto::check_date(&keys[0], UnixTime(1000)).is_ok());
        assert!(crypto::check_date(&keys[0], UnixTime(90_000)).is_err());
    }
}
