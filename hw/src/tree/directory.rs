//! A directory whose files are read one after another, without a walk from the root for each.

use std::io;

#[cfg(target_os = "linux")]
use super::{Backend, live};
use super::{Tree, is_absence};
#[cfg(target_os = "linux")]
use crate::sys;
use crate::{error::Error, text::reported};

/// The directory of a device, for as long as the device is looked at: a device that comes in its place meanwhile has
/// another directory, of which this one shows nothing.
#[derive(Debug)]
pub(crate) struct Directory<'a> {
    tree: &'a Tree,
    path: &'a str,
    /// Of a machine whose files are read.
    #[cfg(target_os = "linux")]
    handle: Option<std::fs::File>,
}

impl<'a> Directory<'a> {
    pub(crate) fn open(tree: &'a Tree, path: &'a str) -> Self {
        #[cfg(target_os = "linux")]
        let handle = match &tree.0 {
            Backend::Live(roots) => sys::open_directory(&roots.physical(path)).ok(),
            #[cfg(feature = "record")]
            _ => None,
        };
        Self {
            tree,
            path,
            #[cfg(target_os = "linux")]
            handle,
        }
    }

    /// The logical path.
    pub(crate) fn path(&self) -> &'a str {
        self.path
    }

    /// Logical path of what is in it.
    pub(crate) fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// As [`Tree::read_if_any`].
    pub(crate) fn read_if_any(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        match self.read(name) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(Error::io("read", self.at(name))(error)),
        }
    }

    /// As [`Tree::text`].
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.read(name).ok().and_then(|raw| reported(&raw))
    }

    /// As [`Tree::number`].
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// As [`Tree::list`].
    pub(crate) fn list(&self, name: &str) -> Result<Vec<String>, Error> {
        self.tree.list(&self.at(name))
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        #[cfg(target_os = "linux")]
        if let Some(handle) = &self.handle {
            return live::content(sys::open_below(handle, name)?, self.path.starts_with("/sys/"));
        }
        self.tree.bytes(&self.at(name))
    }
}
