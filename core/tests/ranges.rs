//! Range manifests: what is read, what is refused, and what a signature covers. The vectors were signed by OpenSSL.

use aegis_core::{
    crypto::{Ring, Sha256},
    edition::Edition,
    hex::Digest,
    key::{KeyRole, PublicKey, VerifyError},
    ranges::{CHUNK, MAX_BYTES, MAX_LENGTH, Ranges, RangesError},
};
use proptest::prelude::*;

const DOCUMENT: &str = include_str!("vectors/ranges/image.ranges.json");
const SIGNATURE: &[u8] = include_bytes!("vectors/ranges/image.ranges.json.sig");
/// The same key's signature over the same bytes, as if they were the manifest of a medium.
const AS_MEDIUM: &[u8] = include_bytes!("vectors/ranges/as-medium.sig");

fn ring() -> Vec<PublicKey> {
    serde_json::from_str(include_str!("vectors/ranges/keys.json")).expect("it is a key ring")
}

fn document() -> Ranges {
    Ranges::from_bytes(DOCUMENT.as_bytes()).expect("it is a range manifest")
}

fn read(text: &str) -> Result<Ranges, RangesError> {
    Ranges::from_bytes(text.as_bytes())
}

#[test]
fn the_vector_says_what_it_was_made_of() {
    let ranges = document();
    let release = ranges.release.expect("it is one of ours");
    assert_eq!((release.edition, release.to_string().as_str()), (Edition::Server, "server 0.1.0 (lts)"));
    let length = 2 * CHUNK + CHUNK / 2;
    assert_eq!((ranges.length, ranges.holes(), ranges.epoch), (length, CHUNK, 15));
    let content = [vec![b'a'; 1 << 20], vec![0; 1 << 20], vec![b'c'; 1 << 19]];
    assert_eq!(ranges.sha256, Sha256::of(&content.concat()));
    let expected = [
        (0..CHUNK, Some(Sha256::of(&content[0]))),
        (CHUNK..2 * CHUNK, None),
        (2 * CHUNK..length, Some(Sha256::of(&content[2]))),
    ];
    assert_eq!(ranges.iter().collect::<Vec<_>>(), expected);
    assert_eq!(ranges.to_bytes(), DOCUMENT.as_bytes());
}

#[test]
fn a_signature_is_bound_to_the_bytes_the_domain_the_key_and_its_dates() {
    let verify = |ring: &[PublicKey], bytes: &[u8], signature: &[u8]| {
        Ranges::verify::<Ring>(ring, bytes, signature).map(|(ranges, key)| (ranges, key.development))
    };
    let refused = |ring: &[PublicKey], bytes: &[u8], signature: &[u8]| match verify(ring, bytes, signature) {
        Err(RangesError::Signature(error)) => error,
        other => panic!("{other:?}"),
    };
    let (ring, id) = (ring(), ring()[0].id);
    let good = DOCUMENT.as_bytes();
    assert_eq!(verify(&ring, good, SIGNATURE).expect("it is genuine"), (document(), true));
    assert_eq!(
        refused(&ring, &DOCUMENT.replace("15", "16").into_bytes(), SIGNATURE),
        VerifyError::Mismatch(id)
    );
    assert_eq!(refused(&ring, good, AS_MEDIUM), VerifyError::Mismatch(id));
    assert_eq!(refused(&[], good, SIGNATURE), VerifyError::UnknownKey(id));
    for malformed in [&b""[..], b"{}", good] {
        assert_eq!(refused(&ring, good, malformed), VerifyError::Malformed);
    }
    let other = |change: fn(&mut PublicKey)| {
        let mut key = ring[0].clone();
        change(&mut key);
        refused(&[key], good, SIGNATURE)
    };
    assert!(matches!(other(|key| key.role = KeyRole::Update), VerifyError::WrongRole { .. }));
    assert!(matches!(other(|key| key.not_after = 15), VerifyError::KeyExpired { .. }));
    assert!(matches!(other(|key| key.not_before = 16), VerifyError::KeyExpired { .. }));
    // And the other way round: it is no manifest of a medium.
    let as_medium = aegis_core::crypto::verify::<Ring>(&ring, KeyRole::Release, good, SIGNATURE);
    assert_eq!(as_medium, Err(VerifyError::Mismatch(id)));
}

#[test]
fn numbers_that_contradict_each_other_are_refused() {
    let change = |from: &str, to: &str| {
        assert!(DOCUMENT.contains(from), "{from}");
        read(&DOCUMENT.replacen(from, to, 1))
    };
    let length = |to: u64| change("2621440", &to.to_string());
    assert!(matches!(length(0), Err(RangesError::Length(0))));
    assert!(matches!(length(MAX_LENGTH + 1), Err(RangesError::Length(_))));
    assert!(matches!(length(u64::MAX), Err(RangesError::Length(u64::MAX))));
    assert!(matches!(length(MAX_LENGTH), Err(RangesError::Count { expected: 262_144, found: 3 })));
    assert!(matches!(length(2 * CHUNK), Err(RangesError::Count { expected: 2, found: 3 })));
    assert!(length(2 * CHUNK + 1).is_ok() && length(3 * CHUNK).is_ok());
    assert!(matches!(length(3 * CHUNK + 1), Err(RangesError::Count { expected: 4, found: 3 })));
    for size in ["0", "1048575", "2097152", "18446744073709551615"] {
        assert!(matches!(change("1048576", size), Err(RangesError::Chunk(_))), "{size}");
    }
    let first = "\"9bc1b2a288b26af7257a36277ae3816a7d4f16e89c1e7e77d0a5c48bad62b360\"";
    assert!(matches!(change(first, "null"), Err(RangesError::Head)));
    for format in ["0", "2", "4294967295"] {
        assert!(matches!(
            change("\"format\": 1", &format!("\"format\": {format}")),
            Err(RangesError::Format(_))
        ));
    }
}

#[test]
fn what_is_not_of_this_shape_is_refused() {
    let cases = [
        ("\"epoch\": 15", "\"epoch\": 15,\n  \"more\": 1"),
        ("\"epoch\": 15", "\"epoch\": 15,\n  \"epoch\": 15"),
        ("\"epoch\": 15,", ""),
        ("\"epoch\": 15", "\"epoch\": -15"),
        ("\"epoch\": 15", "\"epoch\": 1.5"),
        ("\"length\": 2621440", "\"length\": 18446744073709551616"),
        ("\"format\": 1", "\"format\": \"1\""),
        ("\"server\"", "\"nobody\""),
        ("\"0.1.0\"", "\"0.1\""),
        ("00112233445566778899aabbccddeeff", "00"),
        ("9bc1b2a2", "9bc1b2a2ff"),
        ("null", "0"),
        ("null", "[]"),
    ];
    for (from, to) in cases {
        let text = DOCUMENT.replacen(from, to, 1);
        assert!(text != DOCUMENT, "{from}");
        assert!(matches!(read(&text), Err(RangesError::Parse(_))), "{text}");
    }
    for text in ["", "{}", "[]", "null", "{\"format\":1}", "\u{feff}"] {
        assert!(matches!(read(text), Err(RangesError::Parse(_))), "{text}");
    }
    for length in 0..DOCUMENT.len() {
        assert!(read(&DOCUMENT[..length]).is_err(), "{length}");
    }
}

#[test]
fn one_manifest_has_one_text() {
    let compact = serde_json::to_string(&document()).expect("it is a tree of values");
    for text in [
        compact,
        DOCUMENT.trim_end().to_owned(),
        format!("{DOCUMENT}\n"),
        DOCUMENT.replace('\n', "\r\n"),
        DOCUMENT.replace("9bc1b2a288b26af7", "9BC1B2A288B26AF7"),
        DOCUMENT.replace("\"server\"", "\"\\u0073erver\""),
        DOCUMENT.replacen("\"format\": 1,\n  ", "", 1).replacen(
            "\"epoch\"",
            "\"format\": 1,\n  \"epoch\"",
            1,
        ),
    ] {
        assert!(matches!(read(&text), Err(RangesError::NotCanonical)), "{text}");
    }
    // An image of somebody else has no release.
    let foreign = Ranges { release: None, ..document() };
    assert_eq!(Ranges::from_bytes(&foreign.to_bytes()).expect("it is canonical"), foreign);
}

#[test]
fn what_is_too_long_is_not_parsed() {
    let long = vec![b' '; MAX_BYTES + 1];
    assert!(matches!(Ranges::from_bytes(&long), Err(RangesError::TooLong)));
    assert!(matches!(Ranges::verify::<Ring>(&ring(), &long, SIGNATURE), Err(RangesError::TooLong)));
    // The longest image still has room.
    let chunks = vec![Some(Sha256::of(b"")); usize::try_from(MAX_LENGTH / CHUNK).expect("64 bits")];
    let longest = Ranges { length: MAX_LENGTH, epoch: u64::MAX, chunks, ..document() };
    let bytes = longest.to_bytes().len();
    assert!(bytes <= MAX_BYTES, "{bytes}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_printed_reads_back(holes in prop::collection::vec(any::<bool>(), 0..40), rest in 1..=CHUNK) {
        let sum = |at: usize| Some(Digest::parse(&format!("{at:064x}")).expect("64 digits"));
        let all = std::iter::once(false).chain(holes);
        let chunks: Vec<_> = all.enumerate().map(|(at, hole)| if hole { None } else { sum(at) }).collect();
        let length = (chunks.len() as u64 - 1) * CHUNK + rest;
        let ranges = Ranges { length, chunks, ..document() };
        let again = Ranges::from_bytes(&ranges.to_bytes()).expect("it is canonical");
        prop_assert_eq!(&again, &ranges);
        let mut end = 0;
        for (range, _) in ranges.iter() {
            prop_assert_eq!(range.start, end);
            prop_assert!(range.end > range.start);
            end = range.end;
        }
        prop_assert_eq!(end, length);
        prop_assert!(ranges.holes() < length);
    }
}
