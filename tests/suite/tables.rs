//! Partition tables as the kernel of the live system reads them, whole and in the middle of a change.

use std::{
    fs::OpenOptions,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use aegis_hw::{
    Bytes, Error as DiskError,
    tables::{
        self, Attributes, Change, DiskFacts, DiskId, PartitionType, Region, Size, TablePlan, Wanted,
        WantedTable,
    },
    target::{Readable, Source},
    units::SectorSize,
};
use aegis_tests::{
    Error, Failure, TestResult, disk,
    host::patience,
    shell::Shell,
    vm::{Bus, Drive},
};
use uuid::Uuid;

use crate::live::{self, Medium};

/// Bytes of each of the disks that lie behind one another in one file.
const SLOT: u64 = 256 << 20;

/// Number, first and last byte of each partition.
type Places = Vec<(u32, u64, u64)>;

fn places(plan: &TablePlan) -> Places {
    let sector = plan.disk.sector_size.bytes().0;
    let one = |(number, placed): (u32, &tables::Placed)| {
        (number, placed.first.0 * sector, (placed.last.0 + 1) * sector)
    };
    (1..).zip(&plan.partitions).map(one).collect()
}

/// A layout that differs from all others in number, sizes and identifiers.
fn plan(number: u64, sector: SectorSize) -> Result<TablePlan, Failure> {
    let is_mbr = number % 4 == 3;
    let count = if is_mbr { 1 + number % 4 } else { 1 + number % 9 };
    let one = |partition: u64| Wanted {
        kind: if is_mbr { PartitionType::Mbr(0x83) } else { PartitionType::LINUX },
        guid: (!is_mbr).then(|| Uuid::from_u64_pair(number + 1, partition)),
        size: match partition == number % (count + 2) {
            true => Size::Rest(Bytes(1)),
            false => Size::Exactly(Bytes((1 + (number * 7 + partition * 3) % 16) << 20)),
        },
        name: if is_mbr { String::new() } else { format!("slot {number}") },
        attributes: Attributes(0),
    };
    let id = match is_mbr {
        true => DiskId::Signature(0x1000 + u32::try_from(number).unwrap_or(0)),
        false => DiskId::Guid(Uuid::from_u64_pair(number + 1, u64::MAX)),
    };
    let disk = DiskFacts::plain(Bytes(SLOT), sector);
    let wanted = WantedTable { id, partitions: (0..count).map(one).collect() };
    wanted.plan(disk).map_err(|reason| Failure::new(reason.to_string()))
}

/// A slot of the file, read as a disk.
struct Slot {
    file: Readable,
    start: u64,
    sector: SectorSize,
}

impl Source for Slot {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn size(&self) -> Bytes {
        Bytes(SLOT)
    }

    fn sector_size(&self) -> u32 {
        self.sector.into()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.file.read_at(self.start + offset, buffer)
    }
}

/// The file, and what the kernel may make of each slot.
struct Bench {
    path: PathBuf,
    expected: Vec<(SectorSize, Vec<Places>)>,
}

impl Bench {
    fn write(&self, slot: usize, region: &Region, bytes: usize) -> TestResult {
        let file = OpenOptions::new().write(true).open(&self.path).map_err(Error::io("open", &self.path))?;
        let at = SLOT * slot as u64 + region.offset;
        file.write_all_at(&region.bytes[..bytes], at).map_err(Error::io("write", &self.path))?;
        Ok(())
    }

    fn put(&self, slot: usize, plan: &TablePlan) -> TestResult {
        let encoded = tables::encode(plan, None).map_err(|error| Failure::new(error.to_string()))?;
        encoded.regions.iter().try_for_each(|region| self.write(slot, region, region.bytes.len()))
    }

    /// Whole tables of both kinds and for both sizes of sectors.
    fn whole(&mut self, number: u64, sector: SectorSize) -> TestResult {
        let plan = plan(number, sector)?;
        self.put(self.expected.len(), &plan)?;
        self.expected.push((sector, vec![places(&plan)]));
        Ok(())
    }

    /// One slot for each step of a change, which is cut in the middle of it.
    fn cuts(&mut self, sector: SectorSize) -> TestResult {
        let failed = |error: DiskError| Failure::new(error.to_string());
        let (old, new) = (plan(5, sector)?, plan(6, sector)?);
        let mut steps = 1;
        let mut cut = 0;
        while cut < steps {
            let slot = self.expected.len();
            self.put(slot, &old)?;
            let file = Readable::open(&self.path, sector.into()).map_err(failed)?;
            let source = Slot { file, start: SLOT * slot as u64, sector };
            let reading = tables::read(&source).map_err(failed)?;
            let encoded = tables::encode(&new, None).map_err(failed)?;
            let change = Change::replace(&source, &reading, &new, encoded).map_err(failed)?;
            steps = change.steps.len();
            for (number, step) in change.steps.iter().enumerate().take(cut + 1) {
                let half = step.bytes.len() / 2 / sector.length() * sector.length();
                self.write(slot, step, if number == cut { half } else { step.bytes.len() })?;
            }
            self.expected.push((sector, vec![places(&old), places(&new)]));
            cut += 1;
        }
        Ok(())
    }
}

/// What the kernel makes of every slot.
fn kernel(shell: &mut Shell<'_>, bench: &Bench) -> Result<Vec<Places>, Failure> {
    // udev would look at each device, and have the table read again whenever somebody closes it: partitions come and go.
    let sockets = "systemd-udevd-control.socket systemd-udevd-kernel.socket";
    shell.run(&format!("systemctl stop {sockets} systemd-udevd.service"))?;
    let mut all = Vec::new();
    for (slot, (sector, _)) in bench.expected.iter().enumerate() {
        let offset = SLOT * slot as u64;
        let script = format!(
            "d=$(losetup --find --show --sector-size {sector} --offset {offset} --sizelimit {SLOT} --partscan /dev/vda) && \
             n=${{d#/dev/}} && for p in /sys/block/$n/${{n}}p*; do test -e $p && \
             echo $(cat $p/partition $p/start $p/size); done; losetup --detach $d"
        );
        let text = shell.run_within(&script, patience(60))?;
        let mut found = Places::new();
        for line in text.lines() {
            let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
            let [number, start, size] = numbers[..] else {
                return Err(Failure::new(format!("slot {slot}: {text}")));
            };
            // The kernel counts in 512 bytes, whatever the size of a sector.
            found.push((u32::try_from(number).unwrap_or(0), start * 512, (start + size) * 512));
        }
        found.sort_unstable();
        all.push(found);
    }
    Ok(all)
}

/// Serial number of the disk that is repaired.
const DAMAGED: &str = "DAMAGED";

/// A disk of its own, the primary header of which is zeros.
fn damaged(path: &Path) -> Result<TablePlan, Failure> {
    disk::set_size(path, SLOT)?;
    let plan = plan(8, SectorSize::S512)?;
    let bench = Bench { path: path.into(), expected: Vec::new() };
    bench.put(0, &plan)?;
    let sector = SectorSize::S512.bytes().0;
    bench.write(0, &Region { name: "damage", offset: sector, bytes: vec![0; 512] }, 512)?;
    Ok(plan)
}

/// A device is repaired, the kernel reads what was lost, and an undo puts back every byte of the damage.
fn repair_a_device(shell: &mut Shell<'_>, plan: &TablePlan) -> TestResult {
    let node = shell.run(&format!("readlink -f /dev/disk/by-id/virtio-{DAMAGED}"))?;
    let name = node.trim_start_matches("/dev/").to_owned();
    let partitions = format!("cat /sys/block/{name}/{name}*/start 2>/dev/null | sort -n | tr '\\n' ' '");
    let content = format!("dd if={node} bs=1M iflag=direct status=none | sha256sum");
    let before = shell.run(&content)?;
    assert_eq!(shell.run(&partitions)?, "", "the kernel does not look for the backup");
    shell.run(&format!("aegis-installer table repair {node} --serial {DAMAGED}"))?;
    let starts: Vec<String> = plan.partitions.iter().map(|placed| placed.first.0.to_string()).collect();
    assert_eq!(shell.run(&partitions)?, starts.join(" "));
    assert_ne!(shell.run(&content)?, before);
    shell.run(&format!("aegis-installer table undo {node} --serial {DAMAGED}"))?;
    assert_eq!(shell.run(&content)?, before, "byte for byte as it was");
    Ok(())
}

#[test]
fn the_kernel_reads_what_was_planned_and_no_mixture_of_two_tables() -> TestResult {
    let directory = tempfile::tempdir().map_err(Error::io("create", "a directory"))?;
    let path = directory.path().join("tables.img");
    disk::set_size(&path, SLOT * 64)?;
    let mut bench = Bench { path, expected: Vec::new() };
    // Four have both kinds of tables; eight have up to eight partitions.
    let layouts = if std::env::var_os("AEGIS_ALL").is_some() { 16 } else { 4 };
    for sector in [SectorSize::S512, SectorSize::S4096] {
        (0..layouts).try_for_each(|number| bench.whole(number, sector))?;
        bench.cuts(sector)?;
    }
    assert!(bench.expected.len() <= 64, "{}", bench.expected.len());

    let medium = Medium::of_edition("server")?;
    let drive = Drive::disk(&bench.path, Bus::Virtio, "TABLES");
    let broken = directory.path().join("damaged.img");
    let former = damaged(&broken)?;
    let machine = medium.disk_machine("tables").memory_mib(1024).drive(drive);
    let mut vm = machine.drive(Drive::disk(&broken, Bus::Virtio, DAMAGED)).start()?;
    live::reach_installer(&mut vm)?;
    let mut shell = live::root_shell(&mut vm)?;
    repair_a_device(&mut shell, &former)?;
    let found = kernel(&mut shell, &bench)?;
    for (slot, (found, (sector, expected))) in found.iter().zip(&bench.expected).enumerate() {
        assert!(expected.contains(found), "slot {slot}, sectors of {sector}: {found:?}, not {expected:?}");
    }
    vm.mark("tables read");
    vm.cut_power()?;
    Ok(())
}
