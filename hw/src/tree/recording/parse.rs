//! The text of a recording, read strictly.

use std::{collections::BTreeMap, fmt};

use super::{ERRORS, HEADER, Node, Problem, Recording, TEXT_LIMIT};
use crate::text::is_plain;

/// A line of a recording that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Number of the line, from 1.
    pub number: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.number, self.problem)
    }
}

impl std::error::Error for Line {}

impl Recording {
    /// Reads the text; see the head of this module's file for its form.
    ///
    /// # Errors
    /// The first line that is wrong, and why.
    pub fn parse(bytes: &[u8]) -> Result<Self, Line> {
        if bytes.len() > TEXT_LIMIT {
            return Err(Line { number: 1, problem: Problem::TooLarge });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            Line { number: 1 + before.iter().filter(|b| **b == b'\n').count(), problem: Problem::Encoding }
        })?;
        let mut reader = Reader::default();
        let mut lines = text.lines().enumerate();
        if lines.next().is_none_or(|(_, first)| first != HEADER) {
            return Err(Line { number: 1, problem: Problem::Header });
        }
        for (index, line) in lines {
            reader.line(line).map_err(|problem| Line { number: index + 1, problem })?;
        }
        Ok(reader.recording)
    }
}

#[derive(Default)]
struct Reader {
    recording: Recording,
    /// The directory of the entries, and whether there was one.
    directory: Option<String>,
    /// The file whose lines follow.
    lines_of: Option<String>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), Problem> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let Some(entry) = line.strip_prefix("  ") else {
            return self.directory(line);
        };
        if let Some(text) = entry.strip_prefix('|') {
            let path = self.lines_of.as_ref().ok_or(Problem::Form)?;
            let text = if text.is_empty() { text } else { text.strip_prefix(' ').ok_or(Problem::Form)? };
            let mut bytes = unescape(text)?;
            bytes.push(b'\n');
            return match self.recording.nodes.get_mut(path) {
                Some(Node::File(content)) => {
                    content.extend(bytes);
                    Ok(())
                }
                _ => Err(Problem::Form),
            };
        }
        self.lines_of = None;
        let (name, value) = entry.split_once(' ').ok_or(Problem::Form)?;
        let directory = self.directory.as_ref().ok_or(Problem::NoDirectory)?;
        let path = join(directory, &name_of(name)?)?;
        self.entry(path, value)
    }

    fn directory(&mut self, line: &str) -> Result<(), Problem> {
        self.lines_of = None;
        let path = name_of(line)?;
        if path == "/" {
            self.directory = Some(String::new());
            return Ok(());
        }
        let rest = path.strip_prefix('/').ok_or(Problem::Path)?;
        let path = join("", rest)?;
        self.recording.insert(&path, Node::Directory(Vec::new()))?;
        self.directory = Some(path);
        Ok(())
    }

    fn entry(&mut self, path: String, value: &str) -> Result<(), Problem> {
        let node = if let Some(text) = value.strip_prefix("= ") {
            let mut bytes = unescape(text)?;
            bytes.push(b'\n');
            Node::File(bytes)
        } else if let Some(text) = value.strip_prefix("=- ") {
            Node::File(unescape(text)?)
        } else if let Some(digits) = value.strip_prefix("=x ") {
            Node::File(hex(digits)?)
        } else if let Some(target) = value.strip_prefix("-> ") {
            Node::Link(String::from_utf8(unescape(target)?).map_err(|_utf8| Problem::Escape)?)
        } else if let Some(name) = value.strip_prefix("! ") {
            Node::Failed(errno(name)?)
        } else if let Some(rest) = value.strip_prefix('@') {
            let (offset, digits) = rest.split_once(' ').ok_or(Problem::Form)?;
            let offset = offset.parse().map_err(|_number| Problem::Number)?;
            Node::Device(BTreeMap::from([(offset, hex(digits)?)]))
        } else {
            match value {
                "=" => Node::File(b"\n".into()),
                "=-" | "=|" => Node::File(Vec::new()),
                "?" => Node::Present,
                "/" => Node::Directory(Vec::new()),
                _ => return Err(Problem::Form),
            }
        };
        let known = self.recording.nodes.get(&path);
        if !matches!((known, &node), (None, _) | (Some(Node::Device(_)), Node::Device(_))) {
            return Err(Problem::Twice);
        }
        self.recording.insert(&path, node)?;
        self.lines_of = (value == "=|").then_some(path);
        Ok(())
    }
}

/// Joins two paths, of which the second has no component that leads elsewhere.
fn join(directory: &str, rest: &str) -> Result<String, Problem> {
    if rest.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Problem::Path);
    }
    Ok(format!("{directory}/{rest}"))
}

fn name_of(text: &str) -> Result<String, Problem> {
    if !text.contains('\\') && text.chars().all(is_plain) {
        return Ok(text.into());
    }
    String::from_utf8(unescape(text)?).map_err(|_utf8| Problem::Path)
}

fn unescape(text: &str) -> Result<Vec<u8>, Problem> {
    if !text.chars().all(is_plain) {
        return Err(Problem::Escape);
    }
    let mut bytes = Vec::with_capacity(text.len() + 1);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend(before.as_bytes());
        let byte = |digits: Option<&str>| u8::from_str_radix(digits?, 16).ok();
        let (value, length) = match after.as_bytes().first() {
            Some(b'\\') => (b'\\', 1),
            Some(b't') => (b'\t', 1),
            Some(b'x') => (byte(after.get(1..3)).ok_or(Problem::Escape)?, 3),
            _ => return Err(Problem::Escape),
        };
        bytes.push(value);
        rest = after.get(length..).ok_or(Problem::Escape)?;
    }
    bytes.extend(rest.as_bytes());
    Ok(bytes)
}

/// Pairs of digits, with or without spaces between them.
fn hex(text: &str) -> Result<Vec<u8>, Problem> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
    let pairs = digits.chunks(2).map(|pair| {
        let text = std::str::from_utf8(pair).ok().filter(|text| text.len() == 2 && !text.starts_with('+'))?;
        u8::from_str_radix(text, 16).ok()
    });
    pairs.collect::<Option<_>>().ok_or(Problem::Number)
}

fn errno(name: &str) -> Result<i32, Problem> {
    let known = ERRORS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    let number = || name.parse().ok().filter(|number| (1..4096).contains(number));
    known.or_else(number).ok_or(Problem::ErrorName)
}
