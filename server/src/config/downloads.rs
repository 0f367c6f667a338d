//! How files are sent, and who else has them.

use serde::{Deserialize, Serialize};

use super::s3::protected;
use crate::{Error, Result, downloads};

/// How files are sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Downloads {
    /// Whether clients are sent to a bucket by a signed address, which they must reach; otherwise this server passes its bytes
    /// on. Without a bucket it means nothing.
    pub redirect: bool,
    /// Servers that have the files of free editions too. An empty list is not printed: `[[downloads.mirrors]]` could not follow.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Mirror>,
}

impl Default for Downloads {
    fn default() -> Self {
        Self { redirect: true, mirrors: Vec::new() }
    }
}

/// A server with the same files below the same names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// Where its copy of what is below `/download` is, such as `https://mirror.example.org/aegis`.
    pub url: String,
    /// Networks whose clients it is for, such as `192.0.2.0/24`; empty for everyone.
    #[serde(default)]
    pub networks: Vec<String>,
}

impl Downloads {
    /// The mirrors.
    ///
    /// # Errors
    /// [`Error::Config`], which names the key.
    pub fn mirrors(&self) -> Result<downloads::Mirrors> {
        self.mirrors.iter().map(Mirror::read).collect::<Result<_>>().map(downloads::Mirrors)
    }
}

impl Mirror {
    fn read(&self) -> Result<downloads::Mirror> {
        let base = self.url.strip_suffix('/').unwrap_or(&self.url);
        let refused = |problem: &str| Error::Config {
            place: "downloads.mirrors".into(),
            problem: format!("`{}` {problem}", self.url),
            hint: "write such as https://mirror.example.org/aegis".into(),
        };
        // It becomes part of headers and pages.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:[]%".contains(&byte);
        if !protected(base).map_err(refused)?.bytes().all(plain) {
            return Err(refused("has characters that no address of a mirror needs"));
        }
        let networks = self.networks.iter().map(|text| text.parse()).collect::<Result<_>>()?;
        Ok(downloads::Mirror { base: base.to_owned(), networks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_read_and_mistakes_are_named() {
        let read = |text: &str| toml::from_str::<Downloads>(text).unwrap().mirrors();
        assert!(read("").unwrap().0.is_empty());
        let mirrors =
            read("mirrors = [{ url = \"https://m.example/a/\", networks = [\"10.0.0.0/8\"] }]").unwrap();
        assert_eq!((mirrors.0[0].base.as_str(), mirrors.0[0].networks.len()), ("https://m.example/a", 1));
        for wrong in [
            "ftp://m.example",
            "http://m.example",
            "https://",
            "https:///a",
            "https://m.example/?a",
            "https://m.example/a>b",
            "",
        ] {
            let error = read(&format!("mirrors = [{{ url = \"{wrong}\" }}]")).unwrap_err();
            assert!(error.to_string().contains("downloads.mirrors"), "{error}");
        }
        assert!(read("mirrors = [{ url = \"https://m.example\", networks = [\"here\"] }]").is_err());
    }
}
