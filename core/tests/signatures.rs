//! Detached signatures of documents, made by `openssl dgst -sha256 -sign`.

use aegis_core::{
    crypto::{self, Ring, Sha256},
    hex,
    key::{KeyRole, PublicKey, RsaKey, VerifyError},
    time::UnixTime,
};

/// RSAPublicKey of 2048 bits, by `openssl genrsa`.
const KEY: &str = "3082010a0282010100d6c20706c0783d17cf9831b0df75a223d23527749d29e96ffeedb79a539e81fa0df26ae45274e9e049\
     807b04d0854147820dd51ff27bb0811f0744e5a73cb6d8a676f7ab7116714c50fdcfbf166f286994a58ab7cf5e8baa4952f3\
     99acb759e3724d577fa21ff7fb61e6957e26a14f72fed755249f9e8c89da0f18a71dc176cbd6fd63b5d6b2bb7152afc410c2\
     63daf7161f724a08f5c19f6a0a7ac3c98720c89f3fcb9e024ae243bd4138fc303abf7f216f357c80db00f4d4b6e4c4d8ff43\
     84ac83888a90aa075094acde1a929d4a535a6359d4d3e491c17afd0222a48a60b75bed0bf53b83c097300520effc06ca971c\
     d88481d26ba534c4d33fe526e49cf50203010001";

/// Its signature over `aegis-os release v1`, a zero byte, then `document`.
const SIGNATURE: &str = "969d8aedcdebea54aa0d2b334c6d33224b37d94a5e8de7edf55115eb8c1a57a972bfc94caac0e1119f00f9f29abe1aadea90\
     05e17317b3ca6c8779d3d341b5dd2485d045a3f08b290d8a00e4031f5907a531292d9ea68d09a9666a917a9c99455efaf091\
     9b75cb6e7e90aae8c7122bd72b73989c75561fd090292ef49f8fb2cd4831dcf2e7d38b3d7909c075a4698e9ab5242ec91ca2\
     bdf6724f4d6fcbb7ac4e2426d6790c7ad774cbd4a7a1a23e9c85232a41565f7279915101dfcca69fcd5f9e36ced8fa5b8e94\
     56a141e599ff363e6cecbf11e8b7567b08d4ec4f1a9675ce7a345ebd6ef26a6bb4192126fd984343acf8c48dfa0eb9749921\
     cd2b667d0a97";

fn key() -> PublicKey {
    let der = hex::decode(KEY).expect("it is hexadecimal");
    PublicKey {
        id: crypto::key_id::<Ring>(&der),
        role: KeyRole::Release,
        development: false,
        not_before: 10,
        not_after: 20,
        rsa: RsaKey::from_der(&der).expect("it is short enough"),
    }
}

/// A signature file.
fn file(algorithm: &str, signature: &str) -> String {
    format!(r#"{{"key":"{}","algorithm":"{algorithm}","signature":"{signature}"}}"#, key().id)
}

#[test]
fn a_signature_is_bound_to_key_role_document_and_algorithm() {
    let ring = [key()];
    let verify = |ring, role, document: &[u8], file: &str| {
        crypto::verify::<Ring>(ring, role, document, file.as_bytes()).map(|key| key.id)
    };
    let good = file("rsa-pkcs1-sha256", SIGNATURE);
    let (id, role) = (key().id, KeyRole::Release);
    assert_eq!(verify(&ring, role, b"document", &good), Ok(id));
    assert_eq!(verify(&ring, role, b"documenT", &good), Err(VerifyError::Mismatch(id)));
    assert_eq!(verify(&[], role, b"document", &good), Err(VerifyError::UnknownKey(id)));
    let wrong = VerifyError::WrongRole { key: id, role };
    assert_eq!(verify(&ring, KeyRole::Update, b"document", &good), Err(wrong));
    // The same bytes under another role.
    let other = [PublicKey { role: KeyRole::Update, ..key() }];
    assert_eq!(verify(&other, KeyRole::Update, b"document", &good), Err(VerifyError::Mismatch(id)));
    for malformed in ["", "{}", &file("rsa-pss-sha256", SIGNATURE), &file("rsa-pkcs1-sha256", "0x")] {
        assert_eq!(verify(&ring, role, b"document", malformed), Err(VerifyError::Malformed));
    }
}

#[test]
fn a_document_is_dated_within_the_validity_of_its_key() {
    let dated = |second| crypto::check_date(&key(), UnixTime(second)).is_ok();
    assert_eq!([9, 10, 19, 20].map(dated), [false, true, true, false]);
    let error = VerifyError::KeyExpired { key: key().id, dated: UnixTime(20), valid: 10..20 };
    assert_eq!(crypto::check_date(&key(), UnixTime(20)), Err(error));
}

#[test]
fn a_stream_has_the_digest_of_its_bytes() {
    // FIPS 180-4, example of one block.
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let mut stream = Sha256::new();
    stream.update(b"a");
    stream.update(b"bc");
    assert_eq!(stream.finish().to_string(), digest);
    assert_eq!(Sha256::of(b"abc").to_string(), digest);
}
