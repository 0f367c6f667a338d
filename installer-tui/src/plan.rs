//! The plan of one installation, as data that is printed, compared and applied.
//!
//! Invariant: making a plan touches nothing, and the executor does what the plan says and decides nothing.

use std::{fmt, path::PathBuf};

use aegis_core::{
    hex::Digest,
    install::{InstallId, Role},
    manifest::path,
    slot::{Slot, TRAILER_SIZE, Trailer},
};
use aegis_editions::spec::{DISK_DATA_MIB, DISK_FIXED_MIB};
use aegis_hw::{
    Bytes,
    inventory::Disk,
    tables::{DiskFacts, Layout, PartitionPlan},
    target::Identity,
    text::Shown,
    units::{MIB, SectorSize},
};
use serde::Serialize;

use crate::{
    answers::{Answers, Network},
    config::{self, Config, Seed},
    error::Error,
    grub,
    source::Source,
};

/// Everything that will be done.
#[derive(Clone, Debug, Serialize)]
pub struct InstallPlan {
    /// Names the installation.
    pub install: InstallId,
    /// The edition's name for people.
    pub edition: String,
    /// Version of the release.
    pub version: String,
    /// What is erased.
    pub target: TargetDisk,
    /// Where everything goes.
    pub partitions: PartitionPlan,
    /// The root image for slot A.
    pub image: FileOf,
    /// Files of the medium that go to the EFI system partition.
    pub boot_files: Vec<BootFile>,
    /// `grub.cfg`, written at each of [`GRUB_CONFIGS`].
    pub grub_config: String,
    /// GRUB for machines with a BIOS is written too.
    pub bios_loader: bool,
    /// Volume id of the EFI system partition.
    pub volume_id: u32,
    /// Graphics devices and what will drive them, for people.
    pub graphics: Vec<String>,
    /// Settings, for people.
    pub settings: Vec<Setting>,
    /// Bytes for the end of slot A.
    #[serde(skip)]
    pub trailer: Vec<u8>,
    /// Files that follow from the answers. Not shown: they hold the hash of the password.
    #[serde(skip)]
    pub config: Config,
    /// Login name of the first user.
    #[serde(skip)]
    pub user: String,
}

/// Where the signed GRUB, and where GRUB for a BIOS, look for their configuration.
pub const GRUB_CONFIGS: [&str; 2] = ["EFI/debian/grub.cfg", "grub/grub.cfg"];

/// The disk, or the file in its place, that is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetDisk {
    /// Device node or file.
    pub path: PathBuf,
    /// Model, size and serial for people.
    pub description: String,
    /// What a person types to confirm.
    pub token: String,
    /// Partitions that will be lost, for people.
    pub lost: Vec<String>,
    /// What must still be true when it is opened.
    pub identity: Identity,
    /// Bytes that it likes to be written at once; zero where it does not say.
    pub optimal_io: Bytes,
    /// Bytes from its start to the first aligned sector.
    pub alignment_offset: Bytes,
    /// What the disk says of itself; `None` for a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hardware: Option<Box<Hardware>>,
}

/// What a disk says of itself, raw: show it through [`Shown`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hardware {
    /// The kernel's name.
    pub name: String,
    /// Vendor and model.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Another disk of the machine has the same serial number.
    pub shares_serial: bool,
    /// Its place on the USB, such as `2-1.4`.
    pub port: Option<String>,
}

impl TargetDisk {
    /// From the inventory.
    pub fn of_disk(disk: &Disk) -> Self {
        let lost = disk.partitions.iter().map(|p| format!("{} ({})", p.name, p.size)).collect();
        let hardware = Hardware {
            name: disk.name.clone(),
            model: disk.model.clone(),
            serial: disk.serial.clone(),
            shares_serial: disk.told_apart_by.is_some(),
            port: disk.usb.as_ref().map(|usb| usb.port.clone()),
        };
        Self {
            path: disk.node.clone(),
            description: disk.summary(),
            token: disk.confirm_token(),
            lost,
            identity: disk.identity(),
            optimal_io: Bytes(disk.optimal_io.into()),
            alignment_offset: Bytes(disk.alignment_offset.into()),
            hardware: Some(Box::new(hardware)),
        }
    }

    /// A regular file, confirmed by its name.
    pub fn of_file(path: PathBuf, size: Bytes, sector_size: u32) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let description = format!("file {}, {size}", Shown(&path.to_string_lossy()));
        let identity = Identity::of_file(size, sector_size);
        let (optimal_io, alignment_offset) = (Bytes(0), Bytes(0));
        let token = Shown(&name).to_string();
        Self {
            path,
            description,
            token,
            lost: Vec::new(),
            identity,
            optimal_io,
            alignment_offset,
            hardware: None,
        }
    }

    /// What a partition plan needs to know of it.
    fn facts(&self) -> Result<DiskFacts, Error> {
        let Identity { size, sector_size, .. } = self.identity;
        Ok(DiskFacts {
            size,
            sector_size: SectorSize::try_from(sector_size)?,
            optimal_io: self.optimal_io,
            alignment_offset: self.alignment_offset,
        })
    }
}

/// Size and digest of a file of the medium.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileOf {
    /// Path on the medium.
    pub from: &'static str,
    /// Bytes.
    pub size: u64,
    /// SHA-256.
    pub sha256: Digest,
}

/// A file for the EFI system partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BootFile {
    /// The file of the medium.
    pub file: FileOf,
    /// Path on the partition.
    pub to: String,
}

/// One line of the summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Name.
    pub name: &'static str,
    /// Value.
    pub value: String,
}

fn mib(mib: u32) -> Bytes {
    Bytes(u64::from(mib) * MIB)
}

/// The layout of an edition.
pub fn layout(source: &Source) -> Layout {
    let slot = mib(source.edition.disk.slot_mib);
    // What the editions' specifications count on, less the mebibyte of bios-boot.
    Layout { esp: mib(DISK_FIXED_MIB - 1), slot, data_minimum: mib(DISK_DATA_MIB) }
}

/// The smallest disk for an edition.
pub fn minimum(source: &Source) -> Bytes {
    mib(source.edition.disk.minimum_mib).max(layout(source).minimum())
}

/// Makes the plan; `graphics` are lines of [`crate::graphics`], and `answers` must have no problems and a hashed password.
pub fn plan(
    source: &Source,
    answers: &Answers,
    target: TargetDisk,
    seed: &Seed,
    graphics: Vec<String>,
) -> Result<InstallPlan, Error> {
    let size = target.identity.size;
    if size < minimum(source) {
        return Err(Error::Disk(aegis_hw::Error::TooSmall { size, needed: minimum(source) }));
    }
    let sector_size = target.identity.sector_size;
    let partitions = PartitionPlan::on(seed.install, target.facts()?, &layout(source))?;
    let image = listed(source, path::IMAGE)?;
    partitions.check_fits(Role::RootA, Bytes(image.size + TRAILER_SIZE as u64))?;
    let trailer =
        Trailer { manifest: source.manifest_bytes.clone(), signature: source.signature_bytes.clone() };
    let product = format!("Aegis OS {}", source.edition.name);
    let menu = grub::Menu {
        title: &product,
        install: seed.install,
        slots: &[Slot::A],
        serial_console: source.edition.serial_console,
    };
    Ok(InstallPlan {
        install: seed.install,
        edition: product.clone(),
        version: source.manifest.version.to_string(),
        partitions,
        image,
        boot_files: boot_files(source)?,
        grub_config: grub::config(&menu),
        // GRUB's boot sector reads sectors of 512 bytes; firmware with a BIOS does not boot from others.
        bios_loader: sector_size == 512 && source.has_bios_loader(),
        volume_id: volume_id(seed.install),
        graphics,
        settings: settings(answers, &target),
        trailer: trailer.encode().map_err(Error::Trailer)?,
        config: config::build(source, answers, seed)?,
        user: answers.user.name.clone(),
        target,
    })
}

fn listed(source: &Source, from: &'static str) -> Result<FileOf, Error> {
    let file = source.listed(from)?;
    Ok(FileOf { from, size: file.size, sha256: file.sha256 })
}

fn boot_files(source: &Source) -> Result<Vec<BootFile>, Error> {
    let pairs = [
        (path::KERNEL, grub::kernel_path(Slot::A)),
        (path::INITRAMFS, grub::initramfs_path(Slot::A)),
        (path::SHIM, "EFI/BOOT/BOOTX64.EFI".into()),
        (path::GRUB_EFI, "EFI/BOOT/grubx64.efi".into()),
        (path::MOK_MANAGER, "EFI/BOOT/mmx64.efi".into()),
    ];
    pairs.into_iter().map(|(from, to)| Ok(BootFile { file: listed(source, from)?, to })).collect()
}

/// The first bytes of the installation's id, which nothing else on the disk shows as a FAT volume id.
fn volume_id(install: InstallId) -> u32 {
    let [a, b, c, d, ..] = install.0.0;
    u32::from_be_bytes([a, b, c, d])
}

fn settings(answers: &Answers, target: &TargetDisk) -> Vec<Setting> {
    let setting = |name, value: String| Setting { name, value };
    let keyboard = match answers.keyboard.variant.as_str() {
        "" => answers.keyboard.layout.clone(),
        variant => format!("{} ({variant})", answers.keyboard.layout),
    };
    let user = match answers.user.full_name.as_str() {
        "" => answers.user.name.clone(),
        full => format!("{} ({full})", answers.user.name),
    };
    let network = match &answers.network {
        Network::Dhcp => "automatic (DHCP)".into(),
        Network::Static(network) => format!("{} on {}", network.address, network.interface),
    };
    let ssh = match answers.ssh.enable {
        Some(true) => "on",
        Some(false) => "off",
        None => "as the edition does",
    };
    vec![
        setting("Language", answers.language.clone()),
        setting("Keyboard", keyboard),
        setting("Time zone", answers.timezone.clone()),
        setting("Disk", target.description.clone()),
        setting("User", user),
        setting("Host name", answers.hostname.clone()),
        setting("Network", network),
        setting("Remote login", ssh.into()),
        setting("License", license(answers).into()),
    ]
}

impl fmt::Display for InstallPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Install {} {}", self.edition, self.version)?;
        writeln!(f, "ERASE {}", self.target.description)?;
        if !self.target.lost.is_empty() {
            writeln!(f, "  lost: {}", self.target.lost.join(", "))?;
        }
        self.graphics.iter().try_for_each(|line| writeln!(f, "graphics: {line}"))?;
        writeln!(f, "{}", self.partitions)?;
        writeln!(f, "root-a: {} from {}", Bytes(self.image.size), self.image.from)?;
        for file in &self.boot_files {
            writeln!(f, "esp: {} from {}", file.to, file.file.from)?;
        }
        GRUB_CONFIGS.iter().try_for_each(|path| writeln!(f, "esp: {path}"))?;
        let loader = match (self.bios_loader, self.partitions.sector_size) {
            (true, _) => "GRUB in bios-boot and in the boot sector",
            (false, 4096) => "none: a BIOS does not start disks with sectors of 4096 bytes",
            (false, _) => "none: the medium has no GRUB for it",
        };
        writeln!(f, "BIOS: {loader}")?;
        writeln!(
            f,
            "data: ext4, with /home/{}, /var, /root and {} files of /etc",
            self.user,
            self.config.etc.len()
        )?;
        self.settings.iter().try_for_each(|s| writeln!(f, "{}: {}", s.name, s.value))
    }
}
/// Without showing the key.
fn license(answers: &Answers) -> &'static str {
    match (&answers.license_file, &answers.license_key) {
        (Some(_), _) => "document",
        (None, Some(_)) => "key entered",
        (None, None) => "none",
    }
}
