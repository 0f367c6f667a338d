//! Why the system was not started.

use std::{fmt, io};

use aegis_core::{
    cmdline::CmdlineError,
    hex::Digest,
    key::VerifyError,
    manifest::ManifestError,
    report::{self, Hint},
    slot::{Slot, TrailerError},
};

/// An error of the boot. Those about a medium or a slot name its device.
#[derive(Debug)]
pub(crate) enum Error {
    /// Started as an ordinary program.
    NotInit,
    /// The kernel's command line cannot be used.
    Cmdline(CmdlineError),
    /// The initramfs belongs to another kernel.
    Kernel { running: String, expected: String, place: String },
    /// The system refused an operation.
    Os { action: &'static str, what: String, source: io::Error },
    /// The key ring of the initramfs is not one.
    KeyRing(serde_json::Error),
    /// Nothing that matches came up.
    NotFound { wanted: String, seconds: u64, devices: usize },
    /// The signature does not fit or its key is not trusted.
    Signature { device: String, source: VerifyError },
    /// The signature is good, but the document cannot be used.
    Manifest { device: String, source: ManifestError },
    /// The device is shorter than the medium that was written to it.
    MediumTruncated { device: String, has: u64, needs: u64 },
    /// The image is shorter than its manifest says.
    ImageTruncated { place: String, has: u64, needs: u64 },
    /// The image's bytes are not those that were signed.
    ImageDigest { place: String, expected: Digest, found: Digest },
    /// dm-verity refused bytes, or the signed image cannot be mounted.
    ImageDamaged { device: String, source: io::Error },
    /// The slot cannot be booted.
    Slot { device: String, slot: Slot, source: TrailerError },
    /// The slot is there, the data partition is not.
    NoDataPartition { guid: String, slot_device: String },
    /// The data partition's file system cannot be used.
    DataMount { device: String, source: io::Error },
    /// A directory is missing on the data partition.
    DataDirectory { device: String, directory: String },
    /// The image lacks something that every system has.
    ImageLacks { path: String },
    /// A defect in this program.
    Panic(String),
}

impl Error {
    /// An [`Error::Os`] for `action` on `what`.
    pub(crate) fn os(action: &'static str, what: impl fmt::Display, source: io::Error) -> Self {
        Self::Os { action, what: what.to_string(), source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInit => f.write_str("aegis-init is the first program of a boot and does nothing else"),
            Self::Cmdline(_) => f.write_str("the kernel's command line names nothing to boot"),
            Self::Kernel { running, expected, place } => {
                write!(f, "the kernel is {running}, but {place} is for {expected}")
            }
            Self::Os { action, what, .. } => write!(f, "cannot {action} {what}"),
            Self::KeyRing(_) => f.write_str("/aegis/keys.json is not a key ring"),
            Self::NotFound { wanted, seconds, devices } => {
                write!(f, "{wanted} was not found within {seconds} s; block devices looked at: {devices}")
            }
            Self::Signature { device, .. } => {
                write!(f, "the manifest on {device} is not trusted")
            }
            Self::Manifest { device, .. } => write!(f, "the manifest on {device} cannot be used"),
            Self::MediumTruncated { device, has, needs } => write!(
                f,
                "the medium on {device} is incomplete: it needs {needs} bytes and {device} has {has}, {} are missing",
                needs.saturating_sub(*has)
            ),
            Self::ImageTruncated { place, has, needs } => write!(
                f,
                "{place} is incomplete: the image needs {needs} bytes and there are {has}, {} are missing",
                needs.saturating_sub(*has)
            ),
            Self::ImageDigest { place, expected, found } => {
                write!(f, "{place} was changed: its SHA-256 is {found}, signed is {expected}")
            }
            Self::ImageDamaged { device, .. } => {
                write!(f, "the image on {device} is damaged or was changed: dm-verity does not accept it")
            }
            Self::Slot { device, slot, .. } => write!(f, "slot {slot} on {device} cannot be booted"),
            Self::NoDataPartition { guid, slot_device } => {
                write!(f, "the data partition {guid} was not found; the slot is on {slot_device}")
            }
            Self::DataMount { device, .. } => {
                write!(f, "cannot mount the data partition {device}")
            }
            Self::DataDirectory { device, directory } => {
                write!(f, "the data partition {device} has no directory {directory}")
            }
            Self::ImageLacks { path } => write!(f, "the image has no {path}"),
            Self::Panic(text) => write!(f, "aegis-init has a defect: {text}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Cmdline(source) => Some(source),
            Self::Os { source, .. } | Self::ImageDamaged { source, .. } | Self::DataMount { source, .. } => {
                Some(source)
            }
            Self::KeyRing(source) => Some(source),
            Self::Signature { source, .. } => Some(source),
            Self::Manifest { source, .. } => Some(source),
            Self::Slot { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        const WRITE_AGAIN: &str = "write the medium again and check the download's digest first";
        const REINSTALL: &str =
            "start the other slot from the menu, or start the installation medium and repair";
        let text = match self {
            Self::NotInit => "start it as /init of an initramfs",
            Self::Cmdline(_) => {
                "start the entry of the boot menu that came with the medium or the installation"
            }
            Self::Kernel { .. } => "start kernel and initramfs of the same medium or slot",
            Self::Os { .. } => "try again; if it stays, show the log and report it",
            Self::KeyRing(_) => "build the initramfs again with its key ring",
            Self::NotFound { .. } => {
                "check that the medium or disk is connected, try another port, then choose `try again`"
            }
            Self::Signature { .. } => {
                "do not use this medium or disk for anything secret; write it again from a trusted source"
            }
            Self::Manifest { .. } => "use a medium and an initramfs of the same release",
            Self::MediumTruncated { .. } | Self::ImageTruncated { .. } => WRITE_AGAIN,
            Self::ImageDigest { .. } | Self::ImageDamaged { .. } => {
                "write the medium again, or start the other slot of an installation; if it happens again, replace the stick or disk"
            }
            Self::Slot { .. } => REINSTALL,
            Self::NoDataPartition { .. } => "connect the disk that was installed to and choose `try again`",
            Self::DataMount { .. } => {
                "start the installation medium and check the data partition with e2fsck, which can repair it"
            }
            Self::DataDirectory { .. } => REINSTALL,
            Self::ImageLacks { .. } => "the image was built wrongly; use another release",
            Self::Panic(_) => "show the log and report it",
        };
        Some(text.to_string())
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::NotInit => report::exit::USAGE,
            Self::Signature { .. } | Self::ImageDigest { .. } | Self::ImageDamaged { .. } => {
                report::exit::REFUSED
            }
            _ => report::exit::FAILED,
        }
    }
}
