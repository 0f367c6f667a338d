//! Releases as `aegis iso build` leaves them, signed by a key of the test.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use aegis_core::{
    channel::Channel,
    edition::Edition,
    hex::{self, Hex},
    key::{KeyRole, PublicKey, RsaKey},
    manifest::{File, Image, ImageKind, Manifest},
};
use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};

/// Makes release directories.
pub(crate) struct Maker {
    pair: KeyPair,
    key: PublicKey,
}

impl Maker {
    pub(crate) fn new() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: &[u8] = pair.public_key().as_ref();
        let mut id = [0; 8];
        id.copy_from_slice(&digest::digest(&digest::SHA256, der).as_ref()[..8]);
        let rsa = RsaKey::from_der(der).unwrap();
        let key = PublicKey {
            id: Hex(id),
            role: KeyRole::Release,
            development: true,
            not_before: 0,
            not_after: u64::MAX,
            rsa,
        };
        Self { pair, key }
    }

    /// Writes the public key, for `--keys`.
    pub(crate) fn keys(&self, at: &Path) -> PathBuf {
        let path = at.join("release.pub.json");
        fs::write(&path, serde_json::to_vec(&self.key).unwrap()).unwrap();
        path
    }

    /// Makes a directory with one image as version 1.0.0.
    pub(crate) fn release(&self, directory: &Path, edition: Edition, content: &[u8]) {
        fs::create_dir_all(directory).unwrap();
        let sha256 = |bytes: &[u8]| {
            let mut value = Hex([0; 32]);
            value.0.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
            value
        };
        let name = format!("aegis-{edition}-1.0.0.iso");
        fs::write(directory.join(&name), content).unwrap();
        let file = File { size: content.len() as u64, sha256: sha256(content) };
        let zero = Hex([0; 32]);
        let manifest = Manifest {
            format: Manifest::FORMAT,
            id: Hex([0; 16]),
            edition,
            version: "1.0.0".parse().unwrap(),
            channel: Channel::Stable,
            epoch: 0,
            kernel: "none".into(),
            image: Image {
                kind: ImageKind::Squashfs,
                data_size: 4096,
                size: 8192,
                salt: zero,
                root_hash: zero,
            },
            files: BTreeMap::from([(name.clone(), file)]),
            inputs: BTreeMap::new(),
        };
        let bytes = manifest.to_bytes();
        let message = KeyRole::Release.message(&bytes);
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &message, &mut signature).unwrap();
        let signature = format!(
            "{{\"key\":\"{}\",\"algorithm\":\"rsa-pkcs1-sha256\",\"signature\":\"{}\"}}",
            self.key.id,
            hex::encode(&signature)
        );
        fs::write(directory.join("manifest.json"), &bytes).unwrap();
        fs::write(directory.join("manifest.json.sig"), signature).unwrap();
        fs::write(directory.join("SHA256SUMS"), format!("{}  {name}\n", sha256(content))).unwrap();
    }
}
