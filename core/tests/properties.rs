//! Properties that hold for every input: what is printed reads back, and what is read prints back.

use aegis_core::{
    edition::Edition,
    hex::Hex,
    license::{
        armour,
        claims::{CAPACITY, Claims, Kind, OVERRIDES, Override, Setting},
        key::LicenseKey,
        machine::{Binding, Component},
    },
    time::UnixTime,
    version::Version,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

const PREFIXES: [(&str, Edition); 2] = [("WORK", Edition::Workplace), ("GMAI", Edition::GamerAi)];

fn component() -> impl Strategy<Value = Binding> {
    (any::<[u8; 8]>(), proptest::sample::subsequence(Component::ALL.to_vec(), 4..=6), any::<[u8; 8]>())
        .prop_map(|(salt, parts, digest)| Binding {
            salt: Hex(salt),
            components: parts.into_iter().map(|part| (part, Hex(digest))).collect(),
        })
}

fn overrides() -> impl Strategy<Value = Vec<Override>> {
    let setting =
        prop_oneof![any::<bool>().prop_map(Setting::Flag), (-1..=i64::MAX).prop_map(Setting::Limit)];
    proptest::collection::btree_map("[a-z0-9_]{1,32}", setting, 0..=OVERRIDES).prop_map(|settings| {
        let make = |(name, setting): (String, Setting)| Override {
            name: name.as_str().try_into().expect("32 characters fit"),
            setting,
        };
        settings.into_iter().map(make).collect()
    })
}

/// Every license that makes sense.
fn claims() -> impl Strategy<Value = Claims> {
    let times = (0..=UnixTime::MAX.0 - 2, any::<u32>(), any::<u32>());
    let who = (any::<u64>(), any::<[u8; 16]>(), select(Edition::ALL.to_vec()), select(Kind::ALL.to_vec()));
    let how = (1..=u32::MAX, any::<u16>(), option::of(component()), overrides());
    (who, times, how).prop_map(
        |((serial, key, edition, kind), (issued, wait, length), (seats, grace, binding, set))| {
            let not_before = (issued + i64::from(wait)).min(UnixTime::MAX.0 - 1);
            let expires = (not_before + 1 + i64::from(length)).min(UnixTime::MAX.0);
            Claims {
                serial,
                key: Hex(key),
                edition,
                kind,
                seats,
                issued: UnixTime(issued),
                not_before: UnixTime(not_before),
                expires: (kind != Kind::Lifetime).then_some(UnixTime(expires)),
                grace_days: if kind.is_trial() { 0 } else { grace },
                binding,
                overrides: set.into_iter().collect(),
            }
        },
    )
}

proptest! {
    #[test]
    fn license_keys_read_back_however_they_are_typed(
        random in any::<[u8; 7]>(),
        index in 0..2_usize,
        lower in any::<bool>(),
        separator in select(vec!["", "-", " ", " - "]),
    ) {
        let (prefix, edition) = PREFIXES[index];
        let key = LicenseKey::generate(prefix, random).expect("the prefix is one");
        let mut typed = key.to_string().replace('-', separator);
        if lower {
            typed.make_ascii_lowercase();
        }
        prop_assert_eq!(LicenseKey::parse(&typed, &PREFIXES), Ok((key, edition)));
    }

    #[test]
    fn no_text_makes_the_key_parser_panic(text in any::<String>()) {
        if let Ok((key, _)) = LicenseKey::parse(&text, &PREFIXES) {
            prop_assert_eq!(LicenseKey::parse(&key.to_string(), &PREFIXES).map(|(key, _)| key), Ok(key));
        }
    }

    #[test]
    fn claims_read_back(claims in claims()) {
        let mut buffer = [0; CAPACITY];
        let bytes = claims.encode(&mut buffer).expect("they make sense and fit");
        prop_assert_eq!(Claims::decode(bytes), Ok(claims));
    }

    #[test]
    fn what_is_accepted_as_claims_is_canonical(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(claims) = Claims::decode(&bytes) {
            let mut buffer = [0; CAPACITY];
            prop_assert_eq!(claims.encode(&mut buffer), Ok(bytes.as_slice()));
        }
    }

    #[test]
    fn armours_read_back_and_have_one_form(body in vec(any::<u8>(), 1..1000), at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut text = String::new();
        armour::encode("AEGIS LICENSE", &body, &mut text).expect("a string takes everything");
        let read = |text: &[u8]| {
            let mut buffer = [0; 1000];
            armour::decode("AEGIS LICENSE", text, &mut buffer).map(|length| buffer[..length].to_vec())
        };
        prop_assert_eq!(read(text.as_bytes()), Ok(body.clone()));
        let mut changed = text.clone().into_bytes();
        let at = at.index(changed.len());
        changed[at] = with;
        if let Ok(other) = read(&changed) {
            prop_assert_eq!(other == body, changed == text.as_bytes());
        }
    }

    #[test]
    fn versions_read_back_and_are_ordered_like_their_parts(
        one in any::<(u32, u32, u32)>(),
        two in any::<(u32, u32, u32)>(),
    ) {
        let parse = |(a, b, c): (u32, u32, u32)| format!("{a}.{b}.{c}").parse::<Version>().expect("it is a version");
        prop_assert_eq!(parse(one).cmp(&parse(two)), one.cmp(&two));
        prop_assert_eq!(parse(one).to_string(), format!("{}.{}.{}", one.0, one.1, one.2));
    }

    #[test]
    fn no_text_makes_the_version_parser_panic(text in "[0-9a-z.+-]{0,30}") {
        if let Ok(version) = text.parse::<Version>() {
            prop_assert_eq!(version.to_string(), text);
        }
    }
}
