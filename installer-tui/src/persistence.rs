//! A partition behind the live image of a stick, in which the live system keeps what is changed.
//!
//! Invariant: the file system is made in room that no partition has, and the table that names it is written after that, so
//! that a stick that was interrupted starts as before. The image itself is not touched; [`crate::medium`] finds its own table again.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use aegis_core::{
    persistence::{LABEL, NAME},
    probe::iso9660::{self, Volume},
};
use aegis_hw::{
    Bytes, Tree,
    tables::{self, Attributes, Change, Copy, DiskFacts, PartitionType, Placed, Reading, Scheme, TablePlan},
    target::{self, Readable, Source, Target},
    units::{Lba, MIB, SectorSize},
};
use serde::Serialize;

use crate::{error::Error, password, plan::TargetDisk, select};

const MKE2FS: &str = "mke2fs";
/// Less is not worth a partition.
const LEAST: u64 = 128 * MIB;
/// Sectors of a table's backup at the end of a disk.
const BACKUP: u64 = 33;
/// Images that start machines have sectors of this size.
const SECTOR: SectorSize = SectorSize::S512;
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// What will be added to which stick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PersistencePlan {
    /// The stick.
    pub target: TargetDisk,
    /// Name of the image that is on it.
    pub image: String,
    /// First byte of the partition.
    pub start: u64,
    /// Its size.
    pub size: Bytes,
    /// The table with it.
    pub table: TablePlan,
    /// The program that makes the file system.
    pub program: PathBuf,
}

impl PersistencePlan {
    /// Looks at a stick. `wanted` is the partition's size; without it, it takes what is free.
    ///
    /// # Errors
    /// When the stick must not be used, holds no live image or is too small, and when the program that makes the file system is
    /// missing.
    pub fn new(
        tree: &Tree,
        device: &Path,
        medium: &BTreeSet<String>,
        wanted: Option<Bytes>,
    ) -> Result<Self, Error> {
        let (target, _) = select::by_path(tree, device, medium, Bytes(0), false)?;
        let refuse = |reason: &str| {
            let next = "`aegis-installer flash` writes the image anew, and with it its own table";
            Err(Error::Refused { disk: target.description.clone(), reasons: vec![reason.into()], next })
        };
        let source = Readable::open(&target.path, SECTOR.into())?;
        let Some(volume) = volume(&source)? else { return refuse("it holds no live image; write one first") };
        let reading = tables::read(&source)?;
        let mut table = match table(&reading, Bytes(volume.size)) {
            Ok(table) => table,
            Err(reason) => return refuse(reason),
        };
        let end = table.partitions.iter().map(|placed| (placed.last.0 + 1) * SECTOR.bytes().0).max();
        let start = volume.size.max(end.unwrap_or_default()).next_multiple_of(MIB);
        let usable = Bytes(source.size().0.saturating_sub(BACKUP * SECTOR.bytes().0)).align_down(Bytes(MIB));
        let free = usable.0.saturating_sub(start);
        let size = wanted.map_or(free, |wanted| wanted.0.next_multiple_of(MIB));
        if size > free || size < LEAST {
            let needed = Bytes(start + size.max(LEAST) + MIB);
            return Err(aegis_hw::Error::TooSmall { size: source.size(), needed }.into());
        }
        let program = find_program(MKE2FS).ok_or(Error::NoProgram { name: MKE2FS, package: "e2fsprogs" })?;
        table.partitions.push(placed(start, size)?);
        let image = volume.label.map(|label| label.to_string()).unwrap_or_default();
        Ok(Self { target, image, start, size: Bytes(size), table, program })
    }
}

/// What the file system of the image says of itself.
fn volume(source: &dyn Source) -> Result<Option<Volume>, Error> {
    let mut block = vec![0; iso9660::SIZE];
    if source.size().0 < iso9660::POSITION + iso9660::SIZE as u64 {
        return Ok(None);
    }
    source.read_at(iso9660::POSITION, &mut block)?;
    Ok(Volume::parse(&block).filter(|volume| volume.size > 0 && volume.size <= source.size().0))
}

/// The image's own table, as a plan for this disk; or the reason against it.
fn table(reading: &Reading, image: Bytes) -> Result<TablePlan, &'static str> {
    let own = reading.table.as_ref().filter(|table| {
        table.scheme == Scheme::Gpt && table.copy == Copy::Primary && reading.sector_size == SECTOR
    });
    let own = own.ok_or("its image has no GPT with sectors of 512 bytes")?;
    if own.partitions.iter().any(|partition| partition.kind == PartitionType::PERSISTENCE) {
        return Err("it has a partition for changes already");
    }
    let end = image.sectors(SECTOR).0;
    let in_order = (1..).zip(&own.partitions).all(|(number, partition)| partition.number == number);
    if !in_order || own.partitions.iter().any(|partition| partition.last.0 >= end) {
        return Err("its table is not the image's alone");
    }
    let one = |partition: &tables::Partition| Placed {
        first: partition.first,
        last: partition.last,
        kind: partition.kind,
        guid: partition.guid,
        name: partition.name.clone(),
        attributes: partition.attributes,
    };
    let disk = DiskFacts::plain(reading.size, SECTOR);
    Ok(TablePlan {
        disk,
        id: own.id,
        grain: Bytes(MIB),
        partitions: own.partitions.iter().map(one).collect(),
    })
}

fn placed(start: u64, size: u64) -> Result<Placed, Error> {
    let sector = SECTOR.bytes().0;
    Ok(Placed {
        first: Lba(start / sector),
        last: Lba((start + size) / sector - 1),
        kind: PartitionType::PERSISTENCE,
        guid: Some(uuid::Builder::from_random_bytes(password::random()?).into_uuid()),
        name: NAME.into(),
        attributes: Attributes::NO_AUTO,
    })
}

/// The directories of administration programs are not in everyone's path.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(usual)
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

impl fmt::Display for PersistencePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, image, start, size, .. } = self;
        writeln!(f, "Changed    {}: {}", target.path.display(), target.description)?;
        writeln!(f, "           confirmed by `{}`", target.token)?;
        writeln!(f, "Kept       the image \"{}\"", aegis_hw::text::Shown(image))?;
        writeln!(f, "Added      ext4 of {size} from byte {start} on, for what the live system changes")
    }
}

/// Opens the stick, proves that it is the chosen one, and adds the partition.
///
/// # Errors
/// Up to the table, the stick is as it was, apart from its free room.
pub fn run(plan: &PersistencePlan) -> Result<(), Error> {
    apply(plan, target::open(&plan.target.path, &plan.target.identity)?.as_ref())
}

fn apply(plan: &PersistencePlan, target: &dyn Target) -> Result<(), Error> {
    // What was on the stick before the image shall not be taken for the new file system.
    for offset in (plan.start..plan.start + MIB).step_by(ZEROS.len()) {
        target.write_at(offset, &ZEROS)?;
    }
    target.sync()?;
    make_file_system(plan, target)?;
    target.sync()?;
    target.forget_cache()?;
    check_file_system(plan, target)?;

    let now = tables::read(target)?;
    let mut table = tables::encode(&plan.table, None)?;
    let record = tables::protective_for(&now, Lba(plan.table.disk.size.sectors(SECTOR).0 - 1));
    if let (Some(boot), Some(record)) = (table.regions.last_mut(), record) {
        // With the code that starts a machine without UEFI.
        boot.bytes = record;
    }
    let change = Change::replace(target, &now, &plan.table, table)?;
    match change.apply(target) {
        // A kernel that is busy with the disk reads the table later.
        Err(aegis_hw::Error::Io { operation: "read the partition table of", .. }) => Ok(()),
        other => Ok(other?),
    }
}

fn make_file_system(plan: &PersistencePlan, target: &dyn Target) -> Result<(), Error> {
    let window = target.window(plan.start, plan.size)?;
    let output = Command::new(&plan.program)
        .args(["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-L", LABEL, "-E"])
        .arg(format!("offset={},nodiscard,root_owner=0:0", window.offset))
        .arg(&window.path)
        // Blocks of 4096 bytes.
        .arg((window.size.0 / 4096).to_string())
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(Error::io("run", &plan.program))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(Error::Program { name: MKE2FS, status: output.status, output: text })
}

/// The superblock, as the disk gives it back: its magic number and its label.
fn check_file_system(plan: &PersistencePlan, target: &dyn Target) -> Result<(), Error> {
    let mut block = vec![0; 4096];
    target.read_at(plan.start, &mut block)?;
    let label = &block[1024 + 120..1024 + 136];
    if block[1024 + 56..1024 + 58] == [0x53, 0xef] && label.starts_with(LABEL.as_bytes()) {
        return Ok(());
    }
    Err(aegis_hw::Error::ReadBack { path: target.path().into(), what: "file system" }.into())
}
