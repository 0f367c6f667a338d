//! The EFI system partition: FAT32 with loader, kernel and initramfs.

use std::{
    fs::File,
    io::{self, Read, Write},
};

use aegis_core::{crypto::Sha256, hex::Digest, install::Role};
use aegis_hw::target::Target;
use fatfs::{Date, DateTime, FatType, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider};

use super::{fat_parents, fat_window::FatWindow, slot::compare_digests};
use crate::{
    error::Error,
    plan::{BootFile, GRUB_CONFIGS, InstallPlan},
    progress::Meter,
    source::Source,
};

const CHUNK: usize = 1 << 20;
const LABEL: [u8; 11] = *b"AEGIS-ESP  ";

/// The first day that FAT can express: the same plan makes the same bytes.
#[derive(Debug)]
struct FirstDay;

impl TimeProvider for FirstDay {
    fn get_current_date(&self) -> Date {
        Date { year: 1980, month: 1, day: 1 }
    }

    fn get_current_date_time(&self) -> DateTime {
        DateTime { date: self.get_current_date(), time: Time { hour: 0, min: 0, sec: 0, millis: 0 } }
    }
}

type Fat<'w, 'a> = FileSystem<&'w mut FatWindow<'a>>;

fn failed(operation: &'static str, target: &dyn Target) -> impl FnOnce(io::Error) -> Error + use<> {
    Error::io(operation, target.path().to_path_buf())
}

fn window<'a>(plan: &InstallPlan, target: &'a dyn Target) -> FatWindow<'a> {
    let (start, size) = plan.partitions.place(Role::Esp);
    FatWindow::new(target, start, size)
}

fn open<'w, 'a>(window: &'w mut FatWindow<'a>, target: &dyn Target) -> Result<Fat<'w, 'a>, Error> {
    let options = FsOptions::new().update_accessed_date(false).time_provider(&FirstDay);
    FileSystem::new(window, options).map_err(failed("open the EFI system partition of", target))
}

/// Makes the file system and copies every file, comparing each with the manifest.
pub(super) fn write(
    plan: &InstallPlan,
    source: &Source,
    target: &dyn Target,
    meter: &mut Meter<'_>,
) -> Result<(), Error> {
    format(plan, target)?;
    let mut window = window(plan, target);
    let fat = open(&mut window, target)?;
    for boot_file in &plan.boot_files {
        copy(&fat, boot_file, source, target, meter)?;
    }
    for path in GRUB_CONFIGS {
        let mut to = create(&fat, path, target)?;
        to.write_all(plan.grub_config.as_bytes()).map_err(failed("write grub.cfg to", target))?;
        to.flush().map_err(failed("write grub.cfg to", target))?;
    }
    let complete = || failed("complete the EFI system partition of", target);
    // Counts the free clusters, which are then written to the file system's information sector.
    fat.stats().map_err(complete())?;
    fat.unmount().map_err(complete())?;
    fat_parents::correct(&mut window).map_err(complete())?;
    window.flush().map_err(complete())
}

/// Copies a file of the medium and compares it with the manifest.
fn copy(
    fat: &Fat<'_, '_>,
    boot_file: &BootFile,
    source: &Source,
    target: &dyn Target,
    meter: &mut Meter<'_>,
) -> Result<(), Error> {
    let path = source.paths.medium.join(boot_file.file.from);
    let mut from = File::open(&path).map_err(Error::io("open", &path))?;
    let mut to = create(fat, &boot_file.to, target)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = from.read(&mut buffer).map_err(Error::io("read", &path))?;
        if length == 0 {
            break;
        }
        hasher.update(&buffer[..length]);
        to.write_all(&buffer[..length]).map_err(failed("write boot files to", target))?;
        meter.add(length)?;
    }
    to.flush().map_err(failed("write boot files to", target))?;
    let (expected, found) = (boot_file.file.sha256, hasher.finish());
    if expected == found {
        return Ok(());
    }
    let path = boot_file.file.from.into();
    Err(Error::Medium { path, expected: expected.to_string(), found: found.to_string() })
}

fn format(plan: &InstallPlan, target: &dyn Target) -> Result<(), Error> {
    let (_, size) = plan.partitions.place(Role::Esp);
    let sector = u16::try_from(plan.partitions.sector_size).unwrap_or(512);
    let sectors = u32::try_from(size.0 / u64::from(sector)).unwrap_or(u32::MAX);
    let options = FormatVolumeOptions::new()
        .fat_type(FatType::Fat32)
        .bytes_per_sector(sector)
        .bytes_per_cluster(4096)
        .total_sectors(sectors)
        .volume_id(plan.volume_id)
        .volume_label(LABEL);
    let mut window = window(plan, target);
    fatfs::format_volume(&mut window, options).map_err(failed("make the EFI system partition of", target))?;
    window.flush().map_err(failed("make the EFI system partition of", target))
}

/// Creates a file and the directories above it.
fn create<'f, 'w, 'a>(
    fat: &'f Fat<'w, 'a>,
    path: &str,
    target: &dyn Target,
) -> Result<fatfs::File<'f, &'w mut FatWindow<'a>>, Error> {
    let mut directory = fat.root_dir();
    let mut rest = path;
    while let Some((name, below)) = rest.split_once('/') {
        directory = directory.create_dir(name).map_err(failed("make directories on", target))?;
        rest = below;
    }
    let mut file = directory.create_file(rest).map_err(failed("make files on", target))?;
    file.truncate().map_err(failed("make files on", target))?;
    Ok(file)
}

/// Reads every file back from the disk.
pub(super) fn verify(plan: &InstallPlan, target: &dyn Target, meter: &mut Meter<'_>) -> Result<(), Error> {
    let mut window = window(plan, target);
    let fat = open(&mut window, target)?;
    for boot_file in &plan.boot_files {
        let found = digest(&fat, &boot_file.to, target, meter)?;
        compare_digests(&boot_file.to, boot_file.file.sha256, found)?;
    }
    for path in GRUB_CONFIGS {
        let found = digest(&fat, path, target, meter)?;
        compare_digests(path, Sha256::of(plan.grub_config.as_bytes()), found)?;
    }
    Ok(())
}

fn digest(
    fat: &Fat<'_, '_>,
    path: &str,
    target: &dyn Target,
    meter: &mut Meter<'_>,
) -> Result<Digest, Error> {
    let mut file = fat.root_dir().open_file(path).map_err(failed("open boot files on", target))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = file.read(&mut buffer).map_err(failed("read boot files from", target))?;
        if length == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..length]);
        meter.add(length)?;
    }
}
