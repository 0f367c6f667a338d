//! A recorded machine: files, directories, links and errors in memory, and their form as text.
//!
//! ```text
//! aegis machine 1
//! # comment
//! /sys/devices/pci0000:00/0000:00:1d.0/0000:3d:00.0/nvme/nvme0
//!   model = Samsung SSD 990 PRO 2TB
//!   serial =- S6B0NL0W123456
//!   nvme0n1/size = 3907029168
//! /sys/block
//!   nvme0n1 -> ../devices/pci0000:00/0000:00:1d.0/0000:3d:00.0/nvme/nvme0/nvme0n1
//! ```
//! A line without indentation is a directory; the indented ones below it are its entries, by their path from there:
//!
//! | form | meaning |
//! |---|---|
//! | `name = text` | a file with this line |
//! | `name =- text` | a file without a line feed at its end |
//! | `name =x 00 80 0a` | a file of these bytes |
//! | <code>name =&#124;</code> | a file of the following lines, each behind <code>&#124; </code> |
//! | `name -> target` | a symbolic link |
//! | `name ! EIO` | a file that cannot be read |
//! | `name ?` | a file that is there and was not read |
//! | `name /` | a directory |
//! | `name @4096 01 02` | bytes of a device from an offset; all others are zero |
//!
//! `\\`, `\t` and `\x20` stand for a backslash, a tab and a byte by its number. What is not listed does not exist.

mod parse;
mod write;

use std::{
    collections::{BTreeMap, HashMap},
    fmt, io,
};

pub use parse::Line;

use super::{LINKS, READ_LIMIT};

/// First line of the text.
pub const HEADER: &str = "aegis machine 1";

/// Most bytes of the text that are read.
pub(super) const TEXT_LIMIT: usize = 64 << 20;

/// Bytes of all paths together, which bounds the memory that a short text can ask for.
const PATHS_LIMIT: usize = 128 << 20;

/// Bytes of a path, and its components.
const PATH_LIMIT: usize = 1024;
const DEPTH_LIMIT: usize = 40;

/// A recorded machine. Read it through [`Tree::recorded`](super::Tree::recorded).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// By their paths without links.
    pub(super) nodes: HashMap<String, Node>,
    paths: usize,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// Names of the entries.
    Directory(Vec<String>),
    File(Vec<u8>),
    Link(String),
    /// There, and not read.
    Present,
    /// Cannot be read, with the number of the error.
    Failed(i32),
    /// A device with these bytes at these offsets.
    Device(BTreeMap<u64, Vec<u8>>),
}

/// What is wrong with a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The first line is not [`HEADER`].
    Header,
    /// The text is no UTF-8.
    Encoding,
    /// More than the limit.
    TooLarge,
    /// A path is relative, too long or too deep, or has an empty component, `.` or `..`.
    Path,
    /// An entry before the first directory.
    NoDirectory,
    /// A line of none of the forms.
    Form,
    /// An escape that is none, or a character that has to be escaped.
    Escape,
    /// Digits that are no bytes or no number.
    Number,
    /// An error without a known name.
    ErrorName,
    /// The path was given before, or something that is no directory has entries.
    Twice,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "the file does not begin with `aegis machine 1`",
            Self::Encoding => "it is no UTF-8",
            Self::TooLarge => "the recording is larger than any machine",
            Self::Path => "the path is not absolute, too long, or has an empty component",
            Self::NoDirectory => "the entry has no directory above it",
            Self::Form => "the line has none of the known forms",
            Self::Escape => "an escape is unknown, or a character has to be escaped",
            Self::Number => "the digits are no number",
            Self::ErrorName => "the name of the error is unknown",
            Self::Twice => "the path is given twice, or is no directory and has entries",
        })
    }
}

impl Recording {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many files, directories and links there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Paths of everything that has content: files, links, devices and what cannot be read.
    pub fn paths(&self) -> Vec<String> {
        let leaves = self.nodes.iter().filter(|(_, node)| !matches!(node, Node::Directory(_)));
        let mut paths: Vec<String> = leaves.map(|(path, _)| path.clone()).collect();
        paths.sort_unstable();
        paths
    }

    /// Content of the file at a path without links.
    pub fn content(&self, path: &str) -> Option<&[u8]> {
        match self.nodes.get(path)? {
            Node::File(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Puts a file in place of what is there, or makes it.
    ///
    /// # Errors
    /// When the path is none, or something above it is no directory.
    pub fn put(&mut self, path: &str, content: &[u8]) -> Result<(), Problem> {
        self.replace(path, Node::File(content.into()))
    }

    /// Makes a file unreadable, with an error by its number.
    ///
    /// # Errors
    /// As [`Recording::put`].
    pub fn fail(&mut self, path: &str, errno: i32) -> Result<(), Problem> {
        self.replace(path, Node::Failed(errno))
    }

    fn replace(&mut self, path: &str, node: Node) -> Result<(), Problem> {
        match self.nodes.get_mut(path) {
            Some(Node::Directory(_)) => Err(Problem::Twice),
            Some(there) => {
                *there = node;
                Ok(())
            }
            None => self.insert(path, node),
        }
    }

    /// Removes what is at a path, with everything below it.
    pub fn remove(&mut self, path: &str) {
        if let Some(Node::Directory(names)) = self.nodes.remove(path) {
            names.iter().for_each(|name| self.remove(&format!("{path}/{name}")));
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if let Some(Node::Directory(names)) = self.nodes.get_mut(parent) {
            names.retain(|one| one != name);
        }
    }

    /// Adds what is at a path. What is known better already stays.
    pub(super) fn insert(&mut self, path: &str, node: Node) -> Result<(), Problem> {
        match (self.nodes.get_mut(path), node) {
            (None, node) => self.add(path, node),
            (Some(_), Node::Present) => Ok(()),
            (Some(there @ (Node::Present | Node::File(_) | Node::Failed(_))), node) => {
                *there = node;
                Ok(())
            }
            (Some(Node::Directory(_)), Node::Directory(_)) => Ok(()),
            (Some(Node::Link(old)), Node::Link(new)) if *old == new => Ok(()),
            (Some(Node::Device(old)), Node::Device(new)) => {
                old.extend(new);
                Ok(())
            }
            _ => Err(Problem::Twice),
        }
    }

    /// Adds a path that is not there, and the directories above it.
    fn add(&mut self, path: &str, node: Node) -> Result<(), Problem> {
        self.paths = self.paths.saturating_add(path.len());
        if self.paths > PATHS_LIMIT {
            return Err(Problem::TooLarge);
        }
        let (parent, name) = path.rsplit_once('/').ok_or(Problem::Path)?;
        if matches!(name, "" | "." | "..") || path.len() > PATH_LIMIT || path.split('/').count() > DEPTH_LIMIT
        {
            return Err(Problem::Path);
        }
        match self.nodes.get_mut(parent) {
            Some(Node::Directory(names)) => names.push(name.into()),
            Some(_) => return Err(Problem::Twice),
            None if parent.is_empty() => {
                self.nodes.insert(String::new(), Node::Directory(vec![name.into()]));
            }
            None => self.add(parent, Node::Directory(vec![name.into()]))?,
        }
        self.nodes.insert(path.into(), node);
        Ok(())
    }

    /// What is at a path, after links.
    fn find(&self, path: &str) -> io::Result<&Node> {
        match self.nodes.get(path) {
            Some(node) if !matches!(node, Node::Link(_)) => Ok(node),
            _ => {
                let real = self.walk(path, true)?;
                self.nodes.get(&real).ok_or_else(|| error(libc::ENOENT))
            }
        }
    }

    /// Whether a directory that is known does not have this entry: most questions are such, and need no walk.
    fn is_missing(&self, path: &str) -> bool {
        let Some((parent, name)) = path.rsplit_once('/') else { return false };
        let known = self.nodes.contains_key(path) || matches!(name, "" | "." | "..");
        !known && matches!(self.nodes.get(parent), Some(Node::Directory(_)))
    }

    /// The path without links; with `follow` the last component is no link either.
    fn walk(&self, path: &str, follow: bool) -> io::Result<String> {
        if self.is_missing(path) {
            return Err(error(libc::ENOENT));
        }
        let mut pending: Vec<&str> = path.rsplit('/').collect();
        let (mut here, mut links) = (String::new(), 0);
        while let Some(part) = pending.pop() {
            match part {
                "" | "." => continue,
                ".." => {
                    here.truncate(here.rfind('/').unwrap_or(0));
                    continue;
                }
                part => {
                    here.push('/');
                    here.push_str(part);
                }
            }
            match self.nodes.get(&here) {
                None => return Err(error(libc::ENOENT)),
                Some(Node::Link(target)) if follow || !pending.is_empty() => {
                    links += 1;
                    if links > LINKS {
                        return Err(error(libc::ELOOP));
                    }
                    here.truncate(if target.starts_with('/') { 0 } else { here.rfind('/').unwrap_or(0) });
                    pending.extend(target.rsplit('/'));
                }
                Some(Node::Directory(_)) => {}
                Some(_) if pending.is_empty() => {}
                Some(_) => return Err(error(libc::ENOTDIR)),
            }
        }
        Ok(here)
    }

    pub(super) fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        match self.find(path)? {
            Node::File(bytes) if bytes.len() > READ_LIMIT => Err(error(libc::EFBIG)),
            Node::File(bytes) => Ok(bytes.clone()),
            Node::Failed(number) => Err(error(*number)),
            Node::Directory(_) => Err(error(libc::EISDIR)),
            // It was there, and nobody asked for its content.
            Node::Present | Node::Device(_) | Node::Link(_) => Err(error(libc::ENODATA)),
        }
    }

    pub(super) fn list(&self, path: &str, wanted: &dyn Fn(&str) -> bool) -> io::Result<Vec<String>> {
        match self.find(path)? {
            Node::Directory(names) => Ok(names.iter().filter(|name| wanted(name)).cloned().collect()),
            Node::Failed(number) => Err(error(*number)),
            _ => Err(error(libc::ENOTDIR)),
        }
    }

    pub(super) fn link(&self, path: &str) -> io::Result<String> {
        let at = |path: &str| match self.nodes.get(path) {
            Some(Node::Link(target)) => Some(target.clone()),
            _ => None,
        };
        at(path).map_or_else(|| at(&self.walk(path, false)?).ok_or_else(|| error(libc::EINVAL)), Ok)
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.find(path).is_ok()
    }

    pub(super) fn real(&self, path: &str) -> io::Result<String> {
        self.walk(path, true)
    }

    pub(super) fn read_at(&self, device: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let chunks = match self.find(device)? {
            Node::Device(chunks) => chunks,
            Node::Failed(number) => return Err(error(*number)),
            _ => return Err(error(libc::ENODATA)),
        };
        let mut bytes = vec![0; length];
        for (start, chunk) in chunks {
            for (at, byte) in chunk.iter().enumerate() {
                let place = (start.saturating_add(at as u64)).checked_sub(offset);
                let slot = place.and_then(|place| bytes.get_mut(usize::try_from(place).ok()?));
                if let Some(slot) = slot {
                    *slot = *byte;
                }
            }
        }
        Ok(bytes)
    }
}

fn error(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

/// Errors that a recording calls by their names; others are numbers.
const ERRORS: &[(&str, i32)] = &[
    ("EACCES", libc::EACCES),
    ("EBUSY", libc::EBUSY),
    ("EILSEQ", libc::EILSEQ),
    ("EINVAL", libc::EINVAL),
    ("EIO", libc::EIO),
    ("EISDIR", libc::EISDIR),
    ("ENODATA", libc::ENODATA),
    ("ENODEV", libc::ENODEV),
    ("ENOMEDIUM", libc::ENOMEDIUM),
    ("ENXIO", libc::ENXIO),
    ("EOPNOTSUPP", libc::EOPNOTSUPP),
    ("EPERM", libc::EPERM),
    ("EREMOTEIO", libc::EREMOTEIO),
    ("ETIMEDOUT", libc::ETIMEDOUT),
];

#[cfg(test)]
mod tests {
    use super::{super::Tree, *};

    fn tree(text: &str) -> Tree {
        Tree::recorded(Recording::parse(text.as_bytes()).unwrap())
    }

    const MACHINE: &str = "aegis machine 1\n# by hand\n/sys/devices/pci/nvme/nvme0\n  model = A \\\\ B \\x20\n  \
        nvme0n1/size =- 12\n  nvme0n1/broken ! EIO\n  nvme0n1/other ?\n  nvme0n1/pg80 =x 0080 00 02 41ff\n\
        /sys/block\n  nvme0n1 -> ../devices/pci/nvme/nvme0/nvme0n1\n  loop -> loop\n\
        /proc/self\n  mountinfo =|\n  | 1 2\n  |\n  | 3\n/dev\n  nvme0n1 @4 0102\n  nvme0n1 @8 ff\n  empty /\n";

    #[test]
    fn files_links_errors_and_devices() {
        let tree = tree(MACHINE);
        let errno = |result: Result<Vec<u8>, crate::Error>| match result {
            Err(crate::Error::Io { source, .. }) => source.raw_os_error(),
            other => panic!("{other:?}"),
        };
        assert_eq!(tree.text("/sys/block/nvme0n1/../model").as_deref(), Some("A \\ B"));
        assert_eq!(tree.number("/sys/block/nvme0n1/size"), Some(12));
        assert_eq!(tree.read("/sys/block/nvme0n1/pg80").unwrap(), b"\0\x80\0\x02A\xff");
        assert_eq!(errno(tree.read("/sys/block/nvme0n1/broken")), Some(libc::EIO));
        assert_eq!(errno(tree.read("/sys/block/nvme0n1/other")), Some(libc::ENODATA));
        assert_eq!(errno(tree.read("/sys/block/loop/size")), Some(libc::ELOOP));
        assert_eq!(errno(tree.read("/sys/block/nvme0n1/size/x")), Some(libc::ENOTDIR));
        assert_eq!(tree.read_if_any("/sys/block/sda/size").unwrap(), None);
        assert_eq!(tree.list("/sys/block/nvme0n1").unwrap(), ["broken", "other", "pg80", "size"]);
        assert_eq!(tree.list("/sys/nothing").unwrap(), [""; 0]);
        assert_eq!(tree.real("/sys/block/nvme0n1").unwrap(), "/sys/devices/pci/nvme/nvme0/nvme0n1");
        assert_eq!(tree.link_name("/sys/block/nvme0n1").as_deref(), Some("nvme0n1"));
        assert_eq!(tree.link("/sys/block/nvme0n1/size"), None);
        assert_eq!(tree.read("/proc/self/mountinfo").unwrap(), b"1 2\n\n3\n");
        assert_eq!(tree.read_at("/dev/nvme0n1", 3, 7).unwrap(), [0, 1, 2, 0, 0, 0xff, 0]);
        assert!(tree.exists("/dev/empty") && !tree.exists("/dev/sda"));
        assert!(tree.is_recorded());
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let recording = Recording::parse(MACHINE.as_bytes()).unwrap();
        let root = "aegis machine 1\n/\n  lib -> usr/lib\n  srv /\n";
        assert_eq!(Recording::parse(root.as_bytes()).unwrap().to_text(""), root);
        let text = recording.to_text("made by hand\nfrom nothing");
        assert!(text.starts_with("aegis machine 1\n# made by hand\n# from nothing\n"), "{text}");
        let again = Recording::parse(text.as_bytes()).unwrap();
        assert_eq!(again.to_text(""), recording.to_text(""));
        assert_eq!(again.paths(), recording.paths());
        for path in again.paths() {
            assert_eq!(again.content(&path), recording.content(&path), "{path}");
        }
    }

    #[test]
    fn wrong_lines_are_named() {
        let wrong = |text: &str| Recording::parse(text.as_bytes()).unwrap_err();
        for (text, line, problem) in [
            ("", 1, Problem::Header),
            ("aegis machine 2\n", 1, Problem::Header),
            ("aegis machine 1\n  a = b\n", 2, Problem::NoDirectory),
            ("aegis machine 1\nsys\n", 2, Problem::Path),
            ("aegis machine 1\n/sys/../x\n", 2, Problem::Path),
            ("aegis machine 1\n/sys//x\n", 2, Problem::Path),
            ("aegis machine 1\n/sys\n  a ~ b\n", 3, Problem::Form),
            ("aegis machine 1\n/sys\n  a\n", 3, Problem::Form),
            ("aegis machine 1\n/sys\n  a = \\q\n", 3, Problem::Escape),
            ("aegis machine 1\n/sys\n  a = \u{202e}\n", 3, Problem::Escape),
            ("aegis machine 1\n/sys\n  a =x 0\n", 3, Problem::Number),
            ("aegis machine 1\n/sys\n  a @x 00\n", 3, Problem::Number),
            ("aegis machine 1\n/sys\n  a ! EWHAT\n", 3, Problem::ErrorName),
            ("aegis machine 1\n/sys\n  a = 1\n  a = 2\n", 4, Problem::Twice),
            ("aegis machine 1\n/sys\n  a = 1\n  a/b = 2\n", 4, Problem::Twice),
            ("aegis machine 1\n/sys\n  a -> b\n/sys/a\n  c = 1\n", 4, Problem::Twice),
            ("aegis machine 1\n/sys\n  | a\n", 3, Problem::Form),
        ] {
            assert_eq!(wrong(text), Line { number: line, problem }, "{text:?}");
        }
        assert_eq!(Recording::parse(b"aegis machine 1\n\xff\n").unwrap_err().problem, Problem::Encoding);
        let deep = format!("aegis machine 1\n/{}\n", "a/".repeat(50));
        assert_eq!(wrong(deep.trim_end_matches("/\n")).problem, Problem::Path);
    }

    #[test]
    fn a_file_can_be_put_broken_and_removed() {
        let mut recording = Recording::parse(MACHINE.as_bytes()).unwrap();
        recording.put("/sys/new/file", b"1").unwrap();
        recording.fail("/sys/new/file", libc::EACCES).unwrap();
        assert!(recording.put("/sys/new", b"").is_err());
        recording.remove("/sys/devices/pci/nvme/nvme0");
        let tree = Tree::recorded(recording);
        assert!(tree.read("/sys/new/file").is_err());
        assert!(!tree.exists("/sys/block/nvme0n1/size"));
        assert_eq!(tree.list("/sys/devices/pci/nvme").unwrap(), [""; 0]);
    }
}
