//! The package lock: exactly which packages an edition is built from.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use aegis_core::{edition::Edition, hex::Digest};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    sources::{Archive, Source},
};

/// What a package is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// Installed into the root file system.
    Rootfs,
    /// Unpacked for the builder: file system tools, loader.
    Tools,
    /// Unpacked for its kernel and modules.
    Kernel,
    /// Unpacked for the compiler and what else builds a kernel.
    Toolchain,
    /// Unpacked for the kernel's source and Debian's configuration of it.
    Source,
    /// Unpacked to know what Debian's own kernel of the same source has.
    Reference,
    /// Unpacked for the program that judges how hardened a kernel's configuration is.
    Checker,
}

/// A package of exact content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Architecture.
    pub arch: String,
    /// The archive that has it.
    pub archive: Archive,
    /// Path below the archive's base.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// What it is for.
    pub uses: BTreeSet<Use>,
}

/// Every package of an edition, sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Always [`Lock::FORMAT`].
    pub format: u32,
    /// The edition; none for what all editions' kernels are built with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edition: Option<Edition>,
    /// The Debian release.
    pub suite: String,
    /// Date of the newest archive index that was used, Unix time: the date of everything built from it.
    pub epoch: u64,
    /// What was asked for: packages, components, architectures. Another request makes the lock stale.
    pub request: Digest,
    /// The packages.
    pub packages: Vec<Package>,
}

impl Lock {
    /// The format that this program writes and reads.
    pub const FORMAT: u32 = 1;

    /// One package a line, so that a change of a lock can be reviewed.
    pub fn to_text(&self) -> String {
        let head = Self { packages: Vec::new(), ..self.clone() };
        // Serialising plain data cannot fail.
        let head = serde_json::to_string_pretty(&head).unwrap_or_default();
        let mut text = head.trim_end_matches("[]\n}").to_owned();
        text.push_str("[\n");
        for (i, package) in self.packages.iter().enumerate() {
            let line = serde_json::to_string(package).unwrap_or_default();
            let comma = if i + 1 < self.packages.len() { "," } else { "" };
            writeln!(text, "    {line}{comma}").ok();
        }
        text.push_str("  ]\n}\n");
        text
    }

    /// Reads a lock file for an edition and request.
    pub fn read(path: &Path, edition: Option<Edition>, request: Digest) -> Result<Self> {
        if !path.exists() {
            return Err(Error::NoLock(path.to_owned()));
        }
        let text = fs::read_to_string(path).map_err(Error::io("reading", path))?;
        let bad = |reason: String| Error::Lock { path: path.to_owned(), reason };
        let lock: Self = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        if lock.format != Self::FORMAT {
            return Err(bad(format!("format {} is unknown, expected {}", lock.format, Self::FORMAT)));
        }
        if lock.edition != edition {
            let name =
                |edition: Option<Edition>| edition.map_or("none".into(), |edition| edition.to_string());
            return Err(bad(format!("it is for edition {}, not {}", name(lock.edition), name(edition))));
        }
        if lock.request != request {
            return Err(bad("the edition's package list was changed since".into()));
        }
        Ok(lock)
    }

    /// The packages for a use.
    pub fn uses(&self, wanted: Use) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(move |package| package.uses.contains(&wanted))
    }
}

impl Package {
    /// Where a machine with these sources gets the package; `None` without its archive.
    pub fn uri(&self, sources: &[Source]) -> Option<String> {
        let source = sources.iter().find(|source| source.archive == self.archive)?;
        Some(format!("{}/{}", source.uri, self.path))
    }
}

/// A line of `apt-get --print-uris`: `'URI' file size SHA256:digest`.
pub fn parse_uri_line(line: &str, sources: &[Source], wanted: Use) -> Option<Package> {
    let (uri, rest) = line.strip_prefix('\'')?.split_once('\'')?;
    let mut fields = rest.split_whitespace();
    let (file, size, digest) = (fields.next()?, fields.next()?, fields.next()?);
    let mut parts = file.strip_suffix(".deb")?.split('_');
    let source = sources.iter().find(|source| uri.starts_with(&format!("{}/", source.uri)))?;
    Some(Package {
        name: parts.next()?.to_owned(),
        version: parts.next()?.replace("%3a", ":"),
        arch: parts.next()?.to_owned(),
        archive: source.archive,
        path: uri[source.uri.len() + 1..].to_owned(),
        size: size.parse().ok()?,
        sha256: Digest::parse(digest.strip_prefix("SHA256:")?)?,
        uses: BTreeSet::from([wanted]),
    })
}

/// Joins packages that are needed for several uses, and sorts.
pub fn merge(mut packages: Vec<Package>) -> Vec<Package> {
    packages.sort();
    let mut merged: Vec<Package> = Vec::new();
    for package in packages {
        match merged.last_mut() {
            Some(last) if last.sha256 == package.sha256 => last.uses.extend(package.uses),
            _ => merged.push(package),
        }
    }
    merged
}

/// The committed lock of an edition.
pub fn committed_path(workspace: &Path, edition: Edition) -> PathBuf {
    workspace.join("editions").join(format!("{edition}.lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_apt_prints_and_what_it_writes() {
        let sources = [Source { archive: Archive::Debian, uri: "http://a.example/debian".into() }];
        let digest = "6da09b6aad171ef9b50d6a2bb4c62f756b3561aac5e05b452b80516223e5e0f5";
        let line = format!(
            "'http://a.example/debian/pool/main/s/shadow/passwd_4.17.2-5%7edeb_amd64.deb' \
             passwd_1%3a4.17.2-5~deb_amd64.deb 756244 SHA256:{digest}"
        );
        let package = parse_uri_line(&line, &sources, Use::Rootfs).unwrap();
        assert_eq!((package.name.as_str(), package.version.as_str()), ("passwd", "1:4.17.2-5~deb"));
        assert_eq!(package.uri(&sources).unwrap(), line.split('\'').nth(1).unwrap());
        let tools = Package { uses: BTreeSet::from([Use::Tools]), ..package.clone() };
        let packages = merge(vec![tools, package]);
        assert_eq!(packages.len(), 1);
        let request = packages[0].sha256;
        let lock = Lock {
            format: Lock::FORMAT,
            edition: Some(Edition::Server),
            suite: "trixie".into(),
            epoch: 7,
            request,
            packages,
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), lock.to_text()).unwrap();
        assert_eq!(Lock::read(file.path(), Some(Edition::Server), request).unwrap(), lock);
        let message = Lock::read(file.path(), Some(Edition::Basic), request).unwrap_err().to_string();
        assert!(message.ends_with("it is for edition server, not basic"), "{message}");
    }
}
