//! GRUB for the medium and for installed disks: its images and its configuration.
//!
//! UEFI machines get Debian's signed shim and GRUB, so that Secure Boot stays on. BIOS machines get core images made
//! from Debian's modules.

use std::{fs, path::Path};

use aegis_core::{
    cmdline::{BootParams, Check, Target},
    manifest::{MediumId, path},
};

use crate::{
    error::{Error, Result},
    host,
    tools::Tools,
};

/// Modules of the BIOS core images; the signed EFI images bring their own.
const MODULES: &str = "biosdisk iso9660 fat part_gpt part_msdos search search_fs_file normal configfile linux \
                       echo test true minicmd serial terminal sleep reboot halt all_video loadenv ls cat";

/// The file whose name GRUB searches the medium by.
pub fn marker(id: MediumId) -> String {
    format!(".disk/aegis-{id}")
}

/// Finds the medium and hands over to its menu, wherever GRUB was started from.
pub fn bootstrap(id: MediumId) -> String {
    format!(
        "search --no-floppy --set=root --file /{}\nset prefix=($root)/boot/grub\nconfigfile ($root)/boot/grub/grub.cfg\n",
        marker(id)
    )
}

/// The menu of the medium.
pub fn menu(title: &str, id: MediumId) -> String {
    let live = BootParams::new(Target::Medium(id));
    let checked = BootParams { check: Check::Full, ..live.clone() };
    let rescue = BootParams { rescue: true, ..live.clone() };
    let mut text = String::from(
        "set timeout=3\nset default=0\nset gfxpayload=text\n\
         # A machine without the port keeps its screen; the order of the consoles does not depend on it.\n\
         if serial --unit=0 --speed=115200; then\n  terminal_input console serial\n  terminal_output console serial\nfi\n",
    );
    for (label, params) in [
        (format!("{title}: start or install"), live),
        (format!("{title}: check this medium, then start"), checked),
        (format!("{title}: rescue menu"), rescue),
    ] {
        text.push_str(&entry(&label, &params));
    }
    text.push_str("menuentry 'Restart' { reboot }\nmenuentry 'Power off' { halt }\n");
    text
}

/// GRUB would go on without an initramfs; the kernel would then panic without a word about the reason.
fn entry(label: &str, params: &BootParams) -> String {
    let (kernel, initramfs) = (path::KERNEL, path::INITRAMFS);
    format!(
        "menuentry '{label}' {{\n  if linux /{kernel} {params} console=ttyS0,115200 console=tty0; then\n    \
         if initrd /{initramfs}; then boot; fi\n  fi\n  \
         echo 'This medium is damaged: its kernel or initramfs cannot be read. Make it again.'\n  sleep 60\n}}\n"
    )
}

/// The image that a BIOS loads from a CD or, through `boot_hybrid.img`, from a stick.
pub fn bios_medium(tools: &Tools, id: MediumId, out: &Path) -> Result<()> {
    core_image(tools, "i386-pc-eltorito", "/boot/grub", Some(&bootstrap(id)), out)
}

/// The image for the BIOS boot partition of an installed disk. The prefix has no disk: GRUB puts in the one
/// that it was started from.
pub fn bios_disk(tools: &Tools, out: &Path) -> Result<()> {
    core_image(tools, "i386-pc", "(,gpt2)/grub", None, out)
}

fn core_image(tools: &Tools, format: &str, prefix: &str, config: Option<&str>, out: &Path) -> Result<()> {
    let mut command = tools.command("usr/bin/grub-mkimage");
    command.arg("-d").arg(tools.file("usr/lib/grub/i386-pc"));
    command.args(["-O", format, "-p", prefix]).arg("-o").arg(out);
    if let Some(config) = config {
        let file = out.with_extension("cfg");
        fs::write(&file, config).map_err(Error::io("writing", &file))?;
        command.arg("-c").arg(&file);
    }
    command.args(MODULES.split_whitespace());
    host::output(&mut command, "making GRUB's core image").map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_boots_only_with_an_initramfs() {
        let id = MediumId::parse("00112233445566778899aabbccddeeff").unwrap();
        let text = menu("Aegis OS Server 0.1.0", id);
        assert_eq!(text.matches("if linux ").count(), 3);
        assert_eq!(text.matches("if initrd /aegis/boot/initrd.img; then boot; fi").count(), 3);
        assert!(
            text.contains("aegis.medium=00112233445566778899aabbccddeeff aegis.check=full console=ttyS0")
        );
    }
}
