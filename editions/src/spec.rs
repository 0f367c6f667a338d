//! What an edition is: the resolved specification.
//!
//! Invariant: the types here hold what was resolved and validated; nothing in them refers to another edition's
//! file. The builder writes a [`Spec`] to `/usr/lib/aegis/edition.json`, the installer reads it back.

use std::{collections::BTreeSet, path::Path};

use aegis_core::{
    channel::Channel, edition::Edition, license::entitlements::Entitlements, manifest::ImageKind,
};
use serde::{Deserialize, Serialize};

use crate::{error::Error, resolve, source::Source};

/// MiB of an installed disk before the root slots: BIOS boot partition and EFI system partition.
pub const DISK_FIXED_MIB: u32 = 1 + 1024;
/// MiB of the smallest useful data partition.
pub const DISK_DATA_MIB: u32 = 2048;

/// Where a [`Spec`] is in the root image, as JSON.
pub const PATH_IN_IMAGE: &str = "usr/lib/aegis/edition.json";

/// One edition, with everything inherited filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Which edition.
    pub id: Edition,
    /// The name for people.
    pub name: String,
    /// One line about it, without a full stop.
    pub tagline: String,
    /// First part of its license keys, four capitals; `None` when it needs no key.
    pub key_prefix: Option<String>,
    /// Its colours.
    pub colour: Colours,
    /// What it costs.
    pub price: Price,
    /// What the online service grants.
    pub service: ServiceLimits,
    /// The stream of releases that a new installation follows.
    pub channel: Channel,
    /// What protects it.
    pub security: SecurityTier,
    /// Which features a license for it opens, and within which limits. Without a valid license those of freemium hold.
    pub entitlements: Entitlements,
    /// Editions that an owner can change to, cheapest first as written.
    pub upgrade_paths: Vec<Edition>,
    /// Other editions that a license for this one opens too; the free edition is open to everyone.
    pub includes: BTreeSet<Edition>,
    /// Whom it suits, one clause.
    pub best_for: String,
    /// What to say about it, one sentence each.
    pub highlights: Vec<String>,
    /// Debian architectures, the native one first.
    pub architectures: Vec<String>,
    /// Debian archive components.
    pub components: Vec<String>,
    /// Debian packages to install, sorted. Never the kernel, a boot loader or an initramfs generator.
    /// A foreign package carries its architecture, as in `steam-libs:i386`.
    pub packages: Vec<String>,
    /// The kernel.
    pub kernel: Kernel,
    /// Directories below `buildroot-external/board/aegis/rootfs-overlay`, in the order in which they are laid on.
    pub overlays: Vec<String>,
    /// systemd units.
    pub services: Services,
    /// The graphical session.
    pub desktop: Desktop,
    /// Whether an installed system offers a login on the first serial port.
    pub serial_console: bool,
    /// What it needs of a disk.
    pub disk: Disk,
    /// Memory that it needs, MiB.
    pub memory_mib: u32,
    /// How its root image is made.
    pub image: ImageSpec,
}

impl Spec {
    /// The specification that this program carries.
    ///
    /// # Errors
    /// When the file, or one that it inherits from, is malformed or contradicts itself.
    pub fn load(edition: Edition) -> Result<Self, Error> {
        resolve::resolve(Source::Embedded, edition)
    }

    /// Every specification that this program carries, in the order of [`Edition::ALL`].
    ///
    /// # Errors
    /// As [`Spec::load`], and when two editions share a name, a key prefix or a price.
    pub fn all() -> Result<Vec<Self>, Error> {
        resolve::all(Source::Embedded)
    }

    /// The specification in `directory`, which holds `<id>.toml` for it and for every edition it inherits from.
    ///
    /// # Errors
    /// As [`Spec::load`], and when a file cannot be read.
    pub fn load_from(directory: &Path, edition: Edition) -> Result<Self, Error> {
        resolve::resolve(Source::Directory(directory), edition)
    }

    /// Every specification in `directory`, in the order of [`Edition::ALL`].
    ///
    /// # Errors
    /// As [`Spec::load_from`] and [`Spec::all`].
    pub fn all_from(directory: &Path) -> Result<Vec<Self>, Error> {
        resolve::all(Source::Directory(directory))
    }

    /// Checks that every overlay is a directory below `directory`.
    ///
    /// # Errors
    /// Names the first overlay that is not.
    pub fn check_overlays(&self, directory: &Path) -> Result<(), Error> {
        match self.overlays.iter().find(|name| !directory.join(name).is_dir()) {
            None => Ok(()),
            Some(name) => Err(Error::Invalid {
                at: Source::Embedded.place(self.id, "system.overlays"),
                problem: format!("there is no directory `{}`", directory.join(name).display()),
                hint: format!("create it, or remove `{name}` from the overlays"),
            }),
        }
    }
}

/// Colours, as `#rrggbb`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Colours {
    /// On the site.
    pub site: String,
    /// In the installer.
    pub installer: String,
}

/// Prices in US cents. Nothing to pay unless one of them is more than 0 or sales are by contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// For ever.
    pub lifetime_cents: u32,
    /// For a year.
    pub annual_cents: u32,
    /// The price is agreed with a person; both amounts are 0.
    #[serde(default)]
    pub contact_sales: bool,
}

impl Price {
    /// Whether a person can have the edition without paying.
    pub const fn is_free(self) -> bool {
        self.lifetime_cents == 0 && self.annual_cents == 0 && !self.contact_sales
    }
}

/// Limits that the online service enforces for an account with this edition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceLimits {
    /// Users of one account.
    pub max_users: u32,
    /// Calls in a calendar month; `None` is unlimited.
    #[serde(default)]
    pub api_calls_per_month: Option<u32>,
}

/// What protects an edition. A flag is true only when the packages that it stands for are in the edition, which
/// validation checks; the read-only verified root image is part of every edition and has no flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityTier {
    /// 1 to 5; shown, and compared with nothing but other editions.
    pub level: u8,
    /// AppArmor profiles are loaded at boot.
    #[serde(default)]
    pub confinement: bool,
    /// A packet filter and the tools to configure it are installed.
    #[serde(default)]
    pub firewall_tools: bool,
    /// ClamAV is installed: scans on request, signatures kept up to date.
    #[serde(default)]
    pub malware_scanner: bool,
    /// Tools that put single programs into a sandbox are installed.
    #[serde(default)]
    pub sandbox_tools: bool,
    /// fail2ban blocks addresses after repeated failed logins.
    #[serde(default)]
    pub intrusion_prevention: bool,
    /// The kernel's audit log is recorded.
    #[serde(default)]
    pub audit_log: bool,
}

/// The kernel of an edition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Debian package whose kernel and modules are taken; it is unpacked, never installed.
    pub package: String,
    /// Fragments below `kernel-configs`, without `.config`, for a kernel of our own; in the order of merging.
    pub fragments: Vec<String>,
}

/// systemd units, with their suffix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Services {
    /// Started at boot, sorted.
    pub enable: Vec<String>,
    /// Never started, sorted.
    pub mask: Vec<String>,
}

/// The graphical session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Desktop {
    /// Text consoles only.
    None,
    /// XFCE on X11, started by LightDM.
    Xfce,
}

/// What an edition needs of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Size of each root slot, MiB: image, verity tree, trailer and room for later releases.
    pub slot_mib: u32,
    /// Smallest disk, MiB.
    pub minimum_mib: u32,
}

/// How the root image is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    /// The file system.
    pub kind: ImageKind,
    /// Level of zstd, 1 to 22.
    pub compression: u8,
}
