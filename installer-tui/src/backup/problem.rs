//! What is wrong with the file that was asked for.

use std::fmt;

/// Why an image file cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileProblem {
    /// There is one of this name.
    Exists,
    /// Something of this name is no regular file.
    NotAFile,
    /// It would change what is read.
    OnTheDevice,
    /// A file of sums cannot name it.
    Name,
    /// It is to be compressed, and its name has no ending that says so.
    NoEnding,
    /// Its ending is that of a format that is not written.
    Ending,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exists => "exists",
            Self::NotAFile => "is no regular file",
            Self::OnTheDevice => "would be on the device that is read",
            Self::Name => "has a name that a file of sums cannot hold",
            Self::NoEnding => "is to be compressed, and its name has no ending",
            Self::Ending => "has the ending of a format that is not written",
        })
    }
}

impl FileProblem {
    /// What a person can do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Exists => "name another file, or replace this one with --overwrite",
            Self::NotAFile | Self::OnTheDevice => "name a file on another disk",
            Self::Name => "use a name of printable characters, without a backslash, and no space at its ends",
            Self::NoEnding => "add one, such as .zst",
            Self::Ending => {
                "use .img, .zst, .gz or .xz, or say with --format what is to be written all the same"
            }
        }
    }
}
