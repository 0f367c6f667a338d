//! The secret that all keys of a server are derived from, one for each purpose, and its rotation.

use std::{
    fmt, fs,
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
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

/// Seconds for which what a former generation signed is taken: longer than any link lasts.
const OVERLAP: i64 = 400 * 24 * 3600;

/// The generations of a secret of 32 random bytes, the newest first; never none.
///
/// A file has one a line: 64 hexadecimal digits, and where it is not the only one the time from which it signs, and for a
/// former one the time until which what it signed is taken, in seconds since 1970. No line is ever removed: the first
/// generation signs the audit log, and what the database keeps may hang on any of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<Dated>);

/// A secret, or a key that was derived from it, with its time in seconds since 1970.
#[derive(Clone, PartialEq, Eq)]
pub struct Dated {
    /// 32 bytes.
    pub key: [u8; 32],
    /// It signs from then on, unless a newer one does.
    pub from: i64,
    /// What it signed is taken before this.
    pub until: i64,
}

impl Dated {
    /// One that is good at any time.
    pub const fn always(key: [u8; 32]) -> Self {
        Self { key, from: 0, until: i64::MAX }
    }
}

impl fmt::Debug for Dated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dated").field("from", &self.from).field("until", &self.until).finish_non_exhaustive()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Reads the file, which must be for its owner alone.
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
        let generations: Option<Vec<_>> = text.lines().map(generation).collect();
        let follows = |one: &Dated, older: &Dated| one.from >= older.from && older.until != i64::MAX;
        let ordered = |all: &Vec<Dated>| !all.is_empty() && all.is_sorted_by(follows);
        generations.filter(ordered).map(Self).ok_or_else(|| {
            wrong(
                "is not lines of 64 hexadecimal digits, the newest first",
                "restore it from a backup; a new one ends all sessions".into(),
            )
        })
    }

    /// Makes a new file; one that is there is left as it is.
    ///
    /// # Errors
    /// When the file is there, or cannot be written.
    pub fn generate(path: &Path) -> Result<Self> {
        let made = Self(vec![Dated::always(random()?)]);
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        file.and_then(|file| made.write(file)).map_err(Error::io("writing", path))?;
        Ok(made)
    }

    /// With one more generation, which signs from a time on. What the former one signed is taken for 400 days more, or no
    /// longer, when somebody else may know it.
    ///
    /// # Errors
    /// When a generation waits for its time already, or there are no random numbers.
    pub fn rotated(&self, now: i64, from: i64, leaked: bool) -> Result<Self> {
        if self.0.iter().any(|one| one.from > now) {
            return Err(Error::Refused {
                problem: "the last rotation waits for its time".into(),
                hint: "start the servers again, and rotate when that time has passed".into(),
            });
        }
        let until = if leaked { now } else { from.saturating_add(OVERLAP) };
        let former = self.0.iter().map(|one| Dated { until: one.until.min(until), ..one.clone() });
        let newest = Dated { key: random()?, from, until: i64::MAX };
        Ok(Self(std::iter::once(newest).chain(former).collect()))
    }

    /// Puts it in the place of a file, as a whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn replace(&self, path: &Path) -> Result<()> {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let part =
            tempfile::NamedTempFile::new_in(folder).map_err(Error::io("creating a file in", folder))?;
        let written = part.reopen().and_then(|file| {
            // A server that runs as somebody else goes on to read it.
            let former = fs::metadata(path)?;
            std::os::unix::fs::fchown(&file, Some(former.uid()), Some(former.gid()))?;
            self.write(file)
        });
        written.map_err(Error::io("writing", part.path()))?;
        part.persist(path).map_err(|error| Error::io("naming", path)(error.error))?;
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("writing", folder))
    }

    fn write(&self, mut file: fs::File) -> std::io::Result<()> {
        for one in &self.0 {
            let time = |at: i64| format!(" {at}");
            let until = if one.until == i64::MAX { String::new() } else { time(one.until) };
            let from = if one.from == 0 && until.is_empty() { String::new() } else { time(one.from) };
            writeln!(file, "{}{from}{until}", HEXLOWER_PERMISSIVE.encode(&one.key))?;
        }
        file.sync_all()
    }

    /// The keys of a purpose, the newest first (HKDF-SHA-256, RFC 5869).
    ///
    /// # Errors
    /// When the library cannot derive them.
    pub fn keys(&self, purpose: Purpose) -> Result<Vec<Dated>> {
        self.0.iter().map(|one| Ok(Dated { key: derived(&one.key, purpose)?, ..one.clone() })).collect()
    }

    /// The key of a purpose that signs at a time.
    ///
    /// # Errors
    /// When the library cannot derive it.
    pub fn key(&self, purpose: Purpose, now: i64) -> Result<[u8; 32]> {
        let newest = self.0.iter().find(|one| one.from <= now).or(self.0.last());
        newest.map_or(Err(Error::Busy("derivations of keys")), |one| derived(&one.key, purpose))
    }

    /// The key of a purpose from the first generation, which stays for good.
    ///
    /// # Errors
    /// When the library cannot derive it.
    pub fn first_key(&self, purpose: Purpose) -> Result<[u8; 32]> {
        self.0.last().map_or(Err(Error::Busy("derivations of keys")), |one| derived(&one.key, purpose))
    }
}

fn generation(line: &str) -> Option<Dated> {
    let mut words = line.split_ascii_whitespace();
    let key = HEXLOWER_PERMISSIVE.decode(words.next()?.as_bytes()).ok()?.try_into().ok()?;
    let from = words.next().map_or(Some(0), |word| word.parse().ok())?;
    let until = words.next().map_or(Some(i64::MAX), |word| word.parse().ok())?;
    words.next().is_none().then_some(Dated { key, from, until })
}

fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_none| Error::Busy("requests for random numbers"))?;
    Ok(bytes)
}

fn derived(secret: &[u8; 32], purpose: Purpose) -> Result<[u8; 32]> {
    let mut key = [0; 32];
    let label = [purpose.label()];
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"aegis-server").extract(secret);
    let filled = extracted.expand(&label, hkdf::HKDF_SHA256).and_then(|block| block.fill(&mut key));
    filled.map(|()| key).map_err(|_unspecified| Error::Busy("derivations of keys"))
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
        assert_eq!(made.key(Purpose::Links, 0).unwrap(), read.key(Purpose::Links, 0).unwrap());
        assert_ne!(made.key(Purpose::Links, 0).unwrap(), made.key(Purpose::Forms, 0).unwrap());
        assert_ne!(made.key(Purpose::Links, 0).unwrap(), [0; 32]);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Secret::read(&path).unwrap_err().to_string().contains("by others"));
        let short = directory.path().join("short");
        fs::write(&short, "abcd").unwrap();
        fs::set_permissions(&short, fs::Permissions::from_mode(0o600)).unwrap();
        let error = Secret::read(&short).unwrap_err();
        assert!(!error.to_string().contains("abcd"));
    }

    #[test]
    fn a_new_generation_signs_in_its_time_and_the_former_one_is_taken_for_a_while() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let first = Secret::generate(&path).unwrap();
        let second = first.rotated(1000, 1600, false).unwrap();
        second.replace(&path).unwrap();
        assert_eq!(Secret::read(&path).unwrap(), second);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let key = |secret: &Secret, now| secret.key(Purpose::Forms, now).unwrap();
        assert_eq!(key(&second, 1599), key(&first, 0));
        assert_ne!(key(&second, 1600), key(&first, 0));
        let [newest, former] = second.keys(Purpose::Forms).unwrap().try_into().unwrap();
        assert_eq!((newest.from, newest.until, former.until), (1600, i64::MAX, 1600 + OVERLAP));
        // One that waits comes first; one that leaked is not taken any more.
        assert!(matches!(second.rotated(1599, 2000, false), Err(Error::Refused { .. })));
        let third = second.rotated(1600, 1600, true).unwrap();
        third.replace(&path).unwrap();
        let read = Secret::read(&path).unwrap();
        assert_eq!(read, third);
        let untils: Vec<_> = read.keys(Purpose::Links).unwrap().iter().map(|one| one.until).collect();
        assert_eq!(untils, [i64::MAX, 1600, 1600]);
        for secret in [&second, &third] {
            assert_eq!(secret.first_key(Purpose::Audit).unwrap(), first.first_key(Purpose::Audit).unwrap());
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let (one, two) = ("ab".repeat(32), "cd".repeat(32));
        for (text, good) in [
            (format!("{one}\n"), true),
            (format!("{one} 5\n{two} 0 9\n"), true),
            (String::new(), false),
            (format!("{one} 5\n\n{two} 0 9\n"), false),
            (format!("{one}\n{two}\n"), false),
            (format!("{two} 0 9\n{one} 5\n"), false),
            (format!("{one} 5 9 1\n"), false),
            (format!("{one} x\n"), false),
            (format!("{one}ab\n"), false),
        ] {
            fs::write(&path, &text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let read = Secret::read(&path);
            assert_eq!(read.is_ok(), good, "{text}");
            assert!(read.map_or_else(|error| !error.to_string().contains("abab"), |_| true));
        }
    }
}
