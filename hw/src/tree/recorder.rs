//! A live machine whose every answer is kept, at the place where the links of the path lead.

use std::{
    collections::HashSet,
    fs, io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    LINKS, Roots, is_absence,
    recording::{Node, Recording},
};

#[derive(Debug)]
pub(super) struct Recorder {
    roots: Roots,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    recording: Recording,
    /// Paths that are known to be no links.
    plain: HashSet<String>,
}

impl Recorder {
    pub(super) fn new(roots: Roots) -> Self {
        Self { roots, kept: Mutex::default() }
    }

    pub(super) fn roots(&self) -> &Roots {
        &self.roots
    }

    pub(super) fn recording(&self) -> Recording {
        self.lock().recording.clone()
    }

    pub(super) fn note(&self, path: &str, content: &[u8]) {
        self.lock().keep(path, Node::File(content.into()));
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A half-kept answer is still a true one.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The path without links, of which every one that was followed is kept. The last component is followed or not.
    fn place(&self, path: &str, follow: bool) -> Option<String> {
        let mut kept = self.lock();
        let mut pending: Vec<String> = path.rsplit('/').map(Into::into).collect();
        let (mut here, mut links) = (String::new(), 0);
        while let Some(part) = pending.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    here.truncate(here.rfind('/').unwrap_or(0));
                    continue;
                }
                part => here = format!("{here}/{part}"),
            }
            if (pending.is_empty() && !follow) || kept.plain.contains(&here) {
                continue;
            }
            // Its target is the number of this process.
            let process = matches!(here.as_str(), "/proc/self" | "/proc/thread-self");
            let Some(target) = self.roots.link(&here).ok().filter(|_target| !process) else {
                kept.plain.insert(here.clone());
                continue;
            };
            kept.keep(&here, Node::Link(target.clone()));
            links += 1;
            if links > LINKS {
                return None;
            }
            let parent = if target.starts_with('/') { 0 } else { here.rfind('/').unwrap_or(0) };
            here.truncate(parent);
            pending.extend(target.rsplit('/').map(Into::into));
        }
        Some(here)
    }

    fn keep_answer(&self, path: &str, answer: Result<Node, &io::Error>) {
        let Some(place) = self.place(path, true) else { return };
        let node = match answer {
            Ok(node) => node,
            Err(error) if is_absence(error) => return,
            Err(error) => Node::Failed(error.raw_os_error().unwrap_or(libc::EIO)),
        };
        self.lock().keep(&place, node);
    }

    pub(super) fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let answer = self.roots.read(path);
        self.keep_answer(path, answer.as_ref().map(|bytes| Node::File(bytes.clone())));
        answer
    }

    pub(super) fn list(&self, path: &str, wanted: &dyn Fn(&str) -> bool) -> io::Result<Vec<String>> {
        let names = self.roots.list(path, wanted);
        self.keep_answer(path, names.as_ref().map(|_names| Node::Directory(Vec::new())));
        if let (Ok(names), Some(place)) = (&names, self.place(path, true)) {
            for name in names {
                self.keep_present(&format!("{place}/{name}"));
            }
        }
        names
    }

    /// Keeps that there is something, and what kind of thing it is.
    fn keep_present(&self, path: &str) {
        let Some(place) = self.place(path, false) else { return };
        let Ok(data) = fs::symlink_metadata(self.roots.physical(&place)) else { return };
        let node = match data.file_type() {
            kind if kind.is_dir() => Node::Directory(Vec::new()),
            kind if kind.is_symlink() => match self.roots.link(&place) {
                Ok(target) => Node::Link(target),
                Err(_no_text) => return,
            },
            _ => Node::Present,
        };
        self.lock().keep(&place, node);
    }

    pub(super) fn link(&self, path: &str) -> io::Result<String> {
        let answer = self.roots.link(path);
        if answer.is_ok() {
            self.keep_present(path);
        }
        answer
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        let exists = self.roots.exists(path);
        if let (true, Some(place)) = (exists, self.place(path, true)) {
            self.keep_present(&place);
        }
        exists
    }

    pub(super) fn real(&self, path: &str) -> io::Result<String> {
        self.exists(path);
        self.roots.real(path)
    }

    pub(super) fn read_at(&self, device: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.exists(device);
        self.roots.read_at(device, offset, length)
    }
}

impl Kept {
    fn keep(&mut self, path: &str, node: Node) {
        // Something that changed its kind between two questions stays what it was first.
        let _ = self.recording.insert(path, node);
    }
}
