//! Receipts: what became of each stick, as a file that can be signed and a line for a label.
//!
//! A receipt is JSON, `<time>-<serial>.json`; its signature lies beside it with `.sig` appended, as those of media do, made by a
//! key of the role `receipt`. Failed sticks get one too, which says so. Each file appears whole or not at all.

mod seal;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use aegis_core::{hex::Digest, report::render, text::Shown, time::UnixTime};
use serde::{Deserialize, Serialize};

pub use self::seal::{Signer, verify};
use super::{
    batch::Batch,
    image::ImageFile,
    outcome::{Outcome, Phase},
    run::{Ended, Report},
};
use crate::error::Error;

/// Version of the format.
pub const FORMAT: u32 = 1;
/// Columns of a label.
pub const LABEL: usize = 80;
/// What a receipt and its signature need at most.
const LARGEST: usize = 64 << 10;

/// What became of a stick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// [`FORMAT`].
    pub format: u32,
    /// Program and version that wrote it.
    pub tool: String,
    /// When the device ended, Unix time.
    pub time: UnixTime,
    /// The same for people, RFC 3339.
    pub date: String,
    /// What was to be written.
    pub image: WrittenImage,
    /// What it was written to.
    pub device: WrittenDevice,
    /// What the device ended as.
    pub outcome: Kind,
    /// Why it is not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Bytes that were written; fewer than the image has where only what differed was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<u64>,
    /// Bytes that were read back and compared: all of the image that is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<u64>,
    /// How often it was pulled out and went on.
    pub returned: u32,
    /// Milliseconds that each phase took.
    pub phases_ms: BTreeMap<String, u64>,
    /// Milliseconds from the first to the last, with the time for which it was waited for.
    pub total_ms: u64,
    /// A line for a label.
    pub label: String,
}

/// An image, by what it is and not by where it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenImage {
    /// Name of the file.
    pub name: String,
    /// Bytes that it decodes to; `None` where it was not read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// SHA-256 of what was read back: of what it decodes to, with zeros in place of what nobody needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// What it was checked against; `None` where nothing says what it must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_against: Option<CheckedAgainst>,
}

/// What said which image it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckedAgainst {
    /// What says so, such as a file of digests.
    pub by: String,
    /// The digest, in hexadecimal.
    pub digest: String,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenDevice {
    /// Its node.
    pub node: String,
    /// Vendor and model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Size in bytes.
    pub size: u64,
    /// Bytes of a sector.
    pub sector_size: u32,
    /// Place on the USB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The kernel's number of its appearance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diskseq: Option<u64>,
}

/// What a device ended as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The whole image is on it and was read back.
    Complete,
    /// Not a byte of it was changed.
    Untouched,
    /// Its former content is gone, and it does not look like a medium.
    NotBootable,
}

/// How long a device was at what.
#[derive(Clone, Debug)]
pub struct Timing {
    begun: Instant,
    phase: Option<(Phase, Instant)>,
    /// Milliseconds.
    phases: BTreeMap<String, u64>,
    returned: u32,
}

impl Receipt {
    /// Of a device that ended at `time`.
    pub fn new(image: &ImageFile, end: &Ended, timing: &Timing, time: UnixTime) -> Self {
        let (kind, written, length, sha256, verified) = match &end.outcome {
            Outcome::Complete { length, skipped, sha256, written, .. } => {
                let verified = length.saturating_sub(*skipped);
                (Kind::Complete, Some(*written), Some(*length), Some(*sha256), Some(verified))
            }
            Outcome::Untouched(_) => (Kind::Untouched, None, None, None, None),
            Outcome::NotBootable(_) => (Kind::NotBootable, None, None, None, None),
        };
        let name = image.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let hardware = end.target.hardware.as_deref();
        let mut receipt = Self {
            format: FORMAT,
            tool: concat!("aegis-installer ", env!("CARGO_PKG_VERSION")).into(),
            time,
            date: time.to_string(),
            image: WrittenImage {
                name: name.unwrap_or_default(),
                length,
                sha256,
                checked_against: image.expected.as_ref().map(|expected| CheckedAgainst {
                    by: expected.by.clone(),
                    digest: expected.digest.clone(),
                }),
            },
            device: WrittenDevice {
                node: end.target.path.display().to_string(),
                model: hardware.and_then(|hardware| hardware.model.clone()),
                serial: hardware.and_then(|hardware| hardware.serial.clone()),
                size: end.target.identity.size.0,
                sector_size: end.target.identity.sector_size,
                port: hardware.and_then(|hardware| hardware.port.clone()),
                diskseq: end.target.identity.diskseq,
            },
            outcome: kind,
            error: end.outcome.failure().map(|failure| render(failure)),
            written,
            verified,
            returned: timing.returned,
            phases_ms: timing.phases.clone(),
            total_ms: ms(timing.begun),
            label: String::new(),
        };
        receipt.label = receipt.label();
        receipt
    }

    /// One line of at most [`LABEL`] columns: image, the start of its digest, day, the end of the serial number, port.
    fn label(&self) -> String {
        let digest = match (self.outcome, &self.image.sha256) {
            (Kind::Complete, Some(digest)) => digest.to_string().chars().take(12).collect(),
            (Kind::Untouched, _) => "NOT WRITTEN".to_owned(),
            _ => "NOT BOOTABLE".to_owned(),
        };
        let day: String = self.date.chars().take(10).collect();
        let mut parts = vec![digest, day];
        parts.push(match &self.device.serial {
            Some(serial) => format!("SN {}", tail(&ascii(serial), 10)),
            None => {
                let name = Path::new(&self.device.node).file_name().unwrap_or_default();
                tail(&ascii(&name.to_string_lossy()), 13)
            }
        });
        parts.extend(self.device.port.as_ref().map(|port| format!("port {}", tail(&ascii(port), 10))));
        let rest = parts.join(" | ");
        let room = LABEL.saturating_sub(rest.len() + 3);
        format!("{} | {rest}", tail(&ascii(stem(&self.image.name)), room))
    }
}

/// The name of an image without what its form adds.
fn stem(name: &str) -> &str {
    let mut stem = name;
    for ending in [".gz", ".xz", ".bz2", ".zst", ".lz4", ".iso", ".img", ".raw"] {
        stem = stem.strip_suffix(ending).unwrap_or(stem);
    }
    stem
}

/// For printers of labels, which seldom have more.
fn ascii(text: &str) -> String {
    Shown(text).to_string().chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

/// The end of a text, which tells serial numbers and versions apart.
fn tail(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.into();
    }
    let end: String = text.chars().skip(length.saturating_sub(width.saturating_sub(2))).collect();
    format!("..{end}")
}

fn ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

impl Timing {
    fn begin() -> Self {
        Self { begun: Instant::now(), phase: None, phases: BTreeMap::new(), returned: 0 }
    }

    fn enter(&mut self, phase: Option<Phase>) {
        if phase.is_some() && self.phase.map(|(before, _)| before) == phase {
            return;
        }
        if let Some((before, since)) = self.phase {
            let name = format!("{before:?}").to_lowercase();
            *self.phases.entry(name).or_default() += ms(since);
        }
        self.phase = phase.map(|phase| (phase, Instant::now()));
    }
}

/// Where receipts go, and what signs them.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The directory, which is made where it does not exist.
    pub directory: PathBuf,
    /// Private key.
    pub key: Option<PathBuf>,
}

/// A receipt that was written, or an error in place of it. No device is worse for that.
pub type Written = Result<(PathBuf, String), Error>;

/// A directory for the receipts of one run.
#[derive(Debug)]
pub struct Receipts {
    directory: PathBuf,
    signer: Option<Signer>,
    timings: BTreeMap<usize, Timing>,
}

impl Receipts {
    /// Makes the directory and shows that it takes receipts, before anything is erased.
    ///
    /// # Errors
    /// When it cannot be made or written, or the key cannot be used.
    pub fn open(Destination { directory, key }: &Destination) -> Result<Self, Error> {
        let signer = key.as_deref().map(Signer::open).transpose()?;
        fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
        let trial = tempfile::NamedTempFile::new_in(directory)
            .and_then(|mut file| file.write_all(&vec![0; LARGEST]).and_then(|()| file.as_file().sync_all()));
        trial.map_err(Error::io("write receipts to", directory))?;
        Ok(Self { directory: directory.clone(), signer, timings: BTreeMap::new() })
    }

    /// Keeps the time, and writes the receipt of a device that ended: its number, where the receipt is, and its label.
    pub fn follow(&mut self, batch: &Batch, report: &Report<'_>) -> Option<(usize, Written)> {
        self.note(report);
        let Report::Ended { device, end } = report else { return None };
        Some((*device, self.write(&batch.writes[end.plan].image, *device, end)))
    }

    /// Keeps the time.
    pub fn note(&mut self, report: &Report<'_>) {
        match report {
            Report::Progress(event) => {
                self.timing(event.device).enter(Some(event.phase));
            }
            Report::Vanished { device, .. } => self.timing(*device).enter(None),
            Report::Returned { device, .. } => self.timing(*device).returned += 1,
            Report::Ended { device, .. } => self.timing(*device).enter(None),
            _ => {}
        }
    }

    fn timing(&mut self, device: usize) -> &mut Timing {
        self.timings.entry(device).or_insert_with(Timing::begin)
    }

    /// Writes the receipt of a device that ended; where it is, and its label.
    ///
    /// # Errors
    /// When it cannot be written. What the device ended as does not change by that.
    pub fn write(&mut self, image: &ImageFile, device: usize, end: &Ended) -> Written {
        let receipt = Receipt::new(image, end, self.timing(device), now());
        let text = serde_json::to_string_pretty(&receipt).map_err(io::Error::other);
        let text = text.map_err(Error::io("write a receipt to", &self.directory))? + "\n";
        let signature = self.signer.as_ref().map(|signer| signer.sign(text.as_bytes())).transpose()?;
        let path = self.keep(&receipt, text.as_bytes())?;
        if let Some(signature) = signature {
            let mut name = path.clone().into_os_string();
            name.push(".sig");
            place(&self.directory, Path::new(&name), signature.as_bytes())
                .map_err(Error::io("write", Path::new(&name)))?;
        }
        Ok((path, receipt.label))
    }

    /// Under a name that no other receipt has.
    fn keep(&self, receipt: &Receipt, text: &[u8]) -> Result<PathBuf, Error> {
        let plain = |text: &str| -> String {
            text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(48).collect()
        };
        let time: String = receipt.date.chars().filter(|c| !matches!(c, '-' | ':')).collect();
        let node =
            Path::new(&receipt.device.node).file_name().map(|name| name.to_string_lossy().into_owned());
        let serial = receipt.device.serial.clone().or(node).unwrap_or_default();
        let mut number = 1;
        loop {
            let again = if number > 1 { format!("-{number}") } else { String::new() };
            let path = self.directory.join(format!("{time}-{}{again}.json", plain(&serial)));
            match place(&self.directory, &path, text) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 1000 => number += 1,
                Err(source) => return Err(Error::Io { operation: "write", path, source }),
            }
        }
    }
}

/// Writes a new file that is whole as soon as it has its name.
fn place(directory: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    // Elsewhere directories are no files.
    #[cfg(unix)]
    fs::File::open(directory)?.sync_all()?;
    Ok(())
}

fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixTime::from_unsigned(since.map_or(0, |since| since.as_secs()))
}
