//! The installed system's GRUB configuration, as text.

use aegis_core::{
    cmdline::{BootParams, Check, Target},
    install::InstallId,
    slot::Slot,
};

/// What the menu depends on.
#[derive(Clone, Copy, Debug)]
pub struct Menu<'a> {
    /// Name of the edition.
    pub title: &'a str,
    /// The installation that is booted.
    pub install: InstallId,
    /// Slots that hold an image, the preferred one first.
    pub slots: &'a [Slot],
    /// Messages go to the first serial port too.
    pub serial_console: bool,
}

/// Path of a slot's kernel on the EFI system partition, without the leading slash.
pub fn kernel_path(slot: Slot) -> String {
    format!("aegis/{slot}/vmlinuz")
}

/// Path of a slot's initramfs on the EFI system partition, without the leading slash.
pub fn initramfs_path(slot: Slot) -> String {
    format!("aegis/{slot}/initrd.img")
}

/// `grub.cfg`. GRUB's `$root` is the partition that holds it, for UEFI and for BIOS.
pub fn config(menu: &Menu<'_>) -> String {
    let mut text = String::from(
        "# Written by aegis-installer; an update replaces it.\n\
         set default=0\n\
         set timeout=3\n",
    );
    if menu.serial_console {
        text.push_str(
            "if serial --unit=0 --speed=115200; then\n\
             \x20 terminal_input --append serial\n\
             \x20 terminal_output --append serial\n\
             fi\n",
        );
    }
    let title = title(menu.title);
    for slot in menu.slots {
        let params = BootParams::new(Target::Installed { id: menu.install, slot: *slot });
        let name = if menu.slots.len() == 1 { title.clone() } else { format!("{title} (slot {slot})") };
        text.push_str(&entry(&name, *slot, &params, menu.serial_console));
    }
    if let Some(slot) = menu.slots.first() {
        let mut params = BootParams::new(Target::Installed { id: menu.install, slot: *slot });
        params.check = Check::Full;
        text.push_str(&entry(&format!("{title}: check the image"), *slot, &params, menu.serial_console));
        params.check = Check::Verity;
        params.rescue = true;
        text.push_str(&entry(&format!("{title}: rescue"), *slot, &params, menu.serial_console));
    }
    text
}

/// GRUB has no escape for a quote within quotes.
fn title(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && *c != '\'').collect()
}

/// An entry that starts the kernel only together with its initramfs: GRUB starts whatever is loaded at the end of an entry, so
/// the other way out is a reboot.
fn entry(title: &str, slot: Slot, params: &BootParams, serial_console: bool) -> String {
    let console = if serial_console { "console=ttyS0,115200 console=tty0" } else { "quiet console=tty0" };
    let (kernel, initramfs) = (kernel_path(slot), initramfs_path(slot));
    format!(
        "menuentry '{title}' {{\n\
         \x20 if linux /{kernel} {params} ro {console}; then\n\
         \x20   if initrd /{initramfs}; then\n\
         \x20     boot\n\
         \x20   fi\n\
         \x20 fi\n\
         \x20 echo 'This entry cannot be started. The machine restarts in 30 seconds.'\n\
         \x20 sleep --interruptible 30\n\
         \x20 reboot\n\
         }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn menu(serial_console: bool) -> String {
        let install = InstallId::parse("00112233445566778899aabbccddeeff").unwrap();
        config(&Menu { title: "Aegis OS 'Server'", install, slots: &[Slot::A], serial_console })
    }

    #[test]
    fn the_first_entry_boots_slot_a() {
        let expected = "\
# Written by aegis-installer; an update replaces it.
set default=0
set timeout=3
menuentry 'Aegis OS Server' {
  if linux /aegis/a/vmlinuz aegis.install=00112233445566778899aabbccddeeff aegis.slot=a ro quiet console=tty0; then
    if initrd /aegis/a/initrd.img; then
      boot
    fi
  fi
  echo 'This entry cannot be started. The machine restarts in 30 seconds.'
  sleep --interruptible 30
  reboot
}
";
        assert!(menu(false).starts_with(expected), "{}", menu(false));
        assert!(!menu(false).contains("serial"));
    }

    #[test]
    fn every_entry_has_parameters_that_the_initramfs_accepts() {
        let text = menu(true);
        let lines: Vec<_> =
            text.lines().filter_map(|l| l.trim().strip_prefix("if linux /aegis/a/vmlinuz ")).collect();
        assert_eq!(lines.len(), 3);
        for line in &lines {
            let line = line.strip_suffix("; then").unwrap();
            let (params, unknown) = BootParams::parse(line).unwrap();
            assert!(unknown.is_empty() && line.contains("console=ttyS0,115200 console=tty0"));
            assert!(matches!(params.target, Target::Installed { slot: Slot::A, .. }));
        }
        assert!(lines[1].contains("aegis.check=full") && lines[2].contains("aegis.rescue"));
        assert!(text.contains("if serial --unit=0 --speed=115200; then\n  terminal_input --append serial\n"));
    }
}
