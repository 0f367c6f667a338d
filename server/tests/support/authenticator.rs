//! An authenticator and the browser before it, in software, that lie where a test wants it. Written from the text of WebAuthn,
//! so that a fault of the server's is not repeated.

use std::sync::Arc;

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

const UP: u8 = 1;
const UV: u8 = 4;
const AT: u8 = 64;

/// One passkey.
#[derive(Clone)]
pub(crate) struct Authenticator {
    id: Vec<u8>,
    key: Arc<EcdsaKeyPair>,
    /// Where the browser believes to be.
    pub(crate) origin: String,
    /// For whom the authenticator works.
    pub(crate) rp_id: String,
    pub(crate) counter: u32,
    pub(crate) verifies: bool,
    /// What it says of whose it is.
    pub(crate) handle: Option<String>,
    /// Instead of that which it was given.
    pub(crate) challenge: Option<String>,
}

impl Authenticator {
    /// One that has signed nothing yet.
    pub(crate) fn new(origin: &str) -> Self {
        let mut id = [0; 32];
        aws_lc_rs::rand::fill(&mut id).unwrap();
        Self {
            id: id.to_vec(),
            key: Arc::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()),
            origin: origin.into(),
            rp_id: "localhost".into(),
            counter: 1,
            verifies: true,
            handle: None,
            challenge: None,
        }
    }

    /// The id in the spelling of options.
    pub(crate) fn name(&self) -> String {
        BASE64URL_NOPAD.encode(&self.id)
    }

    /// Takes the id of another passkey, not its key.
    pub(crate) fn pose_as(&mut self, other: &Self) {
        self.id.clone_from(&other.id);
    }

    fn client_data(&self, kind: &str, options: &Value) -> String {
        let challenge = self.challenge.as_deref().or(options["challenge"].as_str()).unwrap();
        json!({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false}).to_string()
    }

    fn data(&self, flags: u8) -> Vec<u8> {
        let verified = if self.verifies { UV } else { 0 };
        let hash = digest(&SHA256, self.rp_id.as_bytes());
        [hash.as_ref(), &[UP | verified | flags], &self.counter.to_be_bytes()].concat()
    }

    /// Answers `navigator.credentials.create` with these options.
    pub(crate) fn create(&mut self, options: &Value) -> String {
        self.handle = Some(options["user"]["id"].as_str().unwrap().to_owned());
        let point = self.key.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let cose = [&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32][..], x, &[0x22, 0x58, 32], y].concat();
        let length = u16::try_from(self.id.len()).unwrap().to_be_bytes();
        let data = [&self.data(AT)[..], &[0; 16], &length, &self.id, &cose].concat();
        let object = [
            b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58",
            &[u8::try_from(data.len()).unwrap()][..],
            &data,
        ]
        .concat();
        json!({
            "clientDataJSON": BASE64URL_NOPAD.encode(self.client_data("webauthn.create", options).as_bytes()),
            "attestationObject": BASE64URL_NOPAD.encode(&object),
            "transports": ["internal"],
        })
        .to_string()
    }

    /// Answers `navigator.credentials.get` with these options.
    pub(crate) fn get(&mut self, options: &Value) -> String {
        let client_data = self.client_data("webauthn.get", options);
        self.counter += 1;
        let data = self.data(0);
        let signed = [&data[..], digest(&SHA256, client_data.as_bytes()).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        json!({
            "id": self.name(),
            "clientDataJSON": BASE64URL_NOPAD.encode(client_data.as_bytes()),
            "authenticatorData": BASE64URL_NOPAD.encode(&data),
            "signature": BASE64URL_NOPAD.encode(signature.as_ref()),
            "userHandle": self.handle,
        })
        .to_string()
    }
}
