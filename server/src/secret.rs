//! The secret that all keys of a server are derived from, one for each purpose.

use std::{
    fmt, fs,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use aws_lc_rs::{hkdf, rand};
use data_encoding::HEXLOWER_PERMISSIVE;

use crate::{Error, Result};

/// What a key is for. The text enters the derivation and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Links that open a download.
    Links,
    /// Forms of a session.
    Forms,
    /// Tokens of the API.
    Tokens,
    /// Checkpoints of the audit log.
    Audit,
    /// Who is counted by a limit.
    Limits,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Links => b"links v1",
            Self::Forms => b"forms v1",
            Self::Tokens => b"tokens v1",
            Self::Audit => b"audit v1",
            Self::Limits => b"limits v1",
        }
    }
}

/// 32 random bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Reads the file: 64 hexadecimal digits, for its owner alone.
    ///
    /// # Errors
    /// When it is missing, readable by others, or something else.
    pub fn read(path: &Path) -> Result<Self> {
        let file = fs::metadata(path).map_err(Error::io("reading", path))?;
        let wrong = |problem: &str, hint: String| Error::Config {
            place: path.display().to_string(),
            problem: problem.into(),
            hint,
        };
        if file.permissions().mode() & 0o077 != 0 {
            return Err(wrong(
                "can be read by others than its owner",
                format!("chmod 600 {}", path.display()),
            ));
        }
        let text = fs::read_to_string(path).map_err(Error::io("reading", path))?;
        let bytes = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(Self).ok_or_else(|| {
            wrong(
                "is not 64 hexadecimal digits",
                "restore it from a backup; a new one ends all sessions".into(),
            )
        })
    }

    /// Makes a new file; one that is there is left as it is.
    ///
    /// # Errors
    /// When the file is there, or cannot be written.
    pub fn generate(path: &Path) -> Result<Self> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_none| Error::Busy("requests for random numbers"))?;
        let text = HEXLOWER_PERMISSIVE.encode(&bytes) + "\n";
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let written = made.and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(Error::io("writing", path))?;
        Ok(Self(bytes))
    }

    /// The key of a purpose (HKDF-SHA-256, RFC 5869).
    ///
    /// # Errors
    /// When the library cannot derive it.
    pub fn key(&self, purpose: Purpose) -> Result<[u8; 32]> {
        let mut key = [0; 32];
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"aegis-server");
        let label = [purpose.label()];
        let derived = salt.extract(&self.0);
        let filled = derived.expand(&label, hkdf::HKDF_SHA256).and_then(|block| block.fill(&mut key));
        filled.map(|()| key).map_err(|_unspecified| Error::Busy("derivations of keys"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_as_it_was_made_and_by_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let made = Secret::generate(&path).unwrap();
        assert!(Secret::generate(&path).is_err());
        let read = Secret::read(&path).unwrap();
        assert_eq!(made.key(Purpose::Links).unwrap(), read.key(Purpose::Links).unwrap());
        assert_ne!(made.key(Purpose::Links).unwrap(), made.key(Purpose::Forms).unwrap());
        assert_ne!(made.key(Purpose::Links).unwrap(), [0; 32]);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Secret::read(&path).unwrap_err().to_string().contains("by others"));
        let short = directory.path().join("short");
        fs::write(&short, "abcd").unwrap();
        fs::set_permissions(&short, fs::Permissions::from_mode(0o600)).unwrap();
        let error = Secret::read(&short).unwrap_err();
        assert!(!error.to_string().contains("abcd"));
    }
}
