//! The signed manifest of a medium or a release.
//!
//! Canonical form: the bytes that [`Manifest::to_bytes`] prints. Consumers verify the signature over the raw
//! bytes first and parse afterwards, so the form matters only for reproducibility.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    channel::Channel,
    edition::Edition,
    hex::{Digest, Hex},
    version::Version,
};

/// Paths on a medium, relative to its root.
pub mod path {
    /// The signed manifest.
    pub const MANIFEST: &str = "aegis/manifest.json";
    /// Its detached signature.
    pub const SIGNATURE: &str = "aegis/manifest.json.sig";
    /// The root image: file system, then verity tree.
    pub const IMAGE: &str = "aegis/root.img";
    /// The kernel.
    pub const KERNEL: &str = "aegis/boot/vmlinuz";
    /// The initramfs.
    pub const INITRAMFS: &str = "aegis/boot/initrd.img";
    /// GRUB's first sector for BIOS, which the installer patches.
    pub const BIOS_BOOT_SECTOR: &str = "aegis/loader/boot.img";
    /// GRUB's core image for BIOS, prefix `(,gpt2)/grub`.
    pub const BIOS_CORE: &str = "aegis/loader/core.img";
    /// The signed shim.
    pub const SHIM: &str = "aegis/loader/shimx64.efi";
    /// The signed GRUB for an EFI system partition, prefix `/EFI/debian`.
    pub const GRUB_EFI: &str = "aegis/loader/grubx64.efi";
    /// The signed MOK manager.
    pub const MOK_MANAGER: &str = "aegis/loader/mmx64.efi";
}

/// Names a medium: the initramfs boots the medium whose signed manifest carries the number on the
/// kernel's command line, never one with the right label.
pub type MediumId = Hex<16>;

/// What a release consists of. Signed with the role `release`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`Manifest::FORMAT`].
    pub format: u32,
    /// Names the medium.
    pub id: MediumId,
    /// The edition.
    pub edition: Edition,
    /// The version.
    pub version: Version,
    /// The channel.
    pub channel: Channel,
    /// Date of the newest input, Unix time; also every file's time stamp.
    pub epoch: u64,
    /// Release of the kernel, such as `6.12.48+deb13-amd64`; the initramfs refuses another.
    pub kernel: String,
    /// The root image.
    pub image: Image,
    /// Every file of the medium or release but the manifest and its signature, by path.
    pub files: BTreeMap<String, File>,
    /// Digests of what the build was made from, by name.
    pub inputs: BTreeMap<String, String>,
}

/// Size and digest of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content.
    pub sha256: Digest,
}

/// A root image: a file system image, then the dm-verity tree over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// The file system, for mount(2).
    pub kind: ImageKind,
    /// Bytes of the file system image, a multiple of 4096; the verity tree starts here.
    pub data_size: u64,
    /// Bytes of image and tree together, a multiple of 4096.
    pub size: u64,
    /// Salt of the verity tree.
    pub salt: Digest,
    /// Root hash of the verity tree.
    pub root_hash: Digest,
}

/// The file system of a root image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageKind {
    /// SquashFS 4.0.
    Squashfs,
    /// EROFS.
    Erofs,
}

impl ImageKind {
    /// The type for mount(2), which is also the name of the kernel module.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Squashfs => "squashfs",
            Self::Erofs => "erofs",
        }
    }
}

/// Why the bytes are not a usable manifest.
#[derive(Debug)]
pub enum ManifestError {
    /// Not JSON of this shape.
    Parse(serde_json::Error),
    /// A format that this program does not know.
    Format(u32),
    /// Sizes that contradict each other.
    Image,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(_) => f.write_str("the manifest cannot be read"),
            Self::Format(found) => {
                write!(f, "manifest format {found} is unknown, expected {}", Manifest::FORMAT)
            }
            Self::Image => f.write_str("the manifest's image sizes contradict each other"),
        }
    }
}

impl core::error::Error for ManifestError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Parse(error) => Some(error),
            _ => None,
        }
    }
}

impl Manifest {
    /// The format that this program writes and reads.
    pub const FORMAT: u32 = 1;

    /// The canonical bytes: indented JSON with a final line feed.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Serialising a tree of strings and numbers cannot fail.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Parses bytes whose signature was verified before.
    pub fn from_verified(bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Probe {
            format: u32,
        }
        let probe: Probe = serde_json::from_slice(bytes).map_err(ManifestError::Parse)?;
        if probe.format != Self::FORMAT {
            return Err(ManifestError::Format(probe.format));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(ManifestError::Parse)?;
        let image = &manifest.image;
        let aligned = image.data_size.is_multiple_of(4096) && image.size.is_multiple_of(4096);
        if !aligned || image.data_size == 0 || image.data_size >= image.size {
            return Err(ManifestError::Image);
        }
        Ok(manifest)
    }
}
