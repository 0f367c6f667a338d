//! A recording as text.

use std::fmt::Write;

use super::{super::natural_key, ERRORS, HEADER, Node, Recording};
use crate::text::is_plain;

/// Components below the directory of a line that are written with it rather than on a line of their own.
const NESTED: usize = 3;

impl Recording {
    /// The text, with comments at its head, one for each line of `about`.
    pub fn to_text(&self, about: &str) -> String {
        let mut text = format!("{HEADER}\n");
        for line in about.lines() {
            text.push_str(format!("# {}", crate::text::Shown(line)).trim_end_matches(' '));
            text.push('\n');
        }
        let mut writer = Writer { recording: self, text, head: None };
        writer.directory("");
        writer.text
    }
}

struct Writer<'a> {
    recording: &'a Recording,
    text: String,
    /// The directory of the last line without indentation.
    head: Option<String>,
}

impl Writer<'_> {
    /// Writes what is in a directory: its own entries first, then those further below.
    fn directory(&mut self, path: &str) {
        let Some(Node::Directory(names)) = self.recording.nodes.get(path) else { return };
        let mut names: Vec<&String> = names.iter().collect();
        names.sort_by_cached_key(|name| natural_key(name));
        let full = |name: &str| format!("{path}/{name}");
        let is_directory = |name: &str| match self.recording.nodes.get(&full(name)) {
            Some(Node::Directory(below)) => !below.is_empty(),
            _ => false,
        };
        let (below, here): (Vec<&String>, Vec<&String>) =
            names.into_iter().partition(|name| is_directory(name));
        if !here.is_empty() {
            let head = self.head_of(path);
            for name in here {
                let path = full(name);
                if let (Some(node), Some(name)) =
                    (self.recording.nodes.get(&path), path.get(head.len() + 1..))
                {
                    entry(&mut self.text, &escape(name, true), node);
                }
            }
        }
        for name in below {
            self.directory(&full(name));
        }
    }

    /// The directory that entries are relative to: the last one that was written, unless it is another branch or too far up.
    fn head_of(&mut self, path: &str) -> String {
        let below = |head: &&String| {
            let rest = path.strip_prefix(head.as_str());
            rest.is_some_and(|rest| {
                rest.is_empty() || (rest.starts_with('/') && rest.matches('/').count() < NESTED)
            })
        };
        if let Some(head) = self.head.as_ref().filter(below) {
            return head.clone();
        }
        self.text.push_str(if path.is_empty() { "/" } else { "" });
        self.text.push_str(&escape(path, false));
        self.text.push('\n');
        self.head = Some(path.into());
        path.into()
    }
}

fn entry(text: &mut String, name: &str, node: &Node) {
    // Writing to a string does not fail.
    let _ = match node {
        Node::Directory(_) => writeln!(text, "  {name} /"),
        Node::Link(target) => writeln!(text, "  {name} -> {}", escape(target, false)),
        Node::Present => writeln!(text, "  {name} ?"),
        Node::Failed(number) => match ERRORS.iter().find(|(_, known)| known == number) {
            Some((error, _)) => writeln!(text, "  {name} ! {error}"),
            None => writeln!(text, "  {name} ! {number}"),
        },
        Node::File(bytes) => {
            file(text, name, bytes);
            Ok(())
        }
        Node::Device(chunks) => {
            chunks.iter().try_for_each(|(offset, bytes)| writeln!(text, "  {name} @{offset} {}", hex(bytes)))
        }
    };
}

fn file(text: &mut String, name: &str, bytes: &[u8]) {
    let plain =
        |bytes| std::str::from_utf8(bytes).ok().filter(|text| text.chars().all(|c| is_plain(c) || c == '\t'));
    let whole = bytes.strip_suffix(b"\n");
    let _ = match (whole, whole.and_then(plain), plain(bytes)) {
        (Some(_), Some(line), _) => {
            writeln!(text, "{}", format!("  {name} = {}", escape(line, false)).trim_end_matches(' '))
        }
        (_, _, Some(line)) => {
            writeln!(text, "{}", format!("  {name} =- {}", escape(line, false)).trim_end_matches(' '))
        }
        (Some(lines), ..) if lines.split(|b| *b == b'\n').all(|line| plain(line).is_some()) => {
            let _ = writeln!(text, "  {name} =|");
            lines.split(|b| *b == b'\n').filter_map(plain).try_for_each(|line| {
                writeln!(text, "{}", format!("  | {}", escape(line, false)).trim_end_matches(' '))
            })
        }
        _ => writeln!(text, "{}", format!("  {name} =x {}", hex(bytes)).trim_end_matches(' ')),
    };
}

/// Replaces what a line cannot hold, and a space at the end, which editors remove.
fn escape(text: &str, spaces: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.len().wrapping_sub(1);
    for (at, c) in text.char_indices() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            ' ' if spaces || at == last => out.push_str("\\x20"),
            '|' if spaces && at == 0 => out.push_str("\\x7c"),
            c if is_plain(c) => out.push(c),
            c => {
                let mut bytes = [0; 4];
                c.encode_utf8(&mut bytes).bytes().for_each(|byte| {
                    let _ = write!(out, "\\x{byte:02x}");
                });
            }
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
