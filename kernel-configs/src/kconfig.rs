//! The kernel's Kconfig files, read as far as questions about symbols need it.
//!
//! Language: Documentation/kbuild/kconfig-language.rst and kconfig-macro-language.rst. Macros are not run: what the compiler
//! would have to be asked is [`expr::Truth::Unknown`], and the kernel's own programs decide it.

pub mod explain;
pub mod expr;
mod line;
pub mod objects;
mod read;

use std::{collections::BTreeMap, fmt, io, path::PathBuf};

use serde::Serialize;

use crate::check::Facts;
use expr::Expr;

/// A line of a Kconfig file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file, below the kernel's source.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The type of a symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// No definition says one.
    #[default]
    Unknown,
    /// `y` or `n`.
    Bool,
    /// `y`, `m` or `n`.
    Tristate,
    /// Text.
    String,
    /// A decimal number.
    Int,
    /// A hexadecimal number.
    Hex,
}

/// One place where a symbol is defined; a symbol may have several.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Where.
    pub place: Place,
    /// When a person is asked; `None` when nobody is, and only defaults and other symbols set it.
    pub prompt: Option<Expr>,
    /// What must hold, with everything around the definition.
    pub depends: Expr,
    /// Least and greatest number, and when they apply.
    pub ranges: Vec<(String, String, Expr)>,
    /// The choice that it is a member of, a number for [`Tree::choices`].
    pub choice: Option<usize>,
}

/// A symbol.
#[derive(Clone, Debug, Default)]
pub struct Symbol {
    /// Its type.
    pub kind: Kind,
    /// Its definitions.
    pub definitions: Vec<Definition>,
}

/// A symbol that another one selects.
#[derive(Clone, Debug)]
pub struct Selector {
    /// The symbol that selects.
    pub symbol: String,
    /// When.
    pub condition: Expr,
    /// Where it is written.
    pub place: Place,
}

/// A choice: one of its members is `y`.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// What its prompt says.
    pub prompt: String,
    /// Its members, in their order.
    pub members: Vec<String>,
}

/// All Kconfig files of a kernel for one architecture.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    symbols: BTreeMap<String, Symbol>,
    choices: Vec<Choice>,
    selectors: BTreeMap<String, Vec<Selector>>,
}

impl Tree {
    /// A symbol by its name without `CONFIG_`.
    pub fn symbol(&self, name: &str) -> Option<&Symbol> {
        self.symbols.get(name)
    }

    /// Every symbol's name.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.symbols.keys().map(String::as_str)
    }

    /// Every choice.
    pub fn choices(&self) -> &[Choice] {
        &self.choices
    }

    /// Who selects a symbol.
    pub fn selected_by(&self, name: &str) -> &[Selector] {
        self.selectors.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// At most three symbols of similar names, the nearest first: two letters apart, or with one more part.
    pub fn similar(&self, name: &str) -> Vec<&str> {
        let distance = |other: &&str| {
            let apart = distance(name, other);
            // A symbol that was renamed usually keeps its name as a part.
            let longer = other.starts_with(&format!("{name}_")) || other.ends_with(&format!("_{name}"));
            let shorter = name.starts_with(&format!("{other}_")) || name.ends_with(&format!("_{other}"));
            let near = if longer {
                0
            } else if shorter {
                2
            } else {
                apart
            };
            (near <= 2 && other.len() > 2).then_some(near)
        };
        let mut found: Vec<(usize, &str)> =
            self.symbols().filter_map(|other| Some((distance(&other)?, other))).collect();
        found.sort_unstable();
        found.into_iter().take(3).map(|(_, name)| name).collect()
    }
}

impl Facts for Tree {
    fn knows(&self, symbol: &str) -> bool {
        self.symbols.contains_key(symbol)
    }

    fn similar(&self, symbol: &str) -> Vec<String> {
        Self::similar(self, symbol).into_iter().map(str::to_owned).collect()
    }

    fn choice(&self, symbol: &str) -> Option<(usize, String)> {
        let number = self.symbol(symbol)?.definitions.iter().find_map(|definition| definition.choice)?;
        Some((number, self.choices.get(number)?.prompt.clone()))
    }
}

/// How many letters must be changed, put in or taken out; counted no further than 3.
fn distance(one: &str, two: &str) -> usize {
    if one.len().abs_diff(two.len()) > 2 {
        return 3;
    }
    let two: Vec<u8> = two.bytes().collect();
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, b) in two.iter().enumerate() {
            let change = corner + usize::from(a != *b);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or_default().min(3)
}

/// Why Kconfig files cannot be read.
#[derive(Debug)]
pub enum Error {
    /// A file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line that is not of the language.
    Line {
        /// Where.
        place: Place,
        /// What is wrong.
        what: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, .. } => write!(f, "cannot read {}", path.display()),
            Self::Line { place, what } => write!(f, "{place}: {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Line { .. } => None,
        }
    }
}
