//! Four sticks at once, each of which then starts.

use std::{fs, path::PathBuf, process::Command};

use aegis_tests::{
    Error, Failure, TestResult, disk, host,
    host::patience,
    vm::{Bus, Drive, Firmware, Machine},
};
use tempfile::TempDir;

use super::{
    guest::{digest, nodes},
    run,
};
use crate::live;

const MIB: u64 = 1 << 20;
/// Size of a stick.
const STICK: u64 = 1024 * MIB;
const SERIALS: [&str; 4] = ["STICK-A", "STICK-B", "STICK-C", "STICK-D"];

/// Files of the sticks, of a disk that nobody names, and of the disk with the images.
struct Files {
    directory: TempDir,
    iso: PathBuf,
}

impl Files {
    fn make() -> Result<Self, Failure> {
        let directory = tempfile::tempdir().map_err(Error::io("create", std::env::temp_dir()))?;
        let files = Self { iso: host::iso("server")?, directory };
        for serial in SERIALS {
            disk::set_size(&files.path(serial), STICK)?;
        }
        fs::write(files.path("bystander"), vec![0xa5; 8 << 20]).map_err(Error::io("write", "bystander"))?;
        files.images()?;
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A file system with the compressed medium, and what says which one it is: a digest, and the range manifest.
    fn images(&self) -> TestResult {
        let folder = self.path("folder");
        fs::create_dir(&folder).map_err(Error::io("create", &folder))?;
        let archive = folder.join("aegis.iso.zst");
        run(Command::new("zstd").args(["-q", "-1", "-f"]).arg(&self.iso).arg("-o").arg(&archive))?;
        let digest = digest(&self.iso)?;
        let sums = folder.join("SHA256SUMS");
        fs::write(&sums, format!("{digest} *aegis.iso\n")).map_err(Error::io("write", &sums))?;
        let iso = self.iso.display();
        for end in ["ranges.json", "ranges.json.sig"] {
            let (from, to) = (format!("{iso}.{end}"), folder.join(format!("aegis.iso.{end}")));
            fs::copy(&from, to).map_err(Error::io("copy", from))?;
        }
        disk::set_size(&self.path("images"), 512 * MIB)?;
        run(Command::new("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(&folder).arg(self.path("images")))
    }

    fn machine(&self, name: &str) -> Result<Machine, Failure> {
        let mut machine = live::Medium::of_edition("server")?.disk_machine(name);
        machine = machine.drive(Drive::disk(self.path("images"), Bus::Virtio, "IMAGES")).drive(Drive::disk(
            self.path("bystander"),
            Bus::Virtio,
            "BYSTANDER",
        ));
        for serial in SERIALS {
            machine = machine.drive(Drive::disk(self.path(serial), Bus::UsbStick, serial));
        }
        Ok(machine)
    }
}

#[test]
fn four_sticks_at_once_and_each_starts() -> TestResult {
    let files = Files::make()?;
    let bystander = digest(&files.path("bystander"))?;
    let mut vm = files.machine("flash-four")?.start()?;
    live::reach_installer(&mut vm)?;
    let mut shell = live::root_shell(&mut vm)?;
    let nodes = nodes(&mut shell, &SERIALS)?;
    shell.run("mkdir -p /run/images && mount -o ro /dev/disk/by-id/virtio-IMAGES /run/images")?;

    // Another stick's serial number in place of one's own: nothing happens.
    let wrong =
        format!("aegis-installer flash /run/images/aegis.iso.zst --to {} --serial {}", nodes[0], SERIALS[1]);
    let (status, output) = shell.status(&wrong, patience(60))?;
    assert!(status == 3 && output.contains("is confirmed by `STICK-A`"), "{status}: {output}");

    // The live system's own key ring vouches for its edition, and for no other.
    let plan = format!("aegis-installer flash /run/images/aegis.iso.zst --to {} --plan --edition", nodes[0]);
    let output = shell.run(&format!("{plan} server"))?;
    assert!(output.contains("signed by ") && output.contains(" as Aegis OS server "), "{output}");
    let (status, output) = shell.status(&format!("{plan} gamer"), patience(60))?;
    assert!(status == 3 && output.contains("is of the edition server, not of gamer"), "{status}: {output}");

    let mut command = "aegis-installer flash /run/images/aegis.iso.zst".to_owned();
    for (node, serial) in nodes.iter().zip(SERIALS) {
        command.push_str(&format!(" --to {node} --serial {serial}"));
    }
    let output = shell.run_within(&command, patience(900))?;
    for node in &nodes {
        assert!(output.contains(&format!("{node}: complete and read back")), "{output}");
    }
    let ranges = "aegis-installer verify --ranges /run/images/aegis.iso.ranges.json --device";
    let output = shell.run_within(&format!("{ranges} {}", nodes[3]), patience(300))?;
    assert!(output.contains("every chunk that is needed is right"), "{output}");
    vm.mark("four sticks");
    vm.cut_power()?;

    assert_eq!(digest(&files.path("bystander"))?, bystander);
    let iso = fs::metadata(&files.iso).map_err(Error::io("look at", &files.iso))?.len();
    for serial in SERIALS {
        let path = files.path(serial);
        run(Command::new("cmp").args(["-n", &iso.to_string()]).arg(&files.iso).arg(&path))?;
        assert_eq!(fs::metadata(&path).map_err(Error::io("look at", &path))?.len(), STICK);
    }
    let starts = [(Firmware::Bios, 0), (Firmware::Uefi, 1), (Firmware::SecureBoot, 2), (Firmware::Bios, 3)];
    let wanted = if std::env::var_os("AEGIS_ALL").is_some() { starts.len() } else { 1 };
    for (firmware, stick) in &starts[..wanted] {
        let stick = SERIALS[*stick];
        let drive = Drive::disk(files.path(stick), Bus::UsbStick, stick).bootable();
        let machine = Machine::new(&format!("flash-{stick}")).firmware(*firmware).memory_mib(1024);
        let mut vm = machine.drive(drive).start()?;
        live::reach_installer(&mut vm)?;
        vm.cut_power()?;
    }
    Ok(())
}
