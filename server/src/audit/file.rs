//! The log as a file, and what became of it.
//!
//! A file is JSON lines. An entry is `{"entry":"…","leaf":"…","position":0}`: its canonical JSON as a text, the stored
//! hash in base64, its place. A checkpoint is `{"checkpoint":"…"}`, the signed note, after the last entry that it covers.

use std::io::{BufRead, Read as _, Write};

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::{
    Verifier, corrupt,
    examine::{Found, Verdict, examine},
    hash,
    tree::{self, Edge},
    unsigned,
};
use crate::{
    Error, Result,
    store::{Row, Statement, Store},
};

/// Entries that are read at a time, which is also in the statement.
const PAGE: usize = 1024;
/// Bytes of a line; a longer one is not of ours.
const LINE: u64 = 64 << 10;

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leaf: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
}

/// What was read of a log.
#[derive(Default)]
struct Evidence {
    entries: Vec<Found>,
    notes: Vec<String>,
}

/// Writes the log as it is stored, right or wrong, and says how many lines that were.
///
/// # Errors
/// When the database cannot be read or the output not be written.
pub async fn export<S: Store + ?Sized>(store: &S, output: &mut (impl Write + Send)) -> Result<u64> {
    let mut lines = 0;
    let (mut from, end) = (0, Bounds::read(store).await?.end);
    while let Some(page) = Page::read(store, from, end).await? {
        // A checkpoint stands after the last entry that it covers.
        let mut notes = page.notes.into_iter().peekable();
        for row in page.entries {
            let position = row.int(0)?;
            while let Some((_, note)) = notes.next_if(|(size, _)| *size <= position) {
                lines += write(output, &checkpoint_line(note))?;
            }
            lines += write(output, &entry_line(&row)?)?;
        }
        for (_, note) in notes {
            lines += write(output, &checkpoint_line(note))?;
        }
        from = page.next;
    }
    output.flush().map_err(Error::io("writing", "the audit log"))?;
    Ok(lines)
}

fn entry_line(row: &Row) -> Result<Line> {
    Ok(Line {
        entry: Some(row.text(2)?.to_owned()),
        leaf: Some(BASE64.encode(row.blob(1)?)),
        position: Some(unsigned(row.int(0)?)?),
        ..Line::default()
    })
}

fn checkpoint_line(note: String) -> Line {
    Line { checkpoint: Some(note), ..Line::default() }
}

fn write(output: &mut impl Write, line: &Line) -> Result<u64> {
    // Serialising plain data cannot fail.
    let text = serde_json::to_string(line).unwrap_or_default();
    writeln!(output, "{text}").map_err(Error::io("writing", "the audit log"))?;
    Ok(1)
}

/// Examines the log in a database: against its own checkpoints and against `earlier` ones, signed notes that were kept
/// elsewhere. Needs about 80 bytes of memory for each entry.
///
/// # Errors
/// When the database cannot be read.
pub async fn verify<S: Store + ?Sized>(
    store: &S,
    verifier: &Verifier,
    earlier: &[String],
) -> Result<Verdict> {
    let bounds = Bounds::read(store).await?;
    let mut evidence = Evidence::default();
    let mut from = 0;
    while let Some(page) = Page::read(store, from, bounds.end).await? {
        for row in page.entries {
            let text = tree::leaf(row.text(2)?.as_bytes());
            evidence.add(unsigned(row.int(0)?)?, text, hash(&row, 1)?);
        }
        evidence.notes.extend(page.notes.into_iter().map(|(_, note)| note));
        from = page.next;
    }
    let verdict = examine(&evidence.entries, &evidence.notes, earlier, verifier);
    let size = evidence.entries.len() as u64;
    Ok(match verdict {
        Verdict::Good { .. } if bounds.head != evidence.edge() => Verdict::Head { size },
        verdict => verdict,
    })
}

/// Examines a file of [`export`], as [`verify`] does a database.
///
/// # Errors
/// When the file cannot be read. One that is malformed is a verdict.
pub fn verify_file(mut input: impl BufRead, verifier: &Verifier, earlier: &[String]) -> Result<Verdict> {
    let mut evidence = Evidence::default();
    for line in 1_u64.. {
        let mut bytes = Vec::new();
        let read = input.by_ref().take(LINE).read_until(b'\n', &mut bytes);
        if read.map_err(Error::io("reading", "the audit log"))? == 0 {
            break;
        }
        if !bytes.ends_with(b"\n") || evidence.read(&bytes).is_none() {
            return Ok(Verdict::Malformed { line });
        }
    }
    Ok(examine(&evidence.entries, &evidence.notes, earlier, verifier))
}

impl Evidence {
    fn add(&mut self, position: u64, hash: tree::Hash, stored: tree::Hash) {
        self.entries.push(Found { position, hash, stored });
    }

    fn read(&mut self, line: &[u8]) -> Option<()> {
        match serde_json::from_slice(line).ok()? {
            Line { checkpoint: Some(note), entry: None, leaf: None, position: None } => self.notes.push(note),
            Line { checkpoint: None, entry: Some(entry), leaf: Some(leaf), position: Some(position) } => {
                let stored = BASE64.decode(leaf.as_bytes()).ok()?.try_into().ok()?;
                self.add(position, tree::leaf(entry.as_bytes()), stored);
            }
            _ => return None,
        }
        Some(())
    }

    fn edge(&self) -> Edge {
        let mut edge = Edge::default();
        self.entries.iter().for_each(|entry| edge.push(entry.hash));
        edge
    }
}

/// What the tables claim, read in one moment, so that appends meanwhile do not matter.
struct Bounds {
    head: Edge,
    /// Behind the last position of an entry and the last size of a checkpoint.
    end: i64,
}

impl Bounds {
    async fn read<S: Store + ?Sized>(store: &S) -> Result<Self> {
        let sql = "SELECT (SELECT size FROM audit_head WHERE log = 0), (SELECT edge FROM audit_head WHERE log = 0), \
                   (SELECT MAX(position) FROM audit_entries), (SELECT MAX(size) FROM audit_checkpoints)";
        let rows = store.read(Statement::new(sql, [])).await?;
        let row = rows.first().ok_or_else(|| corrupt("cannot be counted"))?;
        let number = |column: usize| if row.is_null(column) { Ok(0) } else { row.int(column) };
        let size = number(0)?;
        let edge = if row.is_null(1) { &[] } else { row.blob(1)? };
        // A head that cannot be read is another than that of the entries, however many there are.
        let broken = || Edge::from_bytes(u64::MAX, &[0; 64 * 32]).unwrap_or_default();
        let head =
            u64::try_from(size).ok().and_then(|size| Edge::from_bytes(size, edge)).unwrap_or_else(broken);
        let last = if row.is_null(2) { 0 } else { row.int(2)?.saturating_add(1) };
        Ok(Self { head, end: last.max(number(3)?).max(size) })
    }
}

/// Some entries in their order, and the checkpoints that end within them.
struct Page {
    /// Position, leaf and text.
    entries: Vec<Row>,
    /// Sizes and signed notes.
    notes: Vec<(i64, String)>,
    /// Where the next page begins.
    next: i64,
}

impl Page {
    /// The page that begins at a position; `None` at the end. As many pages as there are rows, whatever positions someone
    /// wrote into them.
    async fn read<S: Store + ?Sized>(store: &S, from: i64, end: i64) -> Result<Option<Self>> {
        if from >= end {
            return Ok(None);
        }
        let sql = "SELECT position, leaf, entry FROM audit_entries \
                   WHERE position >= $1 AND position < $2 ORDER BY position LIMIT 1024";
        let entries = store.read(Statement::new(sql, [from.into(), end.into()])).await?;
        let next = match entries.last() {
            Some(last) if entries.len() == PAGE => last.int(0)?.saturating_add(1),
            _ => end,
        };
        let sql = "SELECT size, note FROM audit_checkpoints WHERE size > $1 AND size <= $2 ORDER BY size";
        let rows = store.read(Statement::new(sql, [from.into(), next.into()])).await?;
        let notes = rows.iter().map(|row| Ok((row.int(0)?, row.text(1)?.to_owned())));
        Ok(Some(Self { notes: notes.collect::<Result<_>>()?, entries, next }))
    }
}
