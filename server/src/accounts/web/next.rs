//! Where somebody wanted to go before signing in.
//!
//! Invariant: it is a path of this site, in whatever way a browser reads it. Browsers drop tabs and line ends from
//! addresses and take a backslash for a slash, so that `/\evil.example` would lead elsewhere.

/// Characters that a path may have here.
const LONGEST: usize = 512;

/// A path of this site, with its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Next(String);

impl Next {
    /// The path, if it is one of ours.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\\"'<>`".contains(&byte);
        let is_ours = text.starts_with('/') && !text.starts_with("//");
        (is_ours && text.len() <= LONGEST && text.bytes().all(plain)).then(|| Self(text.to_owned()))
    }

    pub(super) fn path(&self) -> &str {
        &self.0
    }

    /// A page of ours that is asked to go on here afterwards.
    pub(super) fn after(&self, page: &str) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        let escaped = self
            .0
            .bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
        format!("{page}?next={}", escaped.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site() {
        for good in
            ["/", "/account/sessions", "/pricing?users=3&term=annual#calculator", "/a//b", "/%2f%2fevil"]
        {
            assert_eq!(Next::parse(good).as_ref().map(Next::path), Some(good));
        }
        for bad in [
            "",
            "evil.example",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "\\/evil.example",
            "https://evil.example",
            "https:evil.example",
            "https:/evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "\t//evil.example",
            "/\n/evil.example",
            "/a\r\nSet-Cookie: a=b",
            " //evil.example",
            "/a b",
            "/\0",
            "/\u{7f}",
            "/\u{a0}",
            "/\u{2215}evil",
            "/a\"><script>",
        ] {
            assert_eq!(Next::parse(bad), None, "{bad:?}");
        }
        assert_eq!(Next::parse(&format!("/{}", "a".repeat(LONGEST))), None);
    }

    #[test]
    fn it_survives_being_a_value_in_a_query() {
        let next = Next::parse("/pricing?users=3&term=a+b%20#c").unwrap();
        let link = next.after("/account/sign-in");
        assert_eq!(link, "/account/sign-in?next=/pricing%3Fusers%3D3%26term%3Da%2Bb%2520%23c");
    }
}
