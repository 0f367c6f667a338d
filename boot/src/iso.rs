//! The hybrid ISO: a CD for BIOS and UEFI that is also a disk for both.
//!
//! Layout: ISO 9660 with Rock Ridge; El Torito entries for BIOS (GRUB) and UEFI (a FAT image that is appended as GPT
//! partition 2); a protective MBR with GRUB's hybrid boot code. Strict firmware wants the EFI system partition in a GPT.

use std::path::Path;

use aegis_core::hex::Digest;

use crate::{date, error::Result, host, release, tools::Tools};

/// GPT type of an EFI system partition.
const ESP_TYPE: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";

/// What xorriso needs to know.
pub struct Layout<'a> {
    /// The directory that becomes the file system.
    pub tree: &'a Path,
    /// The FAT image for UEFI.
    pub esp: &'a Path,
    /// Title of the release.
    pub title: &'a str,
    /// Date of every file, Unix time.
    pub epoch: u64,
    /// Names the content, for the GUID of the disk.
    pub identity: &'a Digest,
}

/// Makes the ISO at `out`.
pub fn make(tools: &Tools, layout: &Layout<'_>, out: &Path) -> Result<()> {
    let hybrid = tools.file("usr/lib/grub/i386-pc/boot_hybrid.img");
    let date = timestamp(layout.epoch);
    let mut command = tools.command("usr/bin/xorriso");
    command.env("SOURCE_DATE_EPOCH", layout.epoch.to_string());
    command.args(["-as", "mkisofs", "-quiet", "-iso-level", "3", "-R", "-uid", "0", "-gid", "0"]);
    command.args(["-dir-mode", "0755", "-file-mode", "0644", "-V", &volume_name(layout.title)]);
    command.arg(format!("--modification-date={date}"));
    command.args(["--set_all_file_dates", &date]);
    command.args(["--gpt_disk_guid", &guid(layout.identity)]);
    command.args(["-b", release::BIOS_IMAGE, "-c", release::BOOT_CATALOGUE]);
    command.args(["-no-emul-boot", "-boot-load-size", "4"]);
    command.args(["-boot-info-table", "--grub2-boot-info", "--grub2-mbr"]).arg(hybrid);
    command.args(["-partition_offset", "16", "-append_partition", "2", ESP_TYPE]).arg(layout.esp);
    command.args([
        "-appended_part_as_gpt",
        "-eltorito-alt-boot",
        "-e",
        "--interval:appended_partition_2:all::",
    ]);
    command.args(["-no-emul-boot", "-o"]).arg(out).arg(layout.tree);
    host::output(&mut command, "writing the ISO image").map(drop)
}

/// A volume name of the characters that ISO 9660 allows; no program of ours looks for it.
fn volume_name(title: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    title.chars().map(allowed).take(32).collect()
}

/// `YYYYMMDDhhmmss00`, the form that ISO 9660 keeps.
fn timestamp(epoch: u64) -> String {
    let (year, month, day) = date::civil(epoch / 86_400);
    let (h, m, s) = (epoch / 3600 % 24, epoch / 60 % 60, epoch % 60);
    format!("{year:04}{month:02}{day:02}{h:02}{m:02}{s:02}00")
}

/// A version 8 GUID of the content's digest.
fn guid(digest: &Digest) -> String {
    let mut id = [0; 16];
    id.copy_from_slice(&digest.0[..16]);
    id[6] = id[6] & 0x0f | 0x80;
    id[8] = id[8] & 0x3f | 0x80;
    aegis_core::install::PartitionGuid(id).to_string()
}
