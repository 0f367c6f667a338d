//! The words that stand in files: they are frozen, and the same wherever they are printed.

use std::fmt::{Debug, Display};

use aegis_core::{
    channel::Channel,
    edition::Edition,
    hex::Hex,
    install::Role,
    key::{KeyRole, PublicKey, RsaKey},
    license::{claims::Kind, machine::Component, verdict::Code},
    slot::Slot,
    version::{InvalidVersion, Version},
};
use serde::{Serialize, de::DeserializeOwned};

/// `id` and JSON say the same, and nothing else is read.
fn frozen<T>(all: &[T], id: fn(T) -> &'static str, expected: &[&str])
where
    T: Copy + Debug + PartialEq + Serialize + DeserializeOwned,
{
    assert_eq!(all.iter().map(|value| id(*value)).collect::<Vec<_>>(), expected);
    for (value, word) in all.iter().zip(expected) {
        let json = format!("\"{word}\"");
        assert_eq!(serde_json::to_string(value).expect("it is a word"), json);
        assert_eq!(serde_json::from_str::<T>(&json).ok(), Some(*value));
        assert!(serde_json::from_str::<T>(&json.to_uppercase()).is_err());
    }
}

/// What is printed is the word, in columns too.
fn printed<T: Copy + Display>(all: &[T], id: fn(T) -> &'static str) {
    for value in all {
        assert_eq!(value.to_string(), id(*value));
        assert_eq!(format!("{value:>20}"), format!("{:>20}", id(*value)));
    }
}

#[test]
fn identifiers_are_frozen() {
    let editions = ["freemium", "basic", "workplace", "gamer", "ai-dev", "gamer-ai", "server"];
    frozen(&Edition::ALL, Edition::id, &editions);
    frozen(&Kind::ALL, Kind::id, &["lifetime", "annual", "trial", "free-period"]);
    let components = ["system-uuid", "board-serial", "system-serial", "disk", "network-card", "installation"];
    frozen(&Component::ALL, Component::id, &components);
    let codes = [
        (Code::Valid, "valid"),
        (Code::Grace, "grace"),
        (Code::Trial, "trial"),
        (Code::Expired, "expired"),
        (Code::NotYetValid, "not-yet-valid"),
        (Code::Revoked, "revoked"),
        (Code::WrongEdition, "wrong-edition"),
        (Code::WrongMachine, "wrong-machine"),
        (Code::Unknown, "unknown"),
    ];
    frozen(&codes.map(|(code, _)| code), Code::id, &codes.map(|(_, word)| word));
    frozen(&KeyRole::ALL, KeyRole::id, &["release", "update", "license", "receipt"]);
    frozen(&Channel::ALL, Channel::id, &["stable", "priority", "beta", "lts"]);
    frozen(&[Slot::A, Slot::B], Slot::id, &["a", "b"]);
    frozen(&Role::ALL, Role::name, &["bios-boot", "esp", "root-a", "root-b", "data"]);
}

#[test]
fn identifiers_are_what_is_printed() {
    printed(&Edition::ALL, Edition::id);
    printed(&Kind::ALL, Kind::id);
    printed(&KeyRole::ALL, KeyRole::id);
    printed(&Channel::ALL, Channel::id);
    printed(&[Slot::A, Slot::B], Slot::id);
}

#[test]
fn only_some_channels_need_an_entitlement() {
    let needed = Channel::ALL.map(Channel::entitlement);
    assert_eq!(needed, [None, Some("priority_channel"), Some("beta_channel"), None]);
}

#[test]
fn signatures_of_each_role_cover_their_domain() {
    for role in KeyRole::ALL {
        assert_eq!(role.message(b"{}"), format!("aegis-os {} v1\0{{}}", role.id()).into_bytes());
    }
}

#[test]
fn keys_are_read_and_shown_in_digits() {
    let text = |rsa: &str| {
        format!(
            r#"{{"id":"0011223344556677","role":"license","development":true,"not_before":5,"not_after":9,"rsa":"{rsa}"}}"#
        )
    };
    let key: PublicKey = serde_json::from_str(&text("00AbfF")).expect("it is a key");
    assert_eq!(
        (key.id, key.der()),
        (Hex([0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77]), &[0, 0xab, 0xff][..])
    );
    assert_eq!(format!("{:?}", key.rsa), "00abff");
    assert_eq!(serde_json::to_string(&key).expect("it is text"), text("00abff"));
    let longest = "5a".repeat(RsaKey::CAPACITY);
    assert!(
        serde_json::from_str::<PublicKey>(&text(&longest))
            .is_ok_and(|key| key.der().len() == RsaKey::CAPACITY)
    );
    for wrong in ["", "0", "0g", &format!("{longest}00")] {
        let error = serde_json::from_str::<PublicKey>(&text(wrong)).expect_err(wrong).to_string();
        assert!(error.contains("an RSA public key of at most 526 bytes in hexadecimal digits"), "{error}");
    }
    let number = text("").replace("\"rsa\":\"\"", "\"rsa\":7");
    assert!(serde_json::from_str::<PublicKey>(&number).is_err());
}

#[test]
fn versions_are_words_in_json() {
    let version: Version = serde_json::from_str("\"1.4.0-rc.2\"").expect("it is a version");
    assert_eq!(serde_json::to_string(&version).expect("it is text"), "\"1.4.0-rc.2\"");
    assert_eq!("1.4".parse::<Version>(), Err(InvalidVersion));
    assert_eq!(InvalidVersion.to_string(), "it is not a version such as 1.4.0 or 1.4.0-rc.2");
    for wrong in ["\"1.4\"", "1.4", "[1,4,0]"] {
        let error = serde_json::from_str::<Version>(wrong).expect_err(wrong).to_string();
        assert!(error.contains("expected a version such as 1.4.0"), "{error}");
    }
}
