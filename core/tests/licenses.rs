//! License documents made by an independent implementation (`vectors/make.py`), read by every cryptographic library.

use aegis_core::{
    crypto::{AwsLc, Crypto, PreparedKey, Ring, RustCrypto},
    hex::{self, Hex},
    key::{KeyId, PublicKey},
    license::{
        armour,
        claims::{CAPACITY, Claims, Setting},
        document::{self, DocumentError, Form, License, SealError, Sealed},
        revocation::{ListError, Revocations},
    },
};
use serde::Deserialize;

#[path = "vectors/name.rs"]
mod name;
use name::{first_word, name};

#[derive(Deserialize)]
struct Vectors {
    keys: Vec<PublicKey>,
    good: Vec<Good>,
    bad: Vec<Bad>,
    lists: Vec<List>,
}

#[derive(Deserialize)]
struct Good {
    name: String,
    key: KeyId,
    armour: String,
    claims: Claims,
}

#[derive(Deserialize)]
struct Bad {
    name: String,
    error: String,
    armour: String,
}

#[derive(Deserialize)]
struct List {
    name: String,
    error: Option<String>,
    armour: String,
    number: u64,
    serials: Vec<u64>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors/licenses.json")).expect("the vectors are what make.py writes")
}

fn each(check: impl Fn(Verify, ReadList)) {
    check(verify::<Ring>, read_list::<Ring>);
    check(verify::<AwsLc>, read_list::<AwsLc>);
    check(verify::<RustCrypto>, read_list::<RustCrypto>);
}

type Verify = fn(&[u8], &[PublicKey]) -> Result<License, DocumentError>;
const ROOM: usize = document::revocations_room(1000);

type ReadList = fn(&[u8], &[PublicKey], u64) -> Result<(u64, Vec<u64>), DocumentError>;

fn prepared<C: Crypto>(keys: &[PublicKey]) -> Vec<PreparedKey<C>> {
    keys.iter().cloned().map(PreparedKey::new).collect()
}

/// What a ring makes of a license, which is the same when its keys were made ready before.
fn verify<C: Crypto>(text: &[u8], keys: &[PublicKey]) -> Result<License, DocumentError> {
    let found = License::verify::<C>(text, keys);
    assert_eq!(License::verify(text, &prepared::<C>(keys)), found);
    found
}

fn read_list<C: Crypto>(
    text: &[u8],
    keys: &[PublicKey],
    seen: u64,
) -> Result<(u64, Vec<u64>), DocumentError> {
    let (mut buffer, mut other) = ([0; ROOM], [0; ROOM]);
    let list = Revocations::verify::<C>(text, keys, seen, &mut buffer);
    assert_eq!(Revocations::verify(text, &prepared::<C>(keys), seen, &mut other), list);
    let list = list?;
    assert!(list.serials().all(|serial| list.contains(serial) && !list.contains(serial ^ 1 << 63)));
    Ok((list.number(), list.serials().collect()))
}

#[test]
fn good_licenses_say_what_was_signed() {
    let vectors = vectors();
    assert!(vectors.good.len() >= 20);
    each(|verify, _| {
        for good in &vectors.good {
            let license = verify(good.armour.as_bytes(), &vectors.keys)
                .unwrap_or_else(|e| panic!("{}: {e:?}", good.name));
            assert_eq!(license.claims(), &good.claims, "{}", good.name);
            assert_eq!(license.key(), good.key, "{}", good.name);
            let key = vectors.keys.iter().find(|key| key.id == good.key).expect("it verified");
            assert_eq!(license.is_development(), key.development, "{}", good.name);
            assert!(good.armour.len() <= document::LICENSE_TEXT);
        }
    });
}

#[test]
fn bad_licenses_are_refused_with_the_right_error() {
    let vectors = vectors();
    assert!(vectors.bad.len() >= 40);
    each(|verify, _| {
        for bad in &vectors.bad {
            let error = verify(bad.armour.as_bytes(), &vectors.keys).expect_err(&bad.name);
            assert_eq!(name(&error), bad.error, "{}", bad.name);
            assert!(!error.to_string().is_empty() && !error.hint().is_empty());
        }
    });
}

#[test]
fn revocation_lists_are_read_and_refused() {
    let vectors = vectors();
    each(|_, read| {
        for list in &vectors.lists {
            let found = read(list.armour.as_bytes(), &vectors.keys, 0);
            match &list.error {
                None => assert_eq!(found, Ok((list.number, list.serials.clone())), "{}", list.name),
                Some(error) => {
                    let found = found.expect_err(&list.name);
                    assert_eq!(&name(&found), error, "{}", list.name);
                    assert!(!found.hint().is_empty());
                }
            }
        }
        let seven = vectors.lists.iter().find(|list| list.number == 7).expect("there is a list 7");
        let at = |seen| read(seven.armour.as_bytes(), &vectors.keys, seen);
        assert!(at(6).is_ok() && at(7).is_ok());
        let rollback = ListError::Rollback { found: 7, seen: 8 };
        assert_eq!(rollback.to_string(), "revocation list 7 is older than list 8, which was seen before");
        assert_eq!(at(8), Err(DocumentError::List(rollback)));
    });
}

/// Every bit of the armour and of what it holds. A flip in the text that stays Base64 is a flip of the body.
#[test]
fn every_flipped_bit_is_refused() {
    let vectors = vectors();
    let everything = vectors.good.iter().find(|good| good.name == "everything").expect("it is there");
    let libraries: [Verify; 2] = [verify::<Ring>, verify::<AwsLc>];
    let each =
        [&vectors.good[0], everything].into_iter().flat_map(|good| libraries.map(|verify| (good, verify)));
    for (good, verify) in each {
        let mut text = good.armour.clone().into_bytes();
        for at in 0..text.len() {
            for bit in 0..8 {
                text[at] ^= 1 << bit;
                let found = verify(&text, &vectors.keys);
                assert!(found.is_err(), "bit {bit} of byte {at} of {}", good.name);
                text[at] ^= 1 << bit;
            }
        }
        assert!(verify(&text, &vectors.keys).is_ok());
    }
}

/// The same under the library that is slow: one bit of each byte of the body.
#[test]
fn every_flipped_bit_of_the_body_is_refused_by_rustcrypto() {
    let vectors = vectors();
    let text = vectors.good[0].armour.clone().into_bytes();
    let start = text.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
    for at in start..text.len() {
        let mut changed = text.clone();
        changed[at] ^= 1;
        assert!(License::verify::<RustCrypto>(&changed, &vectors.keys).is_err(), "byte {at}");
    }
}

/// Cuts and extensions at every length.
#[test]
fn every_cut_is_refused() {
    let vectors = vectors();
    let text = vectors.good[0].armour.as_bytes();
    for length in 0..text.len() {
        assert!(License::verify::<Ring>(&text[..length], &vectors.keys).is_err(), "{length}");
    }
    for more in [&b"\n"[..], b" ", b"\0", b"x"] {
        assert!(License::verify::<Ring>(&[text, more].concat(), &vectors.keys).is_err());
    }
}

/// A text of any length costs no memory: the limit is looked at first.
#[test]
fn a_huge_text_is_refused_unread() {
    let huge = vec![b'A'; 64 << 20];
    let error = License::verify::<Ring>(&huge, &vectors().keys).expect_err("it is no license");
    assert_eq!(
        first_word(&match error {
            DocumentError::Armour(error) => error,
            other => panic!("{other}"),
        }),
        "TooLong"
    );
}

#[test]
fn settings_are_what_make_py_means() {
    let vectors = vectors();
    let set =
        &vectors.good.iter().find(|good| good.name == "overrides").expect("it is there").claims.overrides;
    let settings: Vec<_> = set.iter().map(|set| (set.name.as_str(), set.setting)).collect();
    let expected = [
        ("beta_channel", Setting::Flag(true)),
        ("license_machines", Setting::Limit(-1)),
        ("wine", Setting::Flag(false)),
    ];
    assert_eq!(settings, expected);
}

#[test]
fn key_ids_are_the_same_in_every_library() {
    for key in vectors().keys {
        assert_eq!(aegis_core::crypto::key_id::<Ring>(key.der()), key.id);
        assert_eq!(aegis_core::crypto::key_id::<AwsLc>(key.der()), key.id);
        assert_eq!(aegis_core::crypto::key_id::<RustCrypto>(key.der()), key.id);
    }
    assert_eq!(Ring::sha256(&[b"a", b"", b"bc"]), Ring::sha256(&[b"abc"]));
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Some(RustCrypto::sha256(&[])), Hex::parse(empty));
    assert_eq!(Some(AwsLc::sha256(&[b"", b""])), Hex::parse(empty));
}

/// A key of 1024 bits as RSAPublicKey, and its signature over `message`, by `openssl genrsa` and `openssl dgst -sign`.
const SHORT_KEY: &str = "30818902818100ae4bae21e6d8fa9c66121cba7cbbc73a65f09c1dba7536f55a2e11776d9e5f4ad2455aa7172e1b830722a0\
     c26b6a99e0994cf08f8dffc0cc5f092064415de3e892edba3f011c21a6647e57f0ee14bf900d074ff563fa18cd34a5332ca7\
     08015dcc7cdf3f3b07259e1c7762cf003ea30fd28874b7dbb13d5ffeb15144e9925ddf0203010001";
const BY_SHORT_KEY: &str = "a23f1b090bfadf4a42121e4859041cfc4f12986a1102827689cf8572b72f3b27951bda70995675ae4db2925ee69df7ed4a7e\
     a52a573aee483e44b3eca661e2ef2828bb0c9876d8a174e68d99dfb2cfad29709686ffb1d68652e3a707e6e565ff66961ad3\
     bcf91bdef5709b15941684659248f88f481b02b9c034f5ee3ecdf7a8";

/// RSAPublicKey of 2048 bits with an exponent of 3 bytes as SubjectPublicKeyInfo: sequence, algorithm, bit string.
const SPKI: &str = "30820122300d06092a864886f70d01010105000382010f00";

fn refuses_what_is_no_key<C: Crypto>() {
    let verifies = |der: &[u8], message: &[u8], signature: &[u8]| {
        C::prepare(der).is_some_and(|key| C::verifies(&key, message, signature))
    };
    let bytes = |text| hex::decode(text).expect("it is hexadecimal");
    assert!(!verifies(&bytes(SHORT_KEY), b"message", &bytes(BY_SHORT_KEY)));

    let vectors = vectors();
    let (form, text) = (Form::License, &vectors.good[0].armour);
    let (id, payload, signature) = parts(form, text);
    let message = message(form, id, &payload);
    let der = vectors.keys.iter().find(|key| key.id == id).expect("it is in the ring").der();
    assert!(verifies(der, &message, &signature));
    assert!(!verifies(der, &message[1..], &signature) && !verifies(der, &message, &signature[1..]));
    let spki = [&bytes(SPKI), der].concat();
    for other in [&spki, &[der, &[0]].concat(), &der[1..], &der[..der.len() - 1], &[]] {
        assert!(!verifies(other, &message, &signature));
    }
}

#[test]
fn short_keys_and_other_forms_of_keys_verify_nothing() {
    refuses_what_is_no_key::<Ring>();
    refuses_what_is_no_key::<AwsLc>();
    refuses_what_is_no_key::<RustCrypto>();
}

/// The payload and the signature of a document.
fn parts(form: Form, text: &str) -> (KeyId, Vec<u8>, Vec<u8>) {
    let mut buffer = [0; ROOM];
    let sealed = Sealed::open(form, text.as_bytes(), &mut buffer).expect("it is a document");
    let (key, payload) = (sealed.key(), sealed.unverified().to_vec());
    let length = armour::decode(form.label(), text.as_bytes(), &mut buffer).expect("it is an armour");
    (key, payload.clone(), buffer[1 + 8 + 4 + payload.len()..length].to_vec())
}

/// What is signed.
fn message(form: Form, key: KeyId, payload: &[u8]) -> Vec<u8> {
    let domain: &[u8] = match form {
        Form::License => b"aegis-os license-doc v1\0",
        Form::Revocations => b"aegis-os revocations v1\0",
    };
    let length = u32::try_from(payload.len()).expect("it is short").to_le_bytes();
    [domain, &[1], &key.0, &length, payload].concat()
}

/// Seals as if the key were at hand; `buffer` has just so many bytes.
fn seal_again(form: Form, text: &str, room: usize) -> Result<String, SealError<DocumentError>> {
    let (key, payload, signature) = parts(form, text);
    let mut out = String::new();
    document::seal(form, &payload, key, &mut vec![0; room], &mut out, |message, room| {
        assert_eq!(message, self::message(form, key, &payload));
        room.get_mut(..signature.len()).ok_or(DocumentError::Body)?.copy_from_slice(&signature);
        Ok(signature.len())
    })?;
    Ok(out)
}

#[test]
fn what_is_sealed_is_what_make_py_writes() {
    let vectors = vectors();
    let licenses = vectors.good.iter().map(|good| (Form::License, &good.armour, document::LICENSE_ROOM));
    let lists = vectors.lists.iter().filter(|list| list.error.is_none());
    let rooms =
        lists.map(|list| (Form::Revocations, &list.armour, document::revocations_room(list.serials.len())));
    for (form, text, room) in licenses.chain(rooms) {
        assert_eq!(seal_again(form, text, room).as_ref(), Ok(text));
        let (_, payload, signature) = parts(form, text);
        let least = 24 + 1 + 8 + 4 + payload.len() + signature.len();
        assert_eq!(seal_again(form, text, least).as_ref(), Ok(text));
        for short in [least - 1, least - signature.len()] {
            assert_eq!(seal_again(form, text, short), Err(SealError::Signer(DocumentError::Body)));
        }
        for short in [0, 1, 24, 25, 33, 37, least - signature.len() - 1] {
            assert_eq!(seal_again(form, text, short), Err(SealError::TooLarge), "{short} bytes");
        }
    }
}

/// The greatest documents fit into the rooms that are said, and nothing greater does.
#[test]
fn rooms_are_neither_too_small_nor_too_large() {
    let mut out = String::new();
    let key = vectors().keys[0].id;
    let mut seal = |form, payload: &[u8], room: usize, signature: usize| {
        out.clear();
        let sign = |_: &[u8], room: &mut [u8]| Ok::<_, ()>(signature.max(room.len()));
        document::seal(form, payload, key, &mut vec![0; room], &mut out, sign).map(|()| out.len())
    };
    assert_eq!(seal(Form::License, &[0; CAPACITY], document::LICENSE_ROOM, 512), Ok(document::LICENSE_TEXT));
    assert_eq!(seal(Form::License, &[0; CAPACITY], document::LICENSE_ROOM, 513), Err(SealError::TooLarge));
    // A number of ten bytes, a time of ten, a length of five: 25, of 32 that are kept for them.
    for licenses in [0, 1, 2, 1000] {
        let payload = vec![0; 32 + 8 * licenses];
        let room = document::revocations_room(licenses);
        let whole = armour::armoured_size(Form::Revocations.label(), 13 + payload.len() + 512);
        assert_eq!(seal(Form::Revocations, &payload, room, 512), Ok(whole));
        assert_eq!(seal(Form::Revocations, &payload, room, 513), Err(SealError::TooLarge));
    }
}
