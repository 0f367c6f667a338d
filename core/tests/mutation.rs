//! Feeds mutated and random bytes to every parser of foreign bytes in `core`. None may panic, and what is
//! accepted must print back to itself.
//!
//! Deterministic: the same rounds on every machine. `AEGIS_FUZZ_ROUNDS` sets their number; `make test-all` raises it.
#![expect(clippy::cast_possible_truncation, reason = "random bits")]

use aegis_core::{
    cmdline::BootParams,
    hex,
    install::InstallId,
    key::{PublicKey, RsaKey, Signature},
    manifest::Manifest,
    slot::Trailer,
};

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to choose mutations.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Flips, inserts, removes, repeats or cuts, one to eight times.
fn mutate(random: &mut Random, seed: &[u8]) -> Vec<u8> {
    const TOKENS: [&[u8]; 9] = [
        b"aegis.",
        b"aegis.medium=",
        b"aegis.wait=",
        b" -- ",
        b"=",
        b"\0",
        b"\xff\xff\xff\xff",
        b"{",
        b"18446744073709551616",
    ];
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len() + 1);
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 => bytes.insert(at, random.next() as u8),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => bytes.truncate(at),
            4 => drop(bytes.splice(at..at, TOKENS[random.below(TOKENS.len())].iter().copied())),
            _ => {
                let end = (at + random.below(16)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.extend(part);
            }
        }
    }
    bytes
}

fn rounds() -> usize {
    std::env::var("AEGIS_FUZZ_ROUNDS")
        .map_or(20_000, |text| text.parse().expect("AEGIS_FUZZ_ROUNDS is a number"))
}

fn each(seeds: &[&[u8]], mut check: impl FnMut(&[u8])) {
    let mut random = Random(1);
    for round in 0..rounds() {
        check(&mutate(&mut random, seeds[round % seeds.len()]));
    }
}

const ID: &str = "00112233445566778899aabbccddeeff";

#[test]
fn boot_parameters() {
    let live =
        format!("BOOT_IMAGE=/vmlinuz quiet aegis.medium={ID} aegis.check=full aegis.wait=30 -- single");
    let disk = format!("aegis.install={ID} aegis.slot=b aegis.fail=reboot aegis.rescue");
    let mut accepted = 0;
    each(&[live.as_bytes(), disk.as_bytes()], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok((params, _)) = BootParams::parse(&text) {
            accepted += 1;
            let printed = params.to_string();
            assert_eq!(BootParams::parse(&printed).map(|(again, _)| again), Ok(params), "{text}");
        }
    });
    assert!(accepted > rounds() / 20, "the mutations are too wild to test what is accepted");
}

#[test]
fn slot_trailers() {
    let trailer = Trailer { manifest: b"{\"format\":1}".to_vec(), signature: b"signature".to_vec() };
    let bytes = trailer.encode().expect("it fits");
    each(&[&bytes[..64], &bytes[..]], |bytes| {
        if let Ok(found) = Trailer::decode(bytes) {
            assert_eq!(found.encode().and_then(|bytes| Trailer::decode(&bytes)), Ok(found));
        }
    });
}

#[test]
fn manifests_keys_and_signatures() {
    let zeros = "0".repeat(64);
    let manifest = format!(
        r#"{{"format":1,"id":"{ID}","edition":"server","version":"1.0.0","channel":"lts","epoch":7,"kernel":"6.12",
        "image":{{"kind":"squashfs","data_size":8192,"size":12288,"salt":"{zeros}","root_hash":"{zeros}"}},
        "files":{{"aegis/root.img":{{"size":12288,"sha256":"{zeros}"}}}},"inputs":{{}}}}"#
    );
    assert!(Manifest::from_verified(manifest.as_bytes()).is_ok());
    let key = r#"{"id":"0011223344556677","role":"release","development":true,"not_before":0,"not_after":9,"rsa":"00"}"#;
    let signature = r#"{"key":"0011223344556677","algorithm":"rsa-pkcs1-sha256","signature":"00"}"#;
    each(&[manifest.as_bytes(), key.as_bytes(), signature.as_bytes()], |bytes| {
        if let Ok(found) = Manifest::from_verified(bytes) {
            assert_eq!(Manifest::from_verified(&found.to_bytes()).ok(), Some(found));
        }
        if let Ok(found) = serde_json::from_slice::<PublicKey>(bytes) {
            assert!(found.der().len() <= RsaKey::CAPACITY);
        }
        drop(serde_json::from_slice::<Signature>(bytes));
    });
}

#[test]
fn hexadecimal_text() {
    each(&[ID.as_bytes(), b"0g"], |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Some(found) = hex::decode(&text) {
            assert_eq!(hex::encode(&found), text.to_lowercase());
        }
        assert!(InstallId::parse(&text).is_none_or(|id| id.to_string() == text.to_lowercase()));
    });
}
