//! A folder in which letters lie as files: for trying out.

use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::PathBuf};

use lettre::message::Mailbox;

use super::{Letter, Post, sender};
use crate::{Error, Result, store::Later};

/// Writes each letter as `NUMBER.eml`, for its owner alone to read.
pub struct Folder {
    path: PathBuf,
    from: Mailbox,
}

impl Folder {
    /// Into a folder, which is made when it is missing.
    ///
    /// # Errors
    /// [`Error::Config`] for a sender that is none; [`Error::Io`] when the folder cannot be made.
    pub fn new(path: impl Into<PathBuf>, from: &str) -> Result<Self> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(Error::io("making", &path))?;
        Ok(Self { path, from: sender("site.contact", from)? })
    }
}

impl Post for Folder {
    fn deliver<'a>(&'a self, letter: &'a Letter, id: &'a str) -> Later<'a, ()> {
        Box::pin(async move {
            let message = letter.message(&self.from, id)?.formatted();
            let (part, name) = (self.path.join(format!("{id}.part")), self.path.join(format!("{id}.eml")));
            let work = move || {
                let file =
                    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part);
                file.and_then(|mut file| file.write_all(&message).and_then(|()| file.sync_all()))
                    .and_then(|()| fs::rename(&part, &name))
                    .map_err(Error::io("writing", &name))
            };
            tokio::task::spawn_blocking(work).await.map_err(|error| Error::Io {
                doing: "writing",
                what: "a letter".into(),
                source: std::io::Error::other(error.to_string()),
            })?
        })
    }
}
