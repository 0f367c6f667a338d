//! What is reported while devices are written, and what they end as.

use std::{fmt, io};

use aegis_core::{crypto::Sha256, hex::Digest, report::exit};
use aegis_hw::Bytes;
use serde::Serialize;

use super::buffer::Chunk;

/// What a device is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Old tables are removed, and the capacity is tried.
    Check,
    /// The image is written.
    Write,
    /// What the device holds in memory is written out.
    Flush,
    /// The device is read and compared.
    Verify,
    /// The first mebibyte is written, flushed and compared.
    Finish,
    /// It holds the image. Nothing more is done to it.
    Complete,
    /// It does not hold the image. Nothing more is done to it.
    Failed,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Check => "checking",
            Self::Write => "writing",
            Self::Flush => "flushing",
            Self::Verify => "verifying",
            Self::Finish => "finishing",
            Self::Complete => "complete",
            Self::Failed => "failed",
        })
    }
}

/// What an image turned out to be when it was read to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Bytes.
    pub length: u64,
    /// Bytes of the chunks that are not written.
    pub skipped: u64,
    /// SHA-256; of what is written alone, where something is not and nobody asked for the whole.
    pub sha256: Digest,
    /// SHA-256 of what is written, one chunk after the other.
    pub written: Digest,
    /// CRC-32 of each [`super::buffer::CHUNK`], to say where a device differs; `None` for what is not written.
    #[serde(skip)]
    pub parts: Vec<Option<u32>>,
}

impl Summary {
    /// The digest that the image has in place of the expected one.
    pub(super) fn other_than(&self, expected: &Digest) -> Option<Digest> {
        (self.sha256 != *expected).then_some(self.sha256)
    }
}

/// Makes a [`Summary`] of parts that pass.
pub(super) struct Tally {
    summary: Summary,
    written: Sha256,
    /// Of everything, once something is left out.
    whole: Option<Sha256>,
    wants_whole: bool,
}

impl Tally {
    /// Of an image of which nothing has passed. Without `wants_whole` what is left out is not hashed.
    pub(super) fn new(wants_whole: bool) -> Self {
        let empty = Sha256::of(b"");
        let summary = Summary { length: 0, skipped: 0, sha256: empty, written: empty, parts: Vec::new() };
        Self { summary, written: Sha256::new(), whole: None, wants_whole }
    }

    /// The next part.
    pub(super) fn add(&mut self, part: &Chunk) {
        let length = part.length as u64;
        self.summary.length += length;
        if part.hole {
            self.summary.skipped += length;
            if self.wants_whole {
                self.whole.get_or_insert_with(|| self.written.clone());
            }
        } else {
            self.written.update(part.bytes());
        }
        self.summary.parts.push((!part.hole).then(|| crc32fast::hash(part.bytes())));
        if let Some(whole) = &mut self.whole {
            whole.update(part.bytes());
        }
    }

    /// Bytes that passed.
    pub(super) fn length(&self) -> u64 {
        self.summary.length
    }

    /// What the image is.
    pub(super) fn finish(self) -> Summary {
        let written = self.written.finish();
        let sha256 = self.whole.map_or(written, Sha256::finish);
        Summary { sha256, written, ..self.summary }
    }
}

/// Why a device was not completed.
#[derive(Debug)]
pub enum Failure {
    /// The device failed.
    Device {
        /// What was tried, such as `write`.
        operation: &'static str,
        /// Where, in bytes.
        offset: u64,
        /// What the system said.
        source: aegis_hw::Error,
    },
    /// The device was pulled out, or its connection broke.
    Gone {
        /// Where it was, in bytes.
        offset: u64,
        /// What the system said.
        source: aegis_hw::Error,
    },
    /// The image cannot be read or decoded.
    Image {
        /// Where in the decoded image, in bytes.
        offset: u64,
        /// What the system or the decoder said.
        source: io::Error,
    },
    /// The image is not the expected one.
    Digest {
        /// What says so, such as a file of sums.
        by: String,
        /// Expected.
        expected: Digest,
        /// Found.
        found: Digest,
    },
    /// The image is longer than the device.
    TooLarge {
        /// Size of the device.
        size: Bytes,
        /// What is needed at least.
        needed: Bytes,
    },
    /// The device does not keep what is written beyond a place: it has less memory than it says.
    Counterfeit {
        /// Size that it says.
        size: Bytes,
        /// First place, in bytes, that does not keep its content.
        offset: u64,
    },
    /// The device reads back differently.
    ReadBack {
        /// First part that differs, in bytes.
        offset: u64,
    },
    /// Ranges of the device are not what they should be.
    Ranges {
        /// How many bytes they have.
        bytes: Bytes,
        /// The first one that differs, in bytes.
        offset: u64,
    },
    /// Nothing moved for a long time.
    Stalled {
        /// Seconds.
        seconds: u64,
    },
    /// It was asked for.
    Cancelled,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device { operation, offset, .. } => {
                write!(f, "cannot {operation} the device at byte {offset}")
            }
            Self::Gone { offset, .. } => {
                write!(f, "the device was pulled out or lost its connection at byte {offset}")
            }
            Self::Image { offset, .. } => write!(f, "the image is not readable at byte {offset}"),
            Self::Digest { by, expected, found } => {
                write!(f, "the image is not the one that {by} names: expected {expected}, found {found}")
            }
            Self::TooLarge { size, needed } => {
                write!(f, "the image has at least {needed}, the device {size}")
            }
            Self::Counterfeit { size, offset } => {
                write!(f, "the device says that it has {size} and keeps nothing at byte {offset}")
            }
            Self::Ranges { bytes, offset } => {
                write!(f, "{bytes} of the device differ, from byte {offset} on")
            }
            Self::ReadBack { offset } => write!(f, "the device reads back differently from byte {offset} on"),
            Self::Stalled { seconds } => write!(f, "the device did nothing for {seconds} s"),
            Self::Cancelled => f.write_str("stopped on request"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Device { source, .. } | Self::Gone { source, .. } => Some(source),
            Self::Image { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl aegis_core::report::Hint for Failure {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Device { .. } | Self::Stalled { .. } => {
                "try another port without a hub; if it fails again, use another stick"
            }
            Self::Gone { .. } => {
                "plug it in again and repeat the command; with --wait-return it goes on by itself"
            }
            Self::Image { .. } | Self::Digest { .. } => "get the image again",
            Self::TooLarge { .. } => "use a larger device",
            Self::Counterfeit { .. } => "give it back: its capacity is forged or it is worn out",
            Self::ReadBack { .. } => "use another stick; this one does not keep what is written to it",
            Self::Ranges { .. } => {
                "write the image again, with --update only what differs; if it differs again, use another stick"
            }
            Self::Cancelled => return None,
        };
        Some(text.into())
    }
}

/// What a device ended as.
#[derive(Debug)]
pub enum Outcome {
    /// The whole image is on it and was read back.
    Complete {
        /// Bytes of the image.
        length: u64,
        /// Bytes of it that nobody needs, and that are not written.
        skipped: u64,
        /// SHA-256 of what was read back.
        sha256: Digest,
        /// Bytes that were written; fewer than the image has when only what differed was.
        written: u64,
        /// How long it took, in milliseconds.
        ms: u64,
    },
    /// Not a byte of it was changed.
    Untouched(Failure),
    /// Its former content is gone, and it does not look like a medium.
    NotBootable(Failure),
}

impl Outcome {
    /// Why the image is not on it; `None` when it is.
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Complete { .. } => None,
            Self::Untouched(failure) | Self::NotBootable(failure) => Some(failure),
        }
    }

    /// The phase that it ends in.
    pub const fn phase(&self) -> Phase {
        match self.failure() {
            None => Phase::Complete,
            Some(_) => Phase::Failed,
        }
    }
}

/// What is on the device now, as a clause; a failure itself is told apart from it.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete { length, sha256, ms, .. } => {
                let rate = Bytes(length.saturating_mul(1000) / (*ms).max(1));
                let (length, seconds, tenth) = (Bytes(*length), ms / 1000, ms % 1000 / 100);
                write!(
                    f,
                    "complete and read back, {length} in {seconds}.{tenth} s ({rate}/s), SHA-256 {sha256}"
                )
            }
            Self::Untouched(_) => f.write_str("not changed"),
            Self::NotBootable(_) => f.write_str("its former content is gone, and it does not start"),
        }
    }
}

/// The exit code of a session with these ends: only when every device is complete, it went well.
pub fn exit_code(outcomes: &[Outcome]) -> u8 {
    let complete = !outcomes.is_empty() && outcomes.iter().all(|outcome| outcome.failure().is_none());
    if complete { exit::OK } else { exit::FAILED }
}

/// A report about one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Place of the device in the order.
    pub device: usize,
    /// Number of this report, counted over all devices.
    pub seq: u64,
    /// What it is at.
    pub phase: Phase,
    /// Bytes so far in this phase.
    pub bytes: u64,
    /// Bytes of this phase in all, where that is known.
    pub total: Option<u64>,
    /// Bytes a second, over the last seconds.
    pub rate: u64,
    /// Seconds until the phase ends.
    pub eta: Option<u64>,
    /// Seconds for which the device did not answer, when these are many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<u64>,
}
