//! Where specifications come from, and on which line a key is.
//!
//! Invariant: nothing but this module opens a specification.

use std::{borrow::Cow, fs, path::Path};

use aegis_core::edition::Edition;
use toml::de::{DeTable, DeValue};

use crate::{
    error::{Error, Location},
    raw::Raw,
    registry::Registry,
    resolve::invalid,
};

/// The list of entitlements, beside the editions.
const REGISTRY: &str = "entitlements.toml";

/// Where the files are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// In this program.
    Embedded,
    /// In a directory, `<id>.toml`.
    Directory(&'a Path),
}

/// One parsed file, with its text, which error messages need for line numbers.
#[derive(Debug)]
pub(crate) struct File {
    pub edition: Edition,
    pub raw: Raw,
    name: String,
    text: Cow<'static, str>,
}

impl Source<'_> {
    /// Reads and parses the file of an edition, without what it inherits.
    pub(crate) fn read(self, edition: Edition) -> Result<File, Error> {
        let name = self.file(edition);
        let text = match self {
            Self::Embedded => Cow::Borrowed(embedded(edition)),
            Self::Directory(_) => Cow::Owned(read(&name)?),
        };
        let raw = toml::from_str(&text).map_err(|error| parse_error(&name, &text, &error))?;
        Ok(File { edition, raw, name, text })
    }

    /// Reads the list of entitlements.
    pub(crate) fn registry(self) -> Result<Registry, Error> {
        let (name, text) = match self {
            Self::Embedded => (REGISTRY.to_owned(), Cow::Borrowed(include_str!("../entitlements.toml"))),
            Self::Directory(directory) => {
                let name = directory.join(REGISTRY).display().to_string();
                let text = Cow::Owned(read(&name)?);
                (name, text)
            }
        };
        let registry: Registry = toml::from_str(&text).map_err(|error| parse_error(&name, &text, &error))?;
        match registry.flags.iter().find(|(_, flag)| flag.packages.is_empty() != flag.enforced_by.is_some()) {
            None => Ok(registry),
            Some((flag, _)) => {
                let key = format!("flags.{flag}");
                let at = Location { line: line_of(&text, &key), file: name, key };
                let hint = "write either `packages` or `enforced_by`, and not both";
                Err(invalid(at, "nothing, or more than one thing, keeps the promise", hint))
            }
        }
    }

    /// A place of which no line is known.
    pub(crate) fn place(self, edition: Edition, key: &str) -> Location {
        Location { file: self.file(edition), line: None, key: key.into() }
    }

    fn file(self, edition: Edition) -> String {
        let name = format!("{edition}.toml");
        match self {
            Self::Embedded => name,
            Self::Directory(directory) => directory.join(name).display().to_string(),
        }
    }
}

impl File {
    /// Where a dotted key is in this file.
    pub(crate) fn place(&self, key: &str) -> Location {
        Location { file: self.name.clone(), line: self.line_of(key), key: key.into() }
    }

    /// The line of a dotted key, from 1.
    pub(crate) fn line_of(&self, key: &str) -> Option<usize> {
        line_of(&self.text, key)
    }
}

fn read(path: &str) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })
}

fn line_of(text: &str, key: &str) -> Option<usize> {
    // The same text was parsed before, so an error cannot occur here.
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut found = None;
    for part in key.split('.') {
        let (name, value) = table.get_key_value(part)?;
        found = Some(name.span().start);
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    found.map(|offset| line_at(text, offset))
}

fn parse_error(file: &str, text: &str, error: &toml::de::Error) -> Error {
    let span = error.span().filter(|span| !span.is_empty());
    let key =
        span.clone().and_then(|span| text.get(span)).filter(|key| !key.contains('\n')).unwrap_or_default();
    let line = span.map(|span| line_at(text, span.start));
    Error::Parse {
        at: Location { file: file.into(), line, key: key.trim().into() },
        message: error.message().replace('\n', ", "),
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

const fn embedded(edition: Edition) -> &'static str {
    match edition {
        Edition::Freemium => include_str!("../freemium.toml"),
        Edition::Basic => include_str!("../basic.toml"),
        Edition::Workplace => include_str!("../workplace.toml"),
        Edition::Gamer => include_str!("../gamer.toml"),
        Edition::AiDev => include_str!("../ai-dev.toml"),
        Edition::GamerAi => include_str!("../gamer-ai.toml"),
        Edition::Server => include_str!("../server.toml"),
    }
}
