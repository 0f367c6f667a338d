//! Releases as `aegis iso build` leaves them, signed by a key of the test.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use aegis_core::{
    channel::Channel,
    crypto::{Ring, Sha256, key_id},
    edition::Edition,
    hex::{self, Hex},
    key::{KeyRole, PublicKey, RsaKey},
    manifest::{File, Image, ImageKind, Manifest},
    ranges::{CHUNK, Ranges},
};
use ring::{rand::SystemRandom, signature};
use rsa::{RsaPrivateKey, pkcs1::EncodeRsaPublicKey, pkcs8::EncodePrivateKey};
use serde_json::json;

use crate::server::Files;

/// A key that signs releases.
pub(crate) struct Key {
    pair: signature::RsaKeyPair,
    pub(crate) public: PublicKey,
}

impl Key {
    fn generate() -> Self {
        let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
        let der = key.to_public_key().to_pkcs1_der().unwrap().as_bytes().to_vec();
        let pair = signature::RsaKeyPair::from_pkcs8(key.to_pkcs8_der().unwrap().as_bytes()).unwrap();
        let public = PublicKey {
            id: key_id::<Ring>(&der),
            role: KeyRole::Release,
            development: true,
            not_before: 0,
            not_after: u64::MAX,
            rsa: RsaKey::from_der(&der).unwrap(),
        };
        Self { pair, public }
    }

    /// The one that tests trust.
    pub(crate) fn trusted() -> &'static Self {
        static KEY: OnceLock<Key> = OnceLock::new();
        KEY.get_or_init(Self::generate)
    }

    /// The one that nobody trusts.
    pub(crate) fn other() -> &'static Self {
        static KEY: OnceLock<Key> = OnceLock::new();
        KEY.get_or_init(Self::generate)
    }

    /// Writes the public key into a directory.
    pub(crate) fn file(&self, directory: &Path) -> PathBuf {
        let path = directory.join("release.pub.json");
        std::fs::write(&path, serde_json::to_vec(&self.public).unwrap()).unwrap();
        path
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; self.pair.public().modulus_len()];
        self.pair.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut bytes).unwrap();
        let signature = json!({
            "key": self.public.id, "algorithm": "rsa-pkcs1-sha256", "signature": hex::encode(&bytes),
        });
        serde_json::to_vec(&signature).unwrap()
    }
}

/// A release to make.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) version: &'static str,
    pub(crate) channel: Channel,
    pub(crate) name: &'static str,
    pub(crate) content: Vec<u8>,
    pub(crate) ranges: bool,
}

impl Default for Made {
    fn default() -> Self {
        // Four chunks and a bit, of which the third is a hole.
        let mut content: Vec<u8> =
            (0..4 * CHUNK + 777).map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
        content[2 << 20..3 << 20].fill(0);
        Self {
            version: "1.0.0",
            channel: Channel::Lts,
            name: "aegis-server-1.0.0.iso",
            content,
            ranges: true,
        }
    }
}

fn describe(bytes: &[u8]) -> File {
    File { size: bytes.len() as u64, sha256: Sha256::of(bytes) }
}

impl Made {
    pub(crate) fn path(&self, name: &str) -> String {
        format!("/download/server/{}/{name}", self.version)
    }

    pub(crate) fn image_path(&self) -> String {
        self.path(self.name)
    }

    pub(crate) fn manifest(&self) -> Manifest {
        let zero = Hex([0; 32]);
        Manifest {
            format: Manifest::FORMAT,
            id: Hex([0; 16]),
            edition: Edition::Server,
            version: self.version.parse().unwrap(),
            channel: self.channel,
            epoch: 1000,
            kernel: "none".into(),
            image: Image {
                kind: ImageKind::Squashfs,
                data_size: 4096,
                size: 8192,
                salt: zero,
                root_hash: zero,
            },
            files: BTreeMap::from([(self.name.into(), describe(&self.content))]),
            inputs: BTreeMap::new(),
        }
    }

    /// The files of the release, by their paths.
    pub(crate) fn files(&self, key: &Key) -> Files {
        let mut manifest = self.manifest();
        let mut files = Files::new();
        if self.ranges {
            let ranges = Ranges {
                format: Ranges::FORMAT,
                release: None,
                epoch: 1000,
                length: self.content.len() as u64,
                chunk: CHUNK,
                sha256: Sha256::of(&self.content),
                chunks: self
                    .content
                    .chunks(1 << 20)
                    .map(|chunk| chunk.iter().any(|b| *b != 0).then(|| Sha256::of(chunk)))
                    .collect(),
            };
            let bytes = ranges.to_bytes();
            let signature = key.sign(&Ranges::message(&bytes));
            for (suffix, bytes) in [("", bytes), (".sig", signature)] {
                let name = format!("{}.ranges.json{suffix}", self.name);
                manifest.files.insert(name.clone(), describe(&bytes));
                files.insert(self.path(&name), bytes);
            }
        }
        files.insert(self.image_path(), self.content.clone());
        self.put_manifest(&mut files, &manifest, key);
        files
    }

    /// Replaces the manifest by another one, signed by a key.
    pub(crate) fn put_manifest(&self, files: &mut Files, manifest: &Manifest, key: &Key) {
        let bytes = manifest.to_bytes();
        files.insert(self.path("manifest.json.sig"), key.sign(&KeyRole::Release.message(&bytes)));
        files.insert(self.path("manifest.json"), bytes);
    }
}

/// A list of releases as the API answers it.
pub(crate) fn catalogue(files: &mut Files, channel: &str, entries: &[(&str, &str)], next: Option<&str>) {
    let releases: Vec<_> = entries.iter().map(|(version, channel)| json!({
        "edition": "server", "version": version, "channel": channel, "published": "2026-11-24T15:23:26Z",
        "size": 1, "sha256": "", "url": "https://elsewhere.example/../etc/passwd",
    })).collect();
    let page = serde_json::to_vec(&json!({ "releases": releases, "next": next })).unwrap();
    files.insert(format!("/api/v1/releases?edition=server&limit=100{channel}"), page);
}
