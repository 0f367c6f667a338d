//! The Debian package sources of the building machine.
//!
//! Formats: apt's one-line style and deb822 style (sources.list(5)). No host name is written into the
//! project: a build uses what the machine uses, with the suite of the product in place of the machine's.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The Debian release that the product is built from.
pub const SUITE: &str = "trixie";

/// Signs Debian's archives; in the package `debian-archive-keyring`.
pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One of Debian's archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Archive {
    /// The main archive, suites `trixie` and `trixie-updates`.
    Debian,
    /// Security updates, suite `trixie-security`.
    Security,
}

/// An archive and where this machine gets it from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Which archive.
    pub archive: Archive,
    /// Base URI without a final slash.
    pub uri: String,
}

/// The sources of this machine, or those that `mirror` and `security` name.
pub fn detect(mirror: Option<&str>, security: Option<&str>) -> Result<Vec<Source>> {
    let named = [(Archive::Debian, mirror), (Archive::Security, security)];
    if mirror.is_some() {
        return Ok(named.into_iter().filter_map(|(archive, uri)| Some(source(archive, uri?))).collect());
    }
    let found = parse_all(&read_all(Path::new("/etc/apt"))?);
    if found.iter().any(|source| source.archive == Archive::Debian) {
        Ok(found)
    } else {
        Err(Error::NoSources)
    }
}

fn source(archive: Archive, uri: &str) -> Source {
    Source { archive, uri: uri.trim_end_matches('/').to_owned() }
}

fn read_all(directory: &Path) -> Result<String> {
    let mut files = vec![directory.join("sources.list")];
    if let Ok(entries) = fs::read_dir(directory.join("sources.list.d")) {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.sort();
    let mut text = String::new();
    for file in files.iter().filter(|file| file.is_file()) {
        text.push_str(&fs::read_to_string(file).map_err(Error::io("reading", file))?);
        text.push_str("\n\n");
    }
    Ok(text)
}

/// The first source of each archive in the text of all source files.
fn parse_all(text: &str) -> Vec<Source> {
    let mut found: Vec<Source> = Vec::new();
    let stanzas = text.split("\n\n").flat_map(stanza);
    for (uri, suites, components) in stanzas.chain(text.lines().filter_map(one_line)) {
        let archive = suites.iter().find_map(|suite| archive_of(suite));
        let main = components.iter().any(|component| component == "main");
        if let (Some(archive), true) = (archive, main)
            && !found.iter().any(|known| known.archive == archive)
        {
            found.push(source(archive, &uri));
        }
    }
    found.sort_by_key(|source| source.archive);
    found
}

/// Debian's suites; a third party's suite has another name or other components.
fn archive_of(suite: &str) -> Option<Archive> {
    const NAMES: [&str; 7] = ["bookworm", "trixie", "forky", "sid", "stable", "testing", "unstable"];
    if NAMES.contains(&suite) {
        return Some(Archive::Debian);
    }
    suite.strip_suffix("-security").filter(|name| NAMES.contains(name)).map(|_| Archive::Security)
}

type Fields = (String, Vec<String>, Vec<String>);

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn stanza(text: &str) -> Option<Fields> {
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let enabled = field("Enabled").is_none_or(|value| value != "no");
    if !enabled || !field("Types")?.split_whitespace().any(|kind| kind == "deb") {
        return None;
    }
    let uri = words(&field("URIs")?).into_iter().next()?;
    Some((uri, words(&field("Suites")?), words(&field("Components")?)))
}

fn one_line(line: &str) -> Option<Fields> {
    let rest = line.trim().strip_prefix("deb ")?.trim_start();
    let rest = if rest.starts_with('[') { rest.split_once(']')?.1 } else { rest };
    let mut fields = rest.split('#').next()?.split_whitespace().map(str::to_owned);
    Some((fields.next()?, vec![fields.next()?], fields.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_styles_and_third_parties() {
        let text = "# comment\ndeb [arch=amd64 signed-by=/k.gpg] http://a.example/debian/ bookworm main contrib\n\
                    deb http://third.example/apt cloud-bookworm main\n\
                    deb http://other.example/linux bookworm stable\n\n\
                    Types: deb\nURIs: http://s.example/debian-security\nSuites: bookworm-security\nComponents: main\n\n\
                    Types: deb\nEnabled: no\nURIs: http://no.example/debian\nSuites: trixie\nComponents: main\n";
        assert_eq!(
            parse_all(text),
            [
                source(Archive::Debian, "http://a.example/debian"),
                source(Archive::Security, "http://s.example/debian-security")
            ]
        );
    }
}
