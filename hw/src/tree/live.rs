//! The files of the running machine, or of one that is built below other roots.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::READ_LIMIT;
use crate::sys;

/// Where the machine's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// `/sys`.
    pub sysfs: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
    /// Everything else, such as `/run` and `/usr`.
    pub root: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self::below(Path::new("/"))
    }
}

impl Roots {
    /// Everything below one directory.
    pub fn below(root: &Path) -> Self {
        Self { sysfs: root.join("sys"), proc: root.join("proc"), dev: root.join("dev"), root: root.into() }
    }

    /// Without links, so that the targets of links can be compared with them. A root that is missing stays as it is.
    pub(super) fn canonical(self) -> Self {
        let real = |path: PathBuf| path.canonicalize().unwrap_or(path);
        Self { sysfs: real(self.sysfs), proc: real(self.proc), dev: real(self.dev), root: real(self.root) }
    }

    fn named(&self) -> [(&'static str, &Path); 4] {
        [("/sys", &self.sysfs), ("/proc", &self.proc), ("/dev", &self.dev), ("", &self.root)]
    }

    /// Where a logical path is.
    pub(super) fn physical(&self, path: &str) -> PathBuf {
        for (name, root) in self.named() {
            let Some(rest) = path.strip_prefix(name) else { continue };
            if rest.is_empty() || rest.starts_with('/') {
                return root.join(rest.trim_start_matches('/'));
            }
        }
        self.root.join(path)
    }

    /// The logical path of a place; `None` when no root holds it, or its name is no text.
    pub(super) fn logical(&self, physical: &Path) -> Option<String> {
        self.named().into_iter().find_map(|(name, root)| {
            let rest = physical.strip_prefix(root).ok()?.to_str()?;
            Some(if rest.is_empty() && !name.is_empty() { name.into() } else { format!("{name}/{rest}") })
        })
    }

    pub(super) fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        content(sys::open_quietly(&self.physical(path))?, path.starts_with("/sys/"))
    }

    pub(super) fn list(&self, path: &str, wanted: &dyn Fn(&str) -> bool) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.physical(path))? {
            names.extend(entry?.file_name().into_string().ok().filter(|name| wanted(name)));
        }
        Ok(names)
    }

    pub(super) fn link(&self, path: &str) -> io::Result<String> {
        let target = self.physical(path).read_link()?;
        // Links of a machine that a test builds are absolute and lead below the roots.
        let logical = target.is_absolute().then(|| self.logical(&target)).flatten();
        logical.map_or_else(|| target.into_os_string().into_string().map_err(|_name| not_text()), Ok)
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.physical(path).exists()
    }

    pub(super) fn real(&self, path: &str) -> io::Result<String> {
        // One question for each of a machine's disks, not one for each part of their paths.
        if let Some(directory) = self.disk(path) {
            return Ok(directory);
        }
        let real = self.physical(path).canonicalize()?;
        self.logical(&real).ok_or_else(not_text)
    }

    /// Where the kernel's list of disks leads to. The path of a device has no links: Linux
    /// `Documentation/admin-guide/sysfs-rules.rst`.
    fn disk(&self, path: &str) -> Option<String> {
        path.strip_prefix("/sys/block/").filter(|name| !name.contains('/'))?;
        let target = self.physical(path).read_link().ok()?;
        let mut parts = vec!["", "sys", "block"];
        for part in target.to_str()?.split('/') {
            match part {
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        Some(parts.join("/")).filter(|path| path.starts_with("/sys/devices/"))
    }

    pub(super) fn read_at(&self, device: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let file = sys::open_quietly(&self.physical(device))?;
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            let at = offset
                .checked_add(filled as u64)
                .ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
            match sys::read_at(&file, &mut bytes[filled..], at) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

/// What is in a file. Most files are one page of sysfs, which gives all of it at once; elsewhere only an empty read is the end.
pub(super) fn content(mut file: File, sysfs: bool) -> io::Result<Vec<u8>> {
    let mut page = [0; 4096];
    let length = loop {
        match file.read(&mut page) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => break other?,
        }
    };
    let mut bytes = page[..length].to_vec();
    if sysfs && length < page.len() {
        return Ok(bytes);
    }
    file.take(READ_LIMIT as u64).read_to_end(&mut bytes)?;
    if bytes.len() > READ_LIMIT {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    Ok(bytes)
}

fn not_text() -> io::Error {
    io::Error::from_raw_os_error(libc::EILSEQ)
}
