//! Addresses of mail, as far as we take them.

use super::Denied;

/// An address that mail can go to: ASCII, a dot-atom before the at sign (RFC 5322 section 3.2.3), a domain with a dot.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Reads what a person typed; spaces around it are not theirs.
    ///
    /// # Errors
    /// [`Denied::Field`] that says what is wrong; a line feed or another control character is never taken.
    pub fn parse(text: &str) -> Result<Self, Denied> {
        let text = text.trim_matches(' ');
        let Some((local, domain)) = text.rsplit_once('@') else {
            return Err(wrong("Write an address like name@example.org"));
        };
        if !text.is_ascii() {
            return Err(wrong("Write the address in letters of ASCII; a domain in its xn-- form"));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
        let atoms = local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(plain));
        let labels: Vec<_> = domain.split('.').collect();
        let good = |label: &&str| {
            let inner = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
        };
        if text.len() > 254 || local.len() > 64 || !atoms || labels.len() < 2 || !labels.iter().all(good) {
            return Err(wrong("Write an address like name@example.org"));
        }
        Ok(Self(text.to_owned()))
    }

    /// As it was typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which addresses are compared: nobody has a second account by capitals.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// Personal data: not for logs.
impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address")
    }
}

fn wrong(detail: &str) -> Denied {
    Denied::Field { name: "email", detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_taken_and_that_are_not() {
        for good in ["a@b.de", " Ann.O'Neil+x@Mail.Example.ORG ", "x_1@xn--bcher-kva.example"] {
            assert!(Address::parse(good).is_ok(), "{good}");
        }
        assert_eq!(Address::parse(" Ann@EXAMPLE.org").unwrap().key(), "ann@example.org");
        for bad in [
            "",
            "a",
            "@b.de",
            "a@",
            "a@b",
            "a@b..de",
            "a@-b.de",
            ".a@b.de",
            "a..b@c.de",
            "a b@c.de",
            "a@b.de\r\nBcc: c@d.de",
            "a\n@b.de",
            "a@b.de\0",
            "\"a b\"@c.de",
            "<a@b.de>",
            "a@b.de,c@d.de",
            "ä@b.de",
            "a@bü.de",
            "a@[127.0.0.1]",
            &format!("{}@b.de", "a".repeat(65)),
            &format!("a@{}.de", "b.".repeat(130)),
        ] {
            assert!(Address::parse(bad).is_err(), "{bad:?}");
        }
    }
}
