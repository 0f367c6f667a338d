//! What became of a log, from its entries, its signed checkpoints and checkpoints that someone kept elsewhere.
//!
//! Invariant: the signatures decide. Every append is followed by a signed checkpoint, so the first checkpoint that does
//! not fit names the entry; stored hashes only help to tell one kind of change from another.

use std::fmt;

use super::{
    checkpoint::Checkpoint,
    note::Verifier,
    tree::{Edge, Hash},
};

/// What was found. Entries are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Every entry is in a signed checkpoint and every checkpoint fits.
    Good {
        /// Entries.
        size: u64,
    },
    /// A line of the file cannot be read.
    Malformed {
        /// Which, counted from 1.
        line: u64,
    },
    /// A checkpoint is not signed by the key.
    NotSigned {
        /// Entries that it claims; `None` when it is no checkpoint at all.
        size: Option<u64>,
    },
    /// The key signed two histories.
    Forked {
        /// They differ within the first so many entries.
        within: u64,
    },
    /// An entry is missing.
    Deleted {
        /// The first that is.
        at: u64,
    },
    /// An entry is there twice, or one that was never appended is between others.
    Inserted {
        /// The first that is.
        at: u64,
    },
    /// An entry is elsewhere.
    Reordered {
        /// Where it belongs.
        at: u64,
        /// Where it is.
        found: u64,
    },
    /// An entry is another.
    Changed {
        /// The first that may be meant.
        first: u64,
        /// The last; the same, unless they were appended together.
        last: u64,
    },
    /// Entries follow that no checkpoint has.
    Uncovered {
        /// The first of them.
        at: u64,
    },
    /// The log ends before a checkpoint that was kept elsewhere.
    RolledBack {
        /// Entries of that checkpoint.
        from: u64,
        /// Entries now.
        to: u64,
    },
    /// The entries are good; the head of the database is not theirs.
    Head {
        /// Entries.
        size: u64,
    },
}

impl Verdict {
    /// Whether nothing was found.
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Good { .. })
    }

    /// One line for programs, the same that the independent verifier prints: a word and its numbers.
    pub fn line(&self) -> String {
        match self {
            Self::Good { size } => format!("good {size}"),
            Self::Malformed { line } => format!("malformed {line}"),
            Self::NotSigned { size: Some(size) } => format!("not-signed {size}"),
            Self::NotSigned { size: None } => "not-signed ?".into(),
            Self::Forked { within } => format!("forked {within}"),
            Self::Deleted { at } => format!("deleted {at}"),
            Self::Inserted { at } => format!("inserted {at}"),
            Self::Reordered { at, found } => format!("reordered {at} {found}"),
            Self::Changed { first, last } => format!("changed {first} {last}"),
            Self::Uncovered { at } => format!("uncovered {at}"),
            Self::RolledBack { from, to } => format!("rolled-back {from} {to}"),
            Self::Head { size } => format!("head {size}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good { size } => write!(f, "the log is good: {size} entries, all in signed checkpoints"),
            Self::Malformed { line } => write!(f, "line {line} cannot be read"),
            Self::NotSigned { size: Some(size) } => {
                write!(f, "the checkpoint of {size} entries is not signed by this key")
            }
            Self::NotSigned { size: None } => f.write_str("a checkpoint cannot be read"),
            Self::Forked { within } => {
                write!(f, "the log was forked: two signed histories differ within the first {within} entries")
            }
            Self::Deleted { at } => write!(f, "entry {at} was deleted"),
            Self::Inserted { at } => write!(f, "entry {at} was inserted"),
            Self::Reordered { at, found } => {
                write!(f, "the entries were reordered: what belongs at {at} is at {found}")
            }
            Self::Changed { first, last } if first == last => write!(f, "entry {first} was changed"),
            Self::Changed { first, last } => write!(f, "one of the entries {first} to {last} was changed"),
            Self::Uncovered { at } => write!(f, "entry {at} and those after it are in no signed checkpoint"),
            Self::RolledBack { from, to } => write!(f, "the log was rolled back from {from} entries to {to}"),
            Self::Head { size } => {
                write!(f, "the {size} entries are good, and the head of the log is not theirs")
            }
        }
    }
}

/// An entry as it was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// The position that it claims.
    pub(super) position: u64,
    /// The hash of its text.
    pub(super) hash: Hash,
    /// The hash that is stored beside it.
    pub(super) stored: Hash,
}

/// Judges entries in the order in which they were found.
pub(super) fn examine(
    entries: &[Found],
    notes: &[String],
    earlier: &[String],
    verifier: &Verifier,
) -> Verdict {
    judge(entries, notes, earlier, verifier).unwrap_or_else(|verdict| verdict)
}

/// Each step ends the examination by an `Err` when it finds something.
fn judge(
    entries: &[Found],
    notes: &[String],
    earlier: &[String],
    verifier: &Verifier,
) -> Result<Verdict, Verdict> {
    let own = opened(notes, verifier)?;
    let earlier = opened(earlier, verifier)?;
    let mut all = [own.as_slice(), &earlier].concat();
    all.sort_by_key(|checkpoint| checkpoint.size);
    if let Some(pair) =
        all.windows(2).find(|pair| pair[0].size == pair[1].size && pair[0].root != pair[1].root)
    {
        return Err(Verdict::Forked { within: pair[0].size });
    }
    let size = entries.len() as u64;
    in_order(entries)?;
    let signed = own.iter().map(|checkpoint| checkpoint.size).max().unwrap_or_default();
    fitting(entries, &own, signed)?;
    if signed > size {
        return Err(Verdict::Deleted { at: size });
    }
    if signed < size {
        return Err(Verdict::Uncovered { at: signed });
    }
    continuing(entries, &earlier)?;
    Ok(Verdict::Good { size })
}

/// The checkpoints, the smallest first.
fn opened(notes: &[String], verifier: &Verifier) -> Result<Vec<Checkpoint>, Verdict> {
    let mut checkpoints = Vec::with_capacity(notes.len());
    for note in notes {
        let claimed = || Checkpoint::parse(note).map(|checkpoint| checkpoint.size);
        let opened = Checkpoint::open(note, verifier);
        checkpoints.push(opened.ok_or_else(|| Verdict::NotSigned { size: claimed() })?);
    }
    checkpoints.sort_by_key(|checkpoint| checkpoint.size);
    Ok(checkpoints)
}

fn in_order(entries: &[Found]) -> Result<(), Verdict> {
    for (at, entry) in (0_u64..).zip(entries) {
        if entry.position == at {
            continue;
        }
        if entry.position < at {
            return Err(Verdict::Inserted { at });
        }
        let found = (0_u64..).zip(entries).find(|(_, other)| other.position == at);
        return Err(found.map_or(Verdict::Deleted { at }, |(found, _)| Verdict::Reordered { at, found }));
    }
    Ok(())
}

/// Compares the tree at each size with the checkpoint of that size.
fn fitting(entries: &[Found], checkpoints: &[Checkpoint], signed: u64) -> Result<(), Verdict> {
    let mut edge = Edge::default();
    let mut good = edge.clone();
    let mut rest = checkpoints.iter().peekable();
    for size in 0..=entries.len() {
        while let Some(checkpoint) = rest.next_if(|checkpoint| checkpoint.size == edge.size()) {
            if checkpoint.root != edge.root() {
                return Err(blame(entries, &good, checkpoint, signed));
            }
            good = edge.clone();
        }
        if let Some(entry) = entries.get(size) {
            edge.push(entry.hash);
        }
    }
    Ok(())
}

/// Says what was done to an entry between the last checkpoint that fits and the first that does not.
fn blame(entries: &[Found], good: &Edge, bad: &Checkpoint, signed: u64) -> Verdict {
    let suspects = (0_u64..).zip(entries).skip_while(|(at, _)| *at < good.size());
    let suspects = suspects.take_while(|(at, _)| *at < bad.size);
    let betrayed = suspects.clone().find(|(_, entry)| entry.hash != entry.stored);
    let Some((first, entry)) = betrayed.or_else(|| suspects.clone().next()) else {
        // A checkpoint of nothing with another root than that of nothing.
        return Verdict::Forked { within: bad.size };
    };
    let alone = bad.size - good.size() == 1;
    let belongs = |candidate: &Found| {
        if !alone {
            return betrayed.is_some() && candidate.hash == entry.stored;
        }
        let mut edge = good.clone();
        edge.push(candidate.hash);
        edge.root() == bad.root
    };
    if let Some((found, _)) = (0_u64..).zip(entries).find(|(_, candidate)| belongs(candidate)) {
        return Verdict::Reordered { at: first, found };
    }
    if signed > entries.len() as u64 {
        return Verdict::Deleted { at: first };
    }
    let last = if alone || betrayed.is_some() { first } else { bad.size - 1 };
    Verdict::Changed { first, last }
}

/// Whether the log is a continuation of what it was.
fn continuing(entries: &[Found], earlier: &[Checkpoint]) -> Result<(), Verdict> {
    let mut edge = Edge::default();
    let mut rest = entries.iter();
    for checkpoint in earlier {
        while edge.size() < checkpoint.size {
            let Some(entry) = rest.next() else {
                return Err(Verdict::RolledBack { from: checkpoint.size, to: edge.size() });
            };
            edge.push(entry.hash);
        }
        if edge.root() != checkpoint.root {
            return Err(Verdict::Forked { within: checkpoint.size });
        }
    }
    Ok(())
}
