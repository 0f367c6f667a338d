//! QEMU's command line, from the description of a machine alone.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{Bus, Drive, Firmware, Machine, Writes};

/// Where the files of one start are.
pub(super) struct Place {
    /// The monitor's socket.
    pub(super) qmp: PathBuf,
    /// The firmware's code and variables, unless it is SeaBIOS.
    pub(super) firmware: Option<(PathBuf, PathBuf)>,
}

/// The arguments, without the program's name.
pub(super) fn of(machine: &Machine, place: &Place) -> Vec<OsString> {
    let mut line = Line::default();
    let secure = machine.firmware == Firmware::SecureBoot;
    line.pair("-machine", if secure { "q35,smm=on" } else { "q35,smm=off" });
    // Hardware acceleration is never asked for, so that a test means the same on every host.
    // Without cmpxchg16b: before QEMU 8.0 its emulation reads condition codes that were not stored yet, so an interrupt
    // beside it can leave a pointer in EFLAGS, and the guest's kernel dies in one of some hundred starts.
    line.pair("-accel", "tcg,thread=multi").pair("-cpu", "max,-cx16");
    line.pair("-m", &format!("{}M", machine.memory_mib));
    line.pair("-smp", &machine.cpus.to_string());
    line.word("-no-reboot").word("-nodefaults").pair("-display", "none").pair("-device", "VGA");
    line.pair("-chardev", "stdio,id=console,signal=off").pair("-serial", "chardev:console");
    // What a machine is called, as every real one is. The licenses of the tests are bound to it.
    line.pair("-uuid", "6f1d1a52-0c55-4d3c-9a50-5a1f6b0c7e11");
    line.pair("-smbios", "type=1,serial=AEGIS-SYSTEM-1").pair("-smbios", "type=2,serial=AEGIS-BOARD-1");
    line.path("-qmp", "unix:", &place.qmp, ",server=on,wait=off");
    line.pair("-device", "qemu-xhci,id=usb").pair("-device", "usb-kbd,bus=usb.0");
    if let Some((code, variables)) = &place.firmware {
        line.path("-drive", "if=pflash,unit=0,format=raw,readonly=on,file=", code, "");
        line.path("-drive", "if=pflash,unit=1,format=raw,file=", variables, "");
    }
    if secure {
        line.pair("-global", "driver=cfi.pflash01,property=secure,value=on");
        line.pair("-global", "ICH9-LPC.disable_s3=1");
    }
    machine.devices.iter().for_each(|device| {
        line.pair("-device", device);
    });
    let mut boot_index = 1;
    for (number, drive) in machine.drives.iter().enumerate() {
        let index = drive.boot.then_some(boot_index);
        boot_index += u32::from(drive.boot);
        line.drive(number, drive, index);
    }
    if let Some(direct) = &machine.direct {
        line.path("-kernel", "", &direct.directory.path().join("vmlinuz"), "");
        line.path("-initrd", "", &direct.directory.path().join("initrd.img"), "");
        line.pair("-append", &direct.append);
    }
    if let Some(state) = &machine.state {
        line.pair("-incoming", &format!("exec:cat '{}'", state.display()));
    }
    line.0
}

#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn word(&mut self, word: &str) -> &mut Self {
        self.0.push(word.into());
        self
    }

    fn pair(&mut self, option: &str, value: &str) -> &mut Self {
        self.word(option).word(value)
    }

    /// An option whose value ends in, or contains, a path; QEMU wants commas in it doubled.
    fn path(&mut self, option: &str, before: &str, path: &Path, after: &str) -> &mut Self {
        let plain = before.is_empty() && after.is_empty();
        let mut value = OsString::from(before);
        match path.to_str() {
            Some(text) if !plain => value.push(text.replace(',', ",,")),
            _ => value.push(path),
        }
        value.push(after);
        self.word(option);
        self.0.push(value);
        self
    }

    fn drive(&mut self, number: usize, drive: &Drive, boot_index: Option<u32>) {
        let writes = match (drive.bus, drive.writes) {
            (Bus::Cdrom, _) => ",media=cdrom,readonly=on",
            (_, Writes::Kept) => "",
            (_, Writes::Discarded) => ",snapshot=on",
            (_, Writes::Refused) => ",readonly=on",
        };
        let before = format!("if=none,id=drive{number},format=raw{writes},file=");
        self.path("-drive", &before, &drive.file, "");
        // Each port of the AHCI controller takes one drive, and QEMU alone would put the second beside the first.
        let port = format!(",bus=ide.{number}");
        let serial = format!(",serial={}", drive.serial);
        // A controller of its own, and what is plugged into it.
        let (controller, model, extra) = match drive.bus {
            Bus::Cdrom => (String::new(), "ide-cd", format!("{serial}{port}")),
            Bus::UsbStick => (String::new(), "usb-storage", format!("{serial},bus=usb.0,removable=on")),
            Bus::UsbHub => (
                "usb-hub,bus=usb.0,port=4".to_owned(),
                "usb-storage",
                format!("{serial},bus=usb.0,port=4.1,removable=on"),
            ),
            Bus::Uas => (
                format!("usb-uas,id=uas{number},bus=usb.0"),
                "scsi-hd",
                format!("{serial},bus=uas{number}.0"),
            ),
            Bus::Virtio => (String::new(), "virtio-blk-pci", serial),
            Bus::VirtioScsi => (
                format!("virtio-scsi-pci,id=scsi{number}"),
                "scsi-hd",
                format!("{serial},bus=scsi{number}.0"),
            ),
            Bus::Nvme => (String::new(), "nvme", serial),
            Bus::Nvme4096 => {
                let sectors = "logical_block_size=4096,physical_block_size=4096";
                (format!("nvme,id=nvme{number}{serial}"), "nvme-ns", format!(",bus=nvme{number},{sectors}"))
            }
            Bus::Sd => (format!("sdhci-pci,id=sdhci{number}"), "sd-card", ",bus=sd-bus".into()),
            Bus::Sata => (String::new(), "ide-hd", format!("{serial}{port}")),
        };
        if !controller.is_empty() {
            self.pair("-device", &controller);
        }
        let index = boot_index.map(|index| format!(",bootindex={index}")).unwrap_or_default();
        self.pair("-device", &format!("{model},drive=drive{number}{extra}{index}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_medium_is_never_written_and_a_disk_is() {
        let machine = Machine::new("x")
            .drive(Drive::medium("/a,b.iso", Bus::UsbStick).bootable())
            .drive(Drive::medium("/c.iso", Bus::Cdrom))
            .drive(Drive::disk("/d.img", Bus::Nvme, "N1"))
            .drive(Drive::disk("/e.img", Bus::Uas, "U1"))
            .drive(Drive::disk("/f.img", Bus::Nvme4096, "N2"));
        let place = Place { qmp: "/q".into(), firmware: None };
        let text = of(&machine, &place).join(std::ffi::OsStr::new(" ")).into_string().unwrap();
        for expected in [
            "if=none,id=drive0,format=raw,snapshot=on,file=/a,,b.iso",
            "usb-storage,drive=drive0,serial=AEGISMEDIUM,bus=usb.0,removable=on,bootindex=1",
            "if=none,id=drive1,format=raw,media=cdrom,readonly=on,file=/c.iso",
            "ide-cd,drive=drive1,serial=AEGISMEDIUM,bus=ide.1",
            "if=none,id=drive2,format=raw,file=/d.img",
            "nvme,drive=drive2,serial=N1",
            "-device usb-uas,id=uas3,bus=usb.0 -device scsi-hd,drive=drive3,serial=U1,bus=uas3.0",
            "-device nvme,id=nvme4,serial=N2 -device nvme-ns,drive=drive4,bus=nvme4,logical_block_size=4096,",
        ] {
            assert!(text.contains(expected), "{expected} is missing in {text}");
        }
        assert!(!text.contains("kvm"));
    }
}
