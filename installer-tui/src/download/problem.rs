//! Why a download was not possible: what one server did wrong, and what nobody can mend.

use std::{fmt, io, path::PathBuf};

use aegis_core::{
    channel::Channel,
    edition::Edition,
    hex::Digest,
    key::VerifyError,
    manifest::ManifestError,
    ranges::RangesError,
    report::{Hint, exit},
    version::Version,
};
use aegis_hw::{Bytes, text::Shown};

use super::url::Origin;

/// What is wrong with one server, so that another one may help.
#[derive(Debug)]
pub enum Fault {
    /// It is not reached, or the connection broke.
    Connection(io::Error),
    /// Nothing came for a long time.
    Silent,
    /// It answers with a status that is no success.
    Status {
        /// The status of HTTP.
        status: u16,
        /// What it says about that, if it says something.
        detail: String,
        /// Seconds after which it wants to be asked again.
        retry: Option<u64>,
    },
    /// It leads from one address to another without end.
    Redirects,
    /// It leads from an encrypted connection to one that is not.
    Downgrade,
    /// It leads to what is no address.
    Location,
    /// Its answer breaks the rules, as a clause whose subject is the server.
    Malformed(&'static str),
    /// It has another file than it had before, or than it says.
    Changed,
    /// The connection ended before the file did.
    Truncated {
        /// Bytes of the file that came.
        found: u64,
        /// Bytes that the file has.
        expected: u64,
    },
    /// A chunk is not what the signed range manifest says.
    Chunk {
        /// Where it begins, in bytes.
        offset: u64,
    },
    /// A file is not what the signed manifest says.
    Digest {
        /// What the manifest says.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// The signature of its manifest is refused.
    Signature(VerifyError),
    /// Its manifest cannot be used.
    Manifest(ManifestError),
    /// Its range manifest cannot be used.
    Ranges(RangesError),
    /// Its manifest is of another release than it was asked for.
    Release(String),
}

impl Fault {
    /// Whether it will be the same at the next attempt.
    pub(super) fn lasts(&self) -> bool {
        match self {
            Self::Connection(_) | Self::Silent | Self::Truncated { .. } => false,
            // Request Timeout, Too Early, Too Many Requests.
            Self::Status { status, .. } => *status < 500 && ![408, 425, 429].contains(status),
            _ => true,
        }
    }

    /// Seconds after which the server wants to be asked again.
    pub(super) fn retry(&self) -> Option<u64> {
        match self {
            Self::Status { retry, .. } => *retry,
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(source) => write!(f, "the connection failed: {source}"),
            Self::Silent => f.write_str("nothing came for a long time"),
            Self::Status { status, detail, .. } => {
                write!(f, "it answers {status}")?;
                if detail.is_empty() { Ok(()) } else { write!(f, ", \"{}\"", Shown(detail)) }
            }
            Self::Redirects => f.write_str("it leads from one address to the next without end"),
            Self::Downgrade => f.write_str("it leads to an address that is not encrypted"),
            Self::Location => f.write_str("it leads to what is no address"),
            Self::Malformed(what) => write!(f, "it {what}"),
            Self::Changed => f.write_str("it has another file now"),
            Self::Truncated { found, expected } => {
                write!(f, "the connection ended after {} of {}", Bytes(*found), Bytes(*expected))
            }
            Self::Chunk { offset } => {
                write!(f, "what it sends from byte {offset} on is not what the signed range manifest says")
            }
            Self::Digest { expected, found } => {
                write!(f, "its file is not the signed one: expected {expected}, found {found}")
            }
            Self::Signature(source) => write!(f, "the signature of its manifest is refused: {source}"),
            Self::Manifest(source) => write!(f, "its manifest cannot be used: {source}"),
            Self::Ranges(source) => write!(f, "its range manifest cannot be used: {source}"),
            Self::Release(found) => write!(f, "its manifest is of {}", Shown(found)),
        }
    }
}

/// Why there is no file now.
#[derive(Debug)]
pub enum Problem {
    /// There is no key to check signatures by.
    NoKeys {
        /// Where a key ring was looked for.
        looked_for: PathBuf,
    },
    /// The system has no certificates of authorities, so that nobody can be known by one.
    NoRoots,
    /// What is secret would be readable on the way.
    NotPrivate(Origin),
    /// A link does not fit.
    Link(&'static str),
    /// The text of a token is none.
    Token(PathBuf),
    /// No release fits.
    NoRelease {
        /// Of this edition.
        edition: Edition,
        /// On this channel.
        channel: Option<Channel>,
        /// Of this version.
        version: Option<Version>,
        /// What there is, newest first.
        found: Vec<String>,
    },
    /// The signed manifest names no image, or several.
    NoImage,
    /// No server gave it.
    Servers(Vec<(Origin, Fault)>),
    /// The disk has too little room.
    Space {
        /// Where.
        path: PathBuf,
        /// What is missing of the file and what is beside it.
        needed: Bytes,
        /// What is free.
        free: Bytes,
    },
    /// Another program writes to the file.
    Busy(PathBuf),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeys { looked_for } => {
                write!(f, "there is no key ring {}, and no --keys", looked_for.display())
            }
            Self::NoRoots => f.write_str("this system has no certificates of authorities"),
            Self::NotPrivate(origin) => {
                write!(f, "{origin} is not encrypted, and a token or link would be readable on the way")
            }
            Self::Link(what) => write!(f, "the link {what}"),
            Self::Token(path) => write!(f, "{} does not hold a token", path.display()),
            Self::NoRelease { edition, channel, version, found } => {
                write!(f, "there is no release of {edition}")?;
                version.iter().try_for_each(|version| write!(f, " with the version {version}"))?;
                channel.iter().try_for_each(|channel| write!(f, " on the channel {channel}"))?;
                match &found[..] {
                    [] => Ok(()),
                    found => write!(f, "; there are {}", found.join(", ")),
                }
            }
            Self::NoImage => f.write_str("the signed manifest does not name one image"),
            Self::Servers(faults) => match &faults[..] {
                [(origin, fault)] => write!(f, "{origin}: {fault}"),
                faults => {
                    write!(f, "none of {} servers gave it:", faults.len())?;
                    faults.iter().try_for_each(|(origin, fault)| write!(f, "\n  {origin}: {fault}"))
                }
            },
            Self::Space { path, needed, free } => {
                write!(f, "{} has {free} free, {needed} are needed", path.display())
            }
            Self::Busy(path) => write!(f, "another program writes to {}", path.display()),
        }
    }
}

impl std::error::Error for Problem {}

impl Hint for Problem {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NoKeys { .. } => "give the public key of releases, such as release.pub.json, with --keys",
            Self::NoRoots => {
                "install Debian's package ca-certificates, or name a file of them in SSL_CERT_FILE"
            }
            Self::NotPrivate(_) => "name the server by https://",
            Self::Link(_) => "give the whole link of the image, as the shop or its operator sent it",
            Self::Token(_) => "put the token alone into the file, on one line",
            Self::NoRelease { .. } => "name one that there is, with --channel and --version",
            Self::NoImage => "tell whoever made the release",
            Self::Space { .. } => "free some room, or name a directory on another disk with --to",
            Self::Busy(_) => "wait for it, or end it",
            Self::Servers(faults) => return Some(advice(faults).into()),
        };
        Some(text.into())
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::NoKeys { .. } | Self::NotPrivate(_) => exit::REFUSED,
            Self::Link(_) | Self::Token(_) => exit::USAGE,
            Self::Servers(faults) if faults.iter().any(|(_, fault)| is_forgery(fault)) => exit::REFUSED,
            _ => exit::FAILED,
        }
    }
}

/// Whether somebody may have meant harm.
fn is_forgery(fault: &Fault) -> bool {
    matches!(fault, Fault::Signature(_) | Fault::Chunk { .. } | Fault::Digest { .. } | Fault::Downgrade)
}

fn advice(faults: &[(Origin, Fault)]) -> &'static str {
    let any = |test: fn(&Fault) -> bool| faults.iter().any(|(_, fault)| test(fault));
    if any(|fault| matches!(fault, Fault::Signature(VerifyError::UnknownKey(_)))) {
        return "if you trust whoever made the release, give their public key with --keys; otherwise do not use it";
    }
    if any(is_forgery) {
        return "do not use that server; name another one with --from, and tell its operator";
    }
    if any(|fault| matches!(fault, Fault::Status { status: 401 | 403, .. })) {
        return "give a link that has not expired with --link, or the token of a license with --token-file";
    }
    if any(|fault| matches!(fault, Fault::Status { status: 404 | 410, .. })) {
        return "look at what there is, without --version, or name another server with --from";
    }
    "repeat the command: what came so far is kept and used; more servers can be named with --from"
}
