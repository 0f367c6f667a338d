//! A folder of files that are named by their SHA-256, written once.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use aegis_core::hex::Digest;

use super::{Blob, compare, measure};
use crate::{Error, Result};

/// A folder of blobs: `sha256/<two digits>/<64 digits>`, and `incoming` for what is not whole yet.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Opens a folder, making it when it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(root: &Path) -> Result<Self> {
        for directory in ["sha256", "incoming"].map(|name| root.join(name)) {
            fs::create_dir_all(&directory).map_err(Error::io("creating", directory))?;
        }
        Ok(Self { root: root.to_owned() })
    }

    /// Takes in what `source` has. It gets its name when it is on the disk as a whole; what is there already is left as it is.
    ///
    /// # Errors
    /// When it is not what is expected, or the disk is full; then nothing remains of it.
    pub fn add(&self, source: impl Read, expected: Option<Blob>) -> Result<Blob> {
        let incoming = self.root.join("incoming");
        let mut part =
            tempfile::NamedTempFile::new_in(&incoming).map_err(Error::io("creating a file in", &incoming))?;
        let written = measure(source, |bytes| part.write_all(bytes));
        let written = written.and_then(|blob| part.as_file().sync_all().map(|()| blob));
        let blob = written.map_err(Error::io("writing", part.path()))?;
        compare(blob, expected)?;
        let path = self.path(&blob.digest);
        if path.exists() {
            return Ok(blob);
        }
        let directory = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(directory).map_err(Error::io("creating", directory))?;
        let file = part.persist(&path).map_err(|error| Error::io("naming", &path)(error.error))?;
        seal(&file)
            .and_then(|()| fs::File::open(directory)?.sync_all())
            .map_err(Error::io("naming", &path))?;
        Ok(blob)
    }

    /// Opens a blob; `None` when it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be opened, or is not a regular file.
    pub fn get(&self, digest: &Digest) -> Result<Option<fs::File>> {
        let path = self.path(digest);
        let file = match fs::File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Error::io("opening", &path))?,
        };
        if !file.metadata().map_err(Error::io("reading", &path))?.is_file() {
            let what = path.display().to_string();
            return Err(Error::Corrupt { what, problem: "is not a regular file".into() });
        }
        Ok(Some(file))
    }

    /// Whether it can be read.
    ///
    /// # Errors
    /// When it is not there, or not for this user.
    pub(super) fn probe(&self) -> Result<()> {
        fs::read_dir(self.root.join("sha256")).map(drop).map_err(Error::io("reading", &self.root))
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(super::path(digest))
    }
}

/// Nobody writes to a blob again, not even its owner by mistake.
fn seal(file: &fs::File) -> io::Result<()> {
    let mut permissions = file.metadata()?.permissions();
    permissions.set_readonly(true);
    file.set_permissions(permissions)
}

#[cfg(test)]
mod tests {
    use aegis_core::hex::Hex;

    use super::*;

    fn names(directory: &Path) -> usize {
        fs::read_dir(directory).unwrap().count()
    }

    #[test]
    fn what_comes_in_has_its_content_as_name() {
        let root = tempfile::tempdir().unwrap();
        let blobs = Folder::open(root.path()).unwrap();
        let blob = blobs.add(&b"abc"[..], None).unwrap();
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            blob.digest.to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(blobs.add(&b"abc"[..], Some(blob)).unwrap(), blob);
        let mut text = String::new();
        blobs.get(&blob.digest).unwrap().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
        assert!(blobs.get(&Hex([0; 32])).unwrap().is_none());
        assert_eq!(names(&root.path().join("incoming")), 0);
    }

    #[test]
    fn what_is_not_what_was_expected_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let blobs = Folder::open(root.path()).unwrap();
        let wanted = Blob { digest: Hex([7; 32]), size: 3 };
        assert!(matches!(blobs.add(&b"abc"[..], Some(wanted)), Err(Error::Corrupt { .. })));
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
        assert!(blobs.add((&b"abc"[..]).chain(Broken), None).is_err());
        assert_eq!(names(&root.path().join("incoming")) + names(&root.path().join("sha256")), 0);
    }

    #[test]
    fn a_folder_in_the_place_of_a_blob_is_not_served() {
        let root = tempfile::tempdir().unwrap();
        let blobs = Folder::open(root.path()).unwrap();
        fs::create_dir_all(blobs.path(&Hex([1; 32]))).unwrap();
        assert!(matches!(blobs.get(&Hex([1; 32])), Err(Error::Corrupt { .. })));
    }
}
