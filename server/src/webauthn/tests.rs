//! Answers of browsers and authenticators: those of the specification (section 16), and those of an independent
//! implementation (`tests/vectors/webauthn.py`).

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// Bytes in hexadecimal.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Hex(Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = data_encoding::DecodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        HEXLOWER.decode(text.as_bytes()).map(Self)
    }
}

#[derive(Deserialize)]
struct Vectors {
    origin: String,
    registrations: Vec<Registration>,
    assertions: Vec<Assertion>,
}

#[derive(Deserialize)]
struct Registration {
    name: String,
    expected: String,
    challenge: String,
    client_data: Hex,
    object: Hex,
    id: Hex,
    public_key: Hex,
}

#[derive(Deserialize)]
struct Assertion {
    name: String,
    expected: String,
    challenge: String,
    client_data: Hex,
    data: Hex,
    signature: Hex,
    public_key: Hex,
    counter: u32,
    eligible: bool,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../tests/vectors/webauthn.json")).unwrap()
}

fn told<T>(result: &Result<T, Refusal>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(refusal) => format!("{refusal:?}"),
    }
}

#[test]
fn registrations_of_another_implementation() {
    let vectors = vectors();
    let party = RelyingParty::at(&vectors.origin).unwrap();
    assert!(vectors.registrations.len() >= 60);
    for one in vectors.registrations {
        let client = party.client(Ceremony::Create, &one.client_data.0);
        let made = client.and_then(|client| {
            assert_eq!(client.challenge(), one.challenge, "{}", one.name);
            party.register(&client, &one.object.0)
        });
        assert_eq!(told(&made), one.expected, "{}", one.name);
        if let Ok(made) = made {
            assert_eq!((made.id, made.public_key), (one.id.0, one.public_key.0), "{}", one.name);
        }
    }
}

#[test]
fn assertions_of_another_implementation() {
    let vectors = vectors();
    let party = RelyingParty::at(&vectors.origin).unwrap();
    assert!(vectors.assertions.len() >= 35);
    for one in vectors.assertions {
        let known =
            Known { public_key: &one.public_key.0, counter: one.counter, backup_eligible: one.eligible };
        let client = party.client(Ceremony::Get, &one.client_data.0);
        let used = client.and_then(|client| {
            assert_eq!(client.challenge(), one.challenge, "{}", one.name);
            party.verify(&client, &known, &one.data.0, &one.signature.0)
        });
        assert_eq!(told(&used), one.expected, "{}", one.name);
    }
}

/// Of a good answer no bit may be another one.
#[test]
fn every_changed_bit_of_an_assertion_is_noticed() {
    let vectors = vectors();
    let party = RelyingParty::at(&vectors.origin).unwrap();
    let good = |name| vectors.assertions.iter().find(|one| one.name == name).unwrap();
    for one in ["Es256", "EdDsa", "Rs256"].map(good) {
        let known = Known { public_key: &one.public_key.0, counter: one.counter, backup_eligible: false };
        let taken = |client: &[u8], data: &[u8], signature: &[u8]| {
            party.client(Ceremony::Get, client).is_ok_and(|read| {
                read.challenge() == one.challenge && party.verify(&read, &known, data, signature).is_ok()
            })
        };
        let (client, data, signature) = (&one.client_data.0, &one.data.0, &one.signature.0);
        assert!(taken(client, data, signature));
        for (part, bytes) in [client, data, signature].into_iter().enumerate() {
            for bit in 0..bytes.len() * 8 {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let mut parts: [&[u8]; 3] = [client, data, signature];
                parts[part] = &changed;
                assert!(!taken(parts[0], parts[1], parts[2]), "{} part {part} bit {bit}", one.name);
            }
        }
    }
}

#[derive(Deserialize)]
struct Example {
    name: String,
    statement: String,
    id: Hex,
    registration: Made,
    authentication: Used,
}

#[derive(Deserialize)]
struct Made {
    challenge: Hex,
    client_data: Hex,
    object: Hex,
}

#[derive(Deserialize)]
struct Used {
    challenge: Hex,
    client_data: Hex,
    data: Hex,
    signature: Hex,
}

/// The authenticator data of an object whose statement is not read here.
fn data_within(object: &[u8]) -> &[u8] {
    let at = object.windows(9).position(|nine| nine == b"hauthData").unwrap() + 9;
    cbor::Reader::new(&object[at..]).bytes().unwrap()
}

#[test]
fn examples_of_the_specification() {
    let examples: Vec<Example> =
        serde_json::from_str(include_str!("../../tests/vectors/webauthn-w3c.json")).unwrap();
    assert_eq!(examples.len(), 8);
    let party = RelyingParty::at("https://example.org").unwrap();
    for Example { name, statement, id, registration, authentication } in &examples {
        let data = AuthenticatorData::parse(data_within(&registration.object.0)).unwrap();
        let made = data.attested.unwrap();
        assert_eq!(made.id, id.0, "{name}");
        let hash = sha256(&authentication.client_data.0);
        let signed = [&authentication.data.0[..], &hash].concat();
        let key = PublicKey::parse(made.public_key).unwrap();
        assert!(signature::verify(&key, &signed, &authentication.signature.0), "{name}");
        // A page within another is refused, and a statement that was not asked for, and a person who was not verified.
        let embedded = name.contains("Origin");
        let expected = |verified: bool| match () {
            () if embedded => "CrossOrigin",
            () if !verified => "NotVerified",
            () => "ok",
        };
        let client = party.client(Ceremony::Create, &registration.client_data.0);
        let answer = client.and_then(|client| {
            assert_eq!(client.challenge(), BASE64URL_NOPAD.encode(&registration.challenge.0), "{name}");
            party.register(&client, &registration.object.0)
        });
        let foreign = statement == "foreign" && !embedded;
        let wanted = if foreign { "Malformed" } else { expected(data.flags.verified()) };
        assert_eq!(told(&answer), wanted, "{name}");
        let known = Known {
            public_key: made.public_key,
            counter: data.counter,
            backup_eligible: data.flags.backup_eligible(),
        };
        let client = party.client(Ceremony::Get, &authentication.client_data.0);
        let answer = client.and_then(|client| {
            assert_eq!(client.challenge(), BASE64URL_NOPAD.encode(&authentication.challenge.0), "{name}");
            party.verify(&client, &known, &authentication.data.0, &authentication.signature.0)
        });
        let verified = AuthenticatorData::parse(&authentication.data.0).unwrap().flags.verified();
        assert_eq!(told(&answer), expected(verified), "{name}");
    }
}

#[test]
fn answers_do_not_pass_for_those_of_the_other_ceremony() {
    let vectors = vectors();
    let party = RelyingParty::at(&vectors.origin).unwrap();
    let (made, used) = (&vectors.registrations[0], &vectors.assertions[0]);
    let client = party.client(Ceremony::Get, &used.client_data.0).unwrap();
    assert_eq!(party.register(&client, &made.object.0), Err(Refusal::Ceremony));
    let client = party.client(Ceremony::Create, &made.client_data.0).unwrap();
    let known = Known { public_key: &used.public_key.0, counter: used.counter, backup_eligible: false };
    let answer = party.verify(&client, &known, &used.data.0, &used.signature.0);
    assert_eq!(answer, Err(Refusal::Ceremony));
}

#[test]
fn passkeys_hang_on_a_name_and_a_secure_context() {
    for (origin, id) in [
        ("https://aegis-os.example", Some("aegis-os.example")),
        ("https://Login.Example.org:8443", Some("login.example.org")),
        ("http://localhost:8080", Some("localhost")),
        ("http://shop.localhost", Some("shop.localhost")),
        ("http://aegis-os.example", None),
        ("http://127.0.0.1:8080", None),
        ("https://192.0.2.1", None),
        ("https://[2001:db8::1]:443", None),
        ("http://evillocalhost", None),
        ("ftp://localhost", None),
        ("localhost", None),
    ] {
        assert_eq!(RelyingParty::at(origin).as_ref().map(RelyingParty::id), id, "{origin}");
    }
}

proptest! {
    /// What is read is within what was given, whatever it was; reading ends.
    #[test]
    fn foreign_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = AttestationObject::parse(&bytes);
        let _ = ClientData::parse(&bytes);
        if let Ok(data) = AuthenticatorData::parse(&bytes) {
            prop_assert!(bytes.starts_with(data.rp_id_hash));
        }
    }

    /// A cut or prolonged object is none.
    #[test]
    fn an_object_has_one_length(cut in 0_usize..200, tail in prop::collection::vec(any::<u8>(), 1..9)) {
        let good = vectors().registrations.swap_remove(0).object.0;
        prop_assert!(AttestationObject::parse(&good).is_ok());
        prop_assert!(AttestationObject::parse(&good[..cut.min(good.len() - 1)]).is_err());
        prop_assert!(AttestationObject::parse(&[good, tail].concat()).is_err());
    }
}
