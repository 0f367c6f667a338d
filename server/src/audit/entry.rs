//! An entry: who did what to what, when, without secrets and without personal data.
//!
//! Invariant: every text in an entry is a short word of a closed alphabet and no address of the network, so that a name,
//! an e-mail address, a sentence or a password that ends up here by mistake is not written.

use std::{collections::BTreeMap, net::IpAddr};

use serde::Serialize;

/// Bytes of a word.
const WORD: usize = 128;

/// One act. The JSON is canonical as RFC 8785 has it: fields sorted, no white space, whole numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    // The order of the fields is that of their names.
    act: String,
    actor: String,
    detail: BTreeMap<String, Detail>,
    subject: String,
    time: i64,
}

/// A value of a detail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Detail {
    /// A number.
    Number(i64),
    /// A word, such as an identifier, an edition or a digest; anything else is written as `?`.
    Word(String),
}

impl From<i64> for Detail {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}

impl From<&str> for Detail {
    fn from(value: &str) -> Self {
        Self::Word(word(value))
    }
}

impl Entry {
    /// An entry at a time in seconds since 1970. `actor` and `subject` are identifiers such as `account:5f3a…` or
    /// `system`, `act` is a name with dots such as `account.lock`; whatever is no word is written as `?`.
    pub fn new(time: i64, actor: &str, act: &str, subject: &str) -> Self {
        let (act, actor, subject) = (word(act), word(actor), word(subject));
        Self { act, actor, detail: BTreeMap::new(), subject, time }
    }

    /// Adds a detail, or changes it.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Detail>) -> Self {
        self.detail.insert(word(name), value.into());
        self
    }

    /// Its time, in seconds since 1970.
    pub const fn time(&self) -> i64 {
        self.time
    }

    /// The canonical JSON, which is what is hashed.
    pub fn to_json(&self) -> String {
        // Serialising plain data cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn word(text: &str) -> String {
    let lawful = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/+=-".contains(&byte);
    let is_word = (1..=WORD).contains(&text.len()) && text.bytes().all(lawful);
    if is_word && text.parse::<IpAddr>().is_err() { text.to_owned() } else { "?".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_is_canonical() {
        let entry = Entry::new(1_700_000_000, "account:00ff", "release.publish", "release:gamer/1.2.3+rc-1")
            .with("size", 12)
            .with("channel", "beta");
        assert_eq!(
            entry.to_json(),
            r#"{"act":"release.publish","actor":"account:00ff","detail":{"channel":"beta","size":12},"subject":"release:gamer/1.2.3+rc-1","time":1700000000}"#
        );
    }

    #[test]
    fn what_is_no_word_is_not_written() {
        let long = "a".repeat(WORD + 1);
        for text in [
            "",
            "a person",
            "person@example.org",
            "192.0.2.7",
            "2001:db8::1",
            "::ffff:192.0.2.7",
            "line\nbreak",
            "\u{1b}[31m",
            "\"quote",
            "ümlaut",
            &long,
        ] {
            let json = Entry::new(0, text, text, text).with(text, text).to_json();
            assert_eq!(
                json, r#"{"act":"?","actor":"?","detail":{"?":"?"},"subject":"?","time":0}"#,
                "{text:?}"
            );
        }
        assert_eq!(word(&long[1..]), long[1..]);
    }
}
