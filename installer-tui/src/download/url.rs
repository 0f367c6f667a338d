//! Addresses of servers and files. What opens a file, the query of a signed link, is never printed.

use std::fmt;

use aegis_core::{edition::Edition, version::Version};
use serde::{Serialize, Serializer};
use ureq::http::{Uri, uri::Scheme};

/// An address of a file: `http` or `https`, no user, no fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    secure: bool,
    authority: String,
    path: String,
    query: Option<String>,
}

impl Url {
    /// Reads an address.
    pub fn parse(text: &str) -> Option<Self> {
        // A fragment would be dropped in silence.
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['#', '\\']) {
            return None;
        }
        let uri: Uri = text.parse().ok()?;
        let secure = match uri.scheme()? {
            scheme if *scheme == Scheme::HTTPS => true,
            scheme if *scheme == Scheme::HTTP => false,
            _ => return None,
        };
        let authority = uri.authority()?.as_str().to_ascii_lowercase();
        if authority.contains('@') || uri.host().is_none_or(str::is_empty) {
            return None;
        }
        Some(Self { secure, authority, path: uri.path().into(), query: uri.query().map(Into::into) })
    }

    /// Where a `Location` of an answer from here leads: another address, or a path on the same server.
    pub(super) fn redirect(&self, location: &str) -> Option<Self> {
        match location.starts_with('/') && !location.starts_with("//") {
            true => Self::parse(&format!("{}{location}", self.origin())),
            false => Self::parse(location),
        }
    }

    /// Whether a text is meant as an address.
    pub fn is_meant(text: &str) -> bool {
        ["http://", "https://"]
            .iter()
            .any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
    }

    /// Whether it is encrypted.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether what is secret may be sent there: it is encrypted, or does not leave the machine.
    pub(super) fn is_private(&self) -> bool {
        let host = match self.authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => self.authority.as_str(),
        };
        self.secure || ["localhost", "127.0.0.1", "[::1]"].contains(&host)
    }

    /// The server of it.
    pub fn origin(&self) -> Origin {
        Origin { secure: self.secure, authority: self.authority.clone(), prefix: String::new() }
    }

    /// The path alone.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// All of it, for a request; not for people.
    pub(super) fn reveal(&self) -> String {
        let query = self.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{self}{query}")
    }

    /// Whether it has what opens a file.
    pub fn is_link(&self) -> bool {
        self.query.is_some()
    }

    /// The server, edition, version and name of the file of a release.
    pub fn release(&self) -> Option<(Origin, Edition, Version, &str)> {
        let mut parts = self.path.rsplitn(4, '/');
        let (name, version, edition) = (parts.next()?, parts.next()?, parts.next()?);
        let prefix = parts.next()?.strip_suffix("/download")?.to_owned();
        let origin = Origin { prefix, ..self.origin() };
        Some((origin, Edition::from_id(edition)?, version.parse().ok()?, name))
    }
}

/// Without the query, which may open a file for whoever reads it.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

/// A server that has releases, or a mirror of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    secure: bool,
    authority: String,
    /// A path before that of the site, without a slash at its end.
    prefix: String,
}

impl Origin {
    /// `https://HOST[:PORT][/PATH]`, or `http://` of the same form.
    ///
    /// # Errors
    /// What is wrong with the text, as a clause.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "expected https://HOST, or http://HOST, perhaps with a port and a path".to_owned();
        let url = Url::parse(text).filter(|url| url.query.is_none()).ok_or_else(wrong)?;
        let prefix = url.path.trim_end_matches('/').to_owned();
        Ok(Self { secure: url.secure, authority: url.authority, prefix })
    }

    /// The address of a path of the site.
    pub(super) fn at(&self, path: &str) -> Url {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let path = format!("{}{path}", self.prefix);
        Url { secure: self.secure, authority: self.authority.clone(), path, query: query.map(Into::into) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.prefix)
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_strictly_and_secrets_of_them_not_shown() {
        let url =
            Url::parse("https://Example.org:8443/download/gamer/1.0.0/a.iso?expires=1&signature=ab").unwrap();
        assert_eq!(url.to_string(), "https://example.org:8443/download/gamer/1.0.0/a.iso");
        assert!(!format!("{url:?} {url}").contains("signature"));
        assert!(url.reveal().ends_with("?expires=1&signature=ab"));
        let version = "1.0.0".parse().unwrap();
        assert_eq!(url.release(), Some((url.origin(), Edition::Gamer, version, "a.iso")));
        for wrong in [
            "",
            "example.org",
            "ftp://a/",
            "file:///etc/passwd",
            "https://",
            "https:///x",
            "https://u@a/",
            "https://u:p@a/",
            "https://a/ b",
            "https://a/#b",
            "https://a/\u{202e}",
            "//a/b",
            "https://a\\b/",
        ] {
            assert!(Url::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn origins_have_no_query_and_may_have_a_path() {
        let origin = Origin::parse("http://mirror.example/aegis/").unwrap();
        assert_eq!(
            origin.at("/api/v1/releases?limit=1").reveal(),
            "http://mirror.example/aegis/api/v1/releases?limit=1"
        );
        assert!(Origin::parse("https://a?b").is_err() && Origin::parse("a").is_err());
    }

    #[test]
    fn secrets_go_only_where_nobody_reads_them() {
        let private = |text: &str| Url::parse(text).unwrap().is_private();
        assert!(private("https://a/") && private("http://127.0.0.1:80/") && private("http://[::1]:1/"));
        assert!(private("http://[::1]/") && !private("http://[::1:1]/"));
        assert!(
            !private("http://a/")
                && !private("http://127.0.0.1.example/")
                && !private("http://localhost.example:1/")
        );
    }

    #[test]
    fn redirects_lead_to_addresses_or_paths() {
        let from = Url::parse("https://a:1/x?secret").unwrap();
        assert_eq!(from.redirect("/y").unwrap().reveal(), "https://a:1/y");
        assert_eq!(from.redirect("http://b/y").unwrap().reveal(), "http://b/y");
        assert!(from.redirect("//b/y").is_none() && from.redirect("y").is_none());
    }
}
