//! The license of this machine: where its files are, and what it means here and now.
//!
//! PID 1 and the running system read the same files by this code. Nothing in them is trusted: documents are verified,
//! and a state file that is damaged counts as none.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use aegis_core::{
    crypto::Crypto,
    edition::Edition,
    key::PublicKey,
    license::{
        document::{self, DocumentError, License},
        machine::Machine,
        revocation::Revocations,
        verdict::{self, Circumstances, Reason, Verdict},
    },
    time::UnixTime,
};
use serde::{Deserialize, Serialize};

use crate::{error::Error, sys};

/// Bytes of the longest revocation list that a machine reads: about 90,000 licenses.
const LIST_LIMIT: usize = 1 << 20;

/// Where the files of a license are.
#[derive(Clone, Debug)]
pub struct Files {
    /// The license document.
    pub document: PathBuf,
    /// The newest revocation list.
    pub revocations: PathBuf,
    /// What was seen: [`State`].
    pub state: PathBuf,
    /// Which other editions' licenses hold here: a JSON list of editions.
    pub licensed_by: PathBuf,
}

/// Where and when a license is judged.
#[derive(Clone, Copy, Debug)]
pub struct Here<'a> {
    /// The keys that this machine trusts.
    pub ring: &'a [PublicKey],
    /// The edition that runs.
    pub edition: Edition,
    /// The machine.
    pub machine: Machine<'a>,
    /// What the clock says.
    pub now: UnixTime,
}

/// What a machine remembers, so that neither its clock nor its revocation list can be turned back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The highest time that was seen.
    pub seen: Option<UnixTime>,
    /// The highest number of a revocation list that was taken.
    pub list: u64,
}

/// A license as this machine sees it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What it means.
    pub verdict: Verdict,
    /// The document, when it is genuine.
    pub license: Option<License>,
    /// The number of the revocation list in use.
    pub list: Option<u64>,
    /// Why the revocation list that is there is not used.
    pub list_refused: Option<DocumentError>,
    /// What is remembered.
    pub state: State,
}

impl Files {
    /// Where they are below the root of a system.
    pub fn below(root: &Path) -> Self {
        Self {
            document: root.join("etc/aegis/license.txt"),
            revocations: root.join("var/lib/aegis/license/revocations.txt"),
            state: root.join("var/lib/aegis/license/state.json"),
            licensed_by: root.join("usr/lib/aegis/licensed-by.json"),
        }
    }

    /// Judges a document as the license of this machine; [`Files::text`] is the installed one.
    ///
    /// # Errors
    /// When a file is there and cannot be read. What it says is never an error, but part of the verdict.
    pub fn judge<C: Crypto>(
        &self,
        text: Option<&[u8]>,
        state: State,
        here: &Here<'_>,
    ) -> Result<Judged, Error> {
        let mut buffer = Vec::new();
        let (list, list_refused) = match self.list::<C>(here.ring, state, &mut buffer)? {
            None => (None, None),
            Some(Ok(list)) => (Some(list), None),
            Some(Err(error)) => (None, Some(error)),
        };
        let license = text.map(|text| License::verify::<C>(text, here.ring));
        let circumstances = Circumstances {
            edition: here.edition,
            also: &self.licensed_by()?,
            now: here.now,
            seen: state.seen,
            machine: here.machine,
            revocations: list.as_ref(),
        };
        let verdict = match &license {
            None => Verdict::Unknown(Reason::NoLicense),
            Some(Err(error)) => Verdict::Unknown(Reason::Document(error.clone())),
            Some(Ok(license)) => verdict::judge::<C>(license, &circumstances),
        };
        let list = list.map(|list| list.number());
        Ok(Judged { verdict, license: license.and_then(Result::ok), list, list_refused, state })
    }

    /// The installed document.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn text(&self) -> Result<Option<Vec<u8>>, Error> {
        read(&self.document, document::LICENSE_TEXT)
    }

    fn list<'b, C: Crypto>(
        &self,
        ring: &[PublicKey],
        state: State,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Option<Result<Revocations<'b>, DocumentError>>, Error> {
        let Some(text) = read(&self.revocations, LIST_LIMIT)? else { return Ok(None) };
        // The body is shorter than its armour; the domain comes before it.
        buffer.resize(text.len().max(document::LICENSE_ROOM), 0);
        Ok(Some(Revocations::verify::<C>(&text, ring, state.list, buffer)))
    }

    /// What is remembered; nothing when the file is missing or damaged.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn state(&self) -> Result<State, Error> {
        let text = read(&self.state, 4096)?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default())
    }

    /// Remembers.
    ///
    /// # Errors
    /// When the file cannot be written; then the old one stays.
    pub fn remember(&self, state: State) -> Result<(), Error> {
        let text = serde_json::to_string(&state).unwrap_or_default() + "\n";
        write(&self.state, text.as_bytes())
    }

    fn licensed_by(&self) -> Result<Vec<Edition>, Error> {
        let text = read(&self.licensed_by, 4096)?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default())
    }
}

/// The content of a file, or of what is one byte longer than the limit, which no parser accepts; `None` without the file.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, Error> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(Error::io("open", path))?,
    };
    let mut content = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut content).map_err(Error::io("read", path))?;
    Ok(Some(content))
}

/// Replaces a file so that after a power cut it is the old or the new one.
///
/// # Errors
/// When the directory cannot be made or written to.
pub fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
    let partial = path.with_extension("partial");
    let replace = || {
        let mut options = fs::OpenOptions::new();
        let mut file =
            sys::with_mode(options.write(true).create(true).truncate(true), 0o644).open(&partial)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        sys::sync_directory(directory)
    };
    replace().map_err(|error| {
        // What is half written is of no use to anyone.
        fs::remove_file(&partial).ok();
        Error::io("write", path)(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_counts_as_nothing_and_what_is_written_reads_back() {
        let root = tempfile::tempdir().unwrap();
        let files = Files::below(root.path());
        assert_eq!(files.state().unwrap(), State::default());
        let state = State { seen: Some(UnixTime(1_700_000_000)), list: 7 };
        files.remember(state).unwrap();
        assert_eq!(files.state().unwrap(), state);
        fs::write(&files.state, "{\"seen\":1").unwrap();
        assert_eq!(files.state().unwrap(), State::default());
        let names: Vec<_> = fs::read_dir(files.state.parent().unwrap()).unwrap().collect();
        assert_eq!(names.len(), 1, "no partial file stays");
    }

    #[test]
    fn long_files_are_read_one_byte_beyond_their_limit() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("long");
        File::create(&path).unwrap().set_len(1 << 30).unwrap();
        assert_eq!(read(&path, 100).unwrap().unwrap().len(), 101);
        assert!(read(&root.path().join("missing"), 1).unwrap().is_none());
        assert!(read(root.path(), 1).is_err(), "a directory is no license");
    }
}
