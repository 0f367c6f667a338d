//! Block maps of images, as bmaptool writes them: which blocks of an image are needed, and digests of their ranges.
//!
//! Read are the versions 1.3 (SHA-1), 1.4, and 2.x (any algorithm that is named, of those that `ring` has). Older ones have no
//! checksums, not even of themselves. The format is described by the comments that its files begin with. A checksum finds
//! damage; who made the file, it does not say.

use std::{fmt, ops::Range, path::Path};

use aegis_core::{hex, report::Hint};
use ring::digest::{self, Algorithm};
use roxmltree::{Document, Node, ParsingOptions};

use super::map::{self, Map, Origin, Part, Rule};

/// The longest file that is read, in bytes.
pub const LIMIT: usize = 16 << 20;
/// What is appended to the name of an image.
pub const SUFFIX: &str = ".bmap";
/// Most elements, texts and comments of a file.
const NODES: u32 = 1 << 19;
/// Sizes of blocks, in bytes; a file system has 512 to 65536.
const BLOCKS: std::ops::RangeInclusive<u64> = 512..=1 << 24;
/// The longest image: 16 TiB.
const MAX_LENGTH: u64 = 16 << 40;

/// Why a file is not a usable block map.
#[derive(Debug)]
pub enum BmapError {
    /// It has more than [`LIMIT`] bytes.
    TooLong,
    /// It is not text in UTF-8.
    NotText,
    /// It is not XML, or has too many elements.
    Xml(Box<roxmltree::Error>),
    /// Its root is another element than `bmap`, or there is no version.
    NotBmap,
    /// A version that is not read.
    Version(String),
    /// An element is missing.
    Missing(&'static str),
    /// An element is not a number, or not one that can be.
    Number {
        /// The element.
        element: &'static str,
        /// What it says.
        text: String,
    },
    /// An algorithm that is not known, or is broken beyond use.
    Algorithm(String),
    /// Its own checksum is wrong: it was changed.
    Checksum,
    /// The number of blocks is not that of the image's size.
    Blocks {
        /// By the size.
        expected: u64,
        /// What it says.
        found: u64,
    },
    /// The ranges have another number of blocks than it says.
    Mapped {
        /// What it says.
        expected: u64,
        /// What the ranges have.
        found: u64,
    },
    /// A range that cannot be.
    Range {
        /// What it says.
        text: String,
        /// What is wrong with it, as a clause whose subject is the range.
        problem: &'static str,
    },
}

impl fmt::Display for BmapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "it has more than {LIMIT} bytes"),
            Self::NotText => f.write_str("it is not text in UTF-8"),
            Self::Xml(_) => f.write_str("it is not XML that is read"),
            Self::NotBmap => f.write_str("it has no element `bmap` with a version"),
            Self::Version(version) => {
                write!(f, "it has version {}, read are 1.3, 1.4 and 2.x", version.escape_debug())
            }
            Self::Missing(element) => write!(f, "it has no element `{element}`"),
            Self::Number { element, text } => {
                write!(f, "its element `{element}` cannot be `{}`", text.escape_debug())
            }
            Self::Algorithm(name) => {
                write!(f, "its checksums are by `{}`, which is not known", name.escape_debug())
            }
            Self::Checksum => f.write_str("its own checksum is wrong"),
            Self::Blocks { expected, found } => {
                write!(f, "it has {found} blocks, by the image's size these are {expected}")
            }
            Self::Mapped { expected, found } => {
                write!(f, "its ranges have {found} blocks, it says {expected}")
            }
            Self::Range { text, problem } => write!(f, "its range `{}` {problem}", text.escape_debug()),
        }
    }
}

impl std::error::Error for BmapError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Xml(source) => Some(source.as_ref()),
            _ => None,
        }
    }
}

impl Hint for BmapError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Version(_) | Self::Algorithm(_) => {
                "make it again with `bmaptool create`, or move it away to write everything"
            }
            _ => "get it again from where the image comes from, or move it away to write everything",
        };
        Some(text.into())
    }
}

/// Names of the elements and attributes of a version.
struct Names {
    file: &'static str,
    range: &'static str,
}

/// Reads a block map.
///
/// # Errors
/// When it is not one, contradicts itself, or was changed.
pub fn parse(bytes: &[u8], path: &Path) -> Result<Map, BmapError> {
    if bytes.len() > LIMIT {
        return Err(BmapError::TooLong);
    }
    let text = std::str::from_utf8(bytes).map_err(|_invalid| BmapError::NotText)?;
    let options = ParsingOptions { nodes_limit: NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|e| BmapError::Xml(Box::new(e)))?;
    let root = document.root_element();
    let version = root.attribute("version").filter(|_version| root.has_tag_name("bmap"));
    let version = version.ok_or(BmapError::NotBmap)?.trim();
    let (names, algorithm) = match version.split_once('.') {
        Some(("1", "3")) => {
            (Names { file: "BmapFileSHA1", range: "sha1" }, &digest::SHA1_FOR_LEGACY_USE_ONLY)
        }
        Some(("1", "4") | ("2", _)) => {
            let name = child(root, "ChecksumType")?.text().unwrap_or_default().trim();
            (Names { file: "BmapFileChecksum", range: "chksum" }, algorithm(name)?)
        }
        _ => return Err(BmapError::Version(version.into())),
    };
    check_file(text, child(root, names.file)?, algorithm)?;
    let length = number(root, "ImageSize", 1..=MAX_LENGTH)?;
    let block = number(root, "BlockSize", BLOCKS)?;
    let blocks = number(root, "BlocksCount", 0..=u64::MAX)?;
    if blocks != length.div_ceil(block) {
        return Err(BmapError::Blocks { expected: length.div_ceil(block), found: blocks });
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut mapped = 0;
    let ranges = child(root, "BlockMap")?.children().filter(|node| node.has_tag_name("Range"));
    for node in ranges {
        let found = range(node.text().unwrap_or_default().trim(), blocks)?;
        mapped += found.end - found.start;
        let range = found.start * block..length.min(found.end * block);
        if parts.last().is_some_and(|last| range.start < last.range.end) {
            let problem = "overlaps the one before, or comes after a later one";
            return Err(BmapError::Range { text: text_of(node), problem });
        }
        parts.push(Part { range, rule: rule(node, names.range, algorithm)?, needed: true });
    }
    let expected = number(root, "MappedBlocksCount", 0..=u64::MAX)?;
    if mapped != expected {
        return Err(BmapError::Mapped { expected, found: mapped });
    }
    let checked = !parts.is_empty() && parts.iter().all(|part| part.rule != Rule::Any);
    let checksums = checked.then(|| name_of(algorithm));
    let origin = Origin::Bmap { version: version.into(), checksums };
    Ok(Map::new(path.into(), origin, length, parts))
}

fn child<'a>(root: Node<'a, 'a>, name: &'static str) -> Result<Node<'a, 'a>, BmapError> {
    root.children().find(|node| node.has_tag_name(name)).ok_or(BmapError::Missing(name))
}

fn text_of(node: Node<'_, '_>) -> String {
    node.text().unwrap_or_default().trim().chars().take(64).collect()
}

fn number(
    root: Node<'_, '_>,
    element: &'static str,
    allowed: std::ops::RangeInclusive<u64>,
) -> Result<u64, BmapError> {
    let node = child(root, element)?;
    let found = digits(node.text().unwrap_or_default().trim()).filter(|found| allowed.contains(found));
    found.ok_or_else(|| BmapError::Number { element, text: text_of(node) })
}

/// Digits alone: the standard library takes a sign as well.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

const ALGORITHMS: [(&str, &Algorithm); 4] = [
    ("sha1", &digest::SHA1_FOR_LEGACY_USE_ONLY),
    ("sha256", &digest::SHA256),
    ("sha384", &digest::SHA384),
    ("sha512", &digest::SHA512),
];

fn algorithm(name: &str) -> Result<&'static Algorithm, BmapError> {
    let found = ALGORITHMS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let unknown = || BmapError::Algorithm(name.chars().take(64).collect());
    found.map(|(_, algorithm)| *algorithm).ok_or_else(unknown)
}

fn name_of(algorithm: &Algorithm) -> &'static str {
    ALGORITHMS.iter().find(|(_, known)| *known == algorithm).map_or("", |(name, _)| name)
}

/// The checksum of the file is over its bytes with zeros, the digits, in place of the checksum.
fn check_file(text: &str, node: Node<'_, '_>, algorithm: &'static Algorithm) -> Result<(), BmapError> {
    let found = node.first_child().filter(|child| child.is_text()).map(|child| child.range());
    let found = found.ok_or(BmapError::Checksum)?;
    let written = &text[found.clone()];
    let expected = hex::decode(written.trim()).ok_or(BmapError::Checksum)?;
    let start = found.start + (written.len() - written.trim_start().len());
    let mut hasher = digest::Context::new(algorithm);
    hasher.update(&text.as_bytes()[..start]);
    hasher.update("0".repeat(written.trim().len()).as_bytes());
    hasher.update(&text.as_bytes()[start + written.trim().len()..]);
    if hasher.finish().as_ref() == expected { Ok(()) } else { Err(BmapError::Checksum) }
}

/// `5` or `7-9`, both ends included, as blocks.
fn range(text: &str, blocks: u64) -> Result<Range<u64>, BmapError> {
    let bad = |problem| BmapError::Range { text: text.chars().take(64).collect(), problem };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (digits(first.trim()), digits(last.trim()));
    let (Some(first), Some(last)) = (first, last) else { return Err(bad("is not of blocks")) };
    if last < first {
        return Err(bad("ends before it begins"));
    }
    if last >= blocks {
        return Err(bad("ends behind the image"));
    }
    Ok(first..last + 1)
}

fn rule(node: Node<'_, '_>, name: &str, algorithm: &'static Algorithm) -> Result<Rule, BmapError> {
    let Some(text) = node.attribute(name) else { return Ok(Rule::Any) };
    let problem = "has a checksum of another length, or not in hexadecimal";
    map::sum(algorithm, text.trim()).ok_or_else(|| BmapError::Range { text: text_of(node), problem })
}

#[cfg(test)]
mod tests;
