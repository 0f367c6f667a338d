//! Lays files over a tar archive while it streams past.
//!
//! Invariant: an entry of the base that is kept is copied byte for byte, with its extended headers, so that
//! owners, capabilities and time stamps survive without this module understanding them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use aegis_core::hex::Digest;
use tar::{EntryType, Header};

use crate::{
    cache::Key,
    error::{Error, Result},
};

/// One thing that is laid over the base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory, mode 0755 unless said otherwise.
    Directory {
        /// Permission bits.
        mode: u32,
    },
    /// A file with content that was made in memory.
    Text {
        /// The content.
        content: String,
        /// Permission bits.
        mode: u32,
    },
    /// A file of the building machine.
    File {
        /// Where it is.
        source: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// A symbolic link.
    Symlink {
        /// What it points to.
        target: String,
    },
}

/// Nodes by path below the root, without a leading slash. A later layer replaces an earlier one.
pub type Layer = BTreeMap<String, Node>;

/// Names the content of a layer for the cache.
pub fn digest(layer: &Layer) -> Result<Digest> {
    let mut key = Key::new("layer");
    for (path, node) in layer {
        key = key.with(path);
        key = match node {
            Node::Directory { mode } => key.with("d").with(mode.to_le_bytes()),
            Node::Text { content, mode } => key.with("t").with(mode.to_le_bytes()).with(content),
            Node::File { source, mode } => key.with("f").with(mode.to_le_bytes()).with_file(source)?,
            Node::Symlink { target } => key.with("l").with(target),
        };
    }
    Ok(key.finish())
}

/// Writes `base` without what `dropped` names or `layer` replaces, then `layer`, as one archive.
///
/// `epoch` is the modification time of everything in the layer. `copied` is told how many bytes of the base
/// were read.
pub fn merge(
    base: &Path,
    layer: &Layer,
    dropped: impl Fn(&str) -> bool,
    epoch: u64,
    out: &mut dyn Write,
    mut copied: impl FnMut(u64),
) -> Result<()> {
    let directories = copy_base(base, layer, dropped, out, &mut copied)?;
    let mut builder = tar::Builder::new(out);
    let failed = |source| Error::Io { doing: "writing the image's archive after", path: base.into(), source };
    for (path, node) in with_parents(layer, &directories) {
        append(&mut builder, &path, &node, epoch)?;
    }
    builder.finish().map_err(failed)
}

/// Copies the base and returns the directories that it has.
fn copy_base(
    base: &Path,
    layer: &Layer,
    dropped: impl Fn(&str) -> bool,
    out: &mut dyn Write,
    copied: &mut dyn FnMut(u64),
) -> Result<BTreeSet<String>> {
    let reading = |source| Error::Io { doing: "reading", path: base.into(), source };
    let mut verbatim = BufReader::with_capacity(1 << 20, File::open(base).map_err(reading)?);
    let mut archive = tar::Archive::new(BufReader::new(File::open(base).map_err(reading)?));
    let mut directories = BTreeSet::new();
    let mut start = 0;
    for entry in archive.entries_with_seek().map_err(reading)? {
        let entry = entry.map_err(reading)?;
        let path = normal(&entry.path_bytes());
        // An extended header belongs to the entry that follows it, so an entry spans from the end of the
        // one before it to the end of its own content.
        let end = entry.raw_file_position() + entry.size().next_multiple_of(512);
        let is_directory = entry.header().entry_type() == EntryType::Directory;
        if is_directory {
            directories.insert(path.clone());
        }
        let replaced =
            layer.get(&path).is_some_and(|node| !(is_directory && matches!(node, Node::Directory { .. })));
        if !replaced && !dropped(&path) {
            verbatim.seek(SeekFrom::Start(start)).map_err(reading)?;
            let mut part = (&mut verbatim).take(end - start);
            std::io::copy(&mut part, out).map_err(|source| Error::Io {
                doing: "copying into the image",
                path: path.into(),
                source,
            })?;
        }
        start = end;
        copied(end);
    }
    Ok(directories)
}

fn normal(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    text.trim_start_matches("./").trim_matches('/').to_owned()
}

/// The layer with the directories that neither it nor the base has, parents first.
fn with_parents(layer: &Layer, base: &BTreeSet<String>) -> Layer {
    let mut all = Layer::new();
    for (path, node) in layer {
        let mut at = 0;
        while let Some(slash) = path[at..].find('/') {
            let parent = &path[..at + slash];
            if !base.contains(parent) && !layer.contains_key(parent) {
                all.insert(parent.to_owned(), Node::Directory { mode: 0o755 });
            }
            at += slash + 1;
        }
        if !(matches!(node, Node::Directory { .. }) && base.contains(path)) {
            all.insert(path.clone(), node.clone());
        }
    }
    all
}

fn append(builder: &mut tar::Builder<&mut dyn Write>, path: &str, node: &Node, epoch: u64) -> Result<()> {
    let name = format!("./{path}");
    let failed = |source| Error::Io { doing: "adding to the image", path: path.into(), source };
    let mut header = Header::new_gnu();
    header.set_mtime(epoch);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    match node {
        Node::Directory { mode } => {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(*mode);
            builder.append_data(&mut header, format!("{name}/"), std::io::empty())
        }
        Node::Text { content, mode } => {
            header.set_mode(*mode);
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, name, content.as_bytes())
        }
        Node::File { source, mode } => {
            let file = File::open(source).map_err(Error::io("opening", source))?;
            header.set_mode(*mode);
            header.set_size(file.metadata().map_err(Error::io("reading", source))?.len());
            builder.append_data(&mut header, name, file)
        }
        Node::Symlink { target } => {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            builder.append_link(&mut header, name, target)
        }
    }
    .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base_archive(path: &Path) {
        let mut builder = tar::Builder::new(File::create(path).unwrap());
        builder.mode(tar::HeaderMode::Deterministic);
        let long = format!("./etc/{}", "n".repeat(150));
        for (name, content) in [("./etc/hostname", "old"), ("./etc/shadow", "kept"), (long.as_str(), "long")]
        {
            let mut header = Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o640);
            header.set_uid(42);
            builder.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        builder.finish().unwrap();
    }

    #[test]
    fn replaces_drops_and_keeps() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().join("base.tar");
        base_archive(&base);
        let layer = Layer::from([
            ("etc/hostname".into(), Node::Text { content: "new".into(), mode: 0o644 }),
            ("usr/lib/a/b".into(), Node::Symlink { target: "c".into() }),
        ]);
        let mut out = Vec::new();
        merge(&base, &layer, |path| path == "etc/shadow", 7, &mut out, |_| ()).unwrap();
        let mut archive = tar::Archive::new(out.as_slice());
        let seen: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                (normal(&entry.path_bytes()), entry.header().uid().unwrap(), text)
            })
            .collect();
        let expected = [
            (format!("etc/{}", "n".repeat(150)), 42, "long"),
            ("etc".into(), 0, ""),
            ("etc/hostname".into(), 0, "new"),
            ("usr".into(), 0, ""),
            ("usr/lib".into(), 0, ""),
            ("usr/lib/a".into(), 0, ""),
            ("usr/lib/a/b".into(), 0, ""),
        ];
        assert_eq!(seen, expected.map(|(path, uid, text): (String, u64, &str)| (path, uid, text.to_owned())));
    }
}
