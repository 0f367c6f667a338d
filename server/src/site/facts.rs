//! What the site says, as it is given; nothing on a page has another source.

use aegis_core::edition::Edition;
use aegis_editions::{Registry, Spec};

use crate::{Error, Result};

/// Everything that pages are made of.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The editions, in the order in which they are shown.
    pub specs: Vec<Spec>,
    /// What the entitlements of the editions mean.
    pub registry: Registry,
    /// What can be downloaded; may be empty.
    pub releases: Vec<Release>,
    /// Hosts of mirrors that send the files of free editions; may be empty.
    pub mirrors: Vec<String>,
    /// Scheme, host and port at which the site is reached, such as `https://aegis-os.example`; no slash at the end.
    pub origin: String,
    /// Version of the product that the pages describe.
    pub version: String,
    /// Who runs the site.
    pub operator: Operator,
    /// Seconds since 1970 at which the pages are made; `security.txt` ends 360 days later.
    pub now: i64,
}

/// A medium that can be downloaded.
#[derive(Clone, Debug)]
pub struct Release {
    /// Its edition.
    pub edition: Edition,
    /// Its version.
    pub version: String,
    /// Its file name, without a directory.
    pub file: String,
    /// Its size, bytes.
    pub size: u64,
    /// Its SHA-256, 64 lower-case digits.
    pub sha256: String,
    /// When it was published, seconds since 1970.
    pub published: i64,
    /// Where it is: a path of this site, or an `https` address.
    pub url: String,
}

/// Who runs the site.
#[derive(Clone, Debug)]
pub struct Operator {
    /// A person or an organisation.
    pub name: String,
    /// Address for mail.
    pub email: String,
    /// Postal address, one line each; may be empty.
    pub address: String,
}

impl Facts {
    /// Refuses what could not be shown, or would be misread by the programs that read the site.
    ///
    /// # Errors
    /// Names the first field that is wrong.
    pub(super) fn check(&self) -> Result<()> {
        let host = self.origin.strip_prefix("https://").or_else(|| self.origin.strip_prefix("http://"));
        let plain =
            |host: &str| !host.is_empty() && !host.contains(['/', '?', '#', '@', '"', '<', '>', '\\']);
        if !host.is_some_and(|host| plain(host) && is_word(host)) {
            return Err(wrong("origin", "is not a scheme and a host, such as https://aegis-os.example"));
        }
        let operator = &self.operator;
        if operator.name.trim().is_empty() || operator.name.chars().any(char::is_control) {
            return Err(wrong("operator.name", "is empty, or has characters that cannot be shown"));
        }
        let mail =
            operator.email.split_once('@').is_some_and(|(who, host)| !who.is_empty() && !host.is_empty());
        if !mail || !is_word(&operator.email) || operator.email.contains(['?', '&', '%', '<', '>', '"']) {
            return Err(wrong("operator.email", "is not an address for mail"));
        }
        self.releases.iter().try_for_each(Release::check)
    }
}

impl Release {
    fn check(&self) -> Result<()> {
        let what = || format!("the release {:?}", self.file);
        let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let problem = if !is_word(&self.file) || self.file.contains(['/', '\\']) || self.file.starts_with('-')
        {
            "has no plain file name"
        } else if self.sha256.len() != 64 || !self.sha256.bytes().all(hexadecimal) {
            "has no SHA-256 of 64 lower-case digits"
        } else if !is_address(&self.url) {
            "is neither at a path of this site nor at an https address"
        } else {
            return Ok(());
        };
        Err(Error::Corrupt { what: what(), problem: problem.into() })
    }
}

fn is_address(url: &str) -> bool {
    is_word(url) && (url.starts_with("https://") || url.starts_with('/') && !url.starts_with("//"))
}

/// Whether a text is there and has neither blanks nor control characters.
fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn wrong(key: &str, problem: &str) -> Error {
    Error::Config {
        place: format!("the site, {key}"),
        problem: problem.into(),
        hint: "correct it in the configuration".into(),
    }
}
