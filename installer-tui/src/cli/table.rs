//! `aegis-installer table`: partition tables are shown, repaired, and put back.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::{Path, PathBuf},
};

use aegis_core::crypto::Ring;
use aegis_hw::{
    Bytes, Error as DiskError, Lock,
    tables::{self, Change, Finding, Level, Reading},
    target::{self, Readable, Target},
    undo::{DiskMark, Problem, Undo, Written},
    units::SectorSize,
};
use serde_json::json;

use super::{PathArgs, lines};
use crate::{error::Error, plan::TargetDisk, select};

#[derive(Debug, clap::Subcommand)]
pub(super) enum TableCommand {
    /// Shows a partition table and what is wrong with it; changes nothing.
    Show {
        #[command(flatten)]
        disk: DiskArgs,
    },

    /// Repairs a GPT from its other copy, and puts its backup at the end.
    ///
    /// What is written is shown first. Partitions and their content are not
    /// changed. The bytes that are replaced are kept in the undo
    /// file, which must not exist yet.
    Repair {
        #[command(flatten)]
        disk: DiskArgs,

        #[command(flatten)]
        consent: ConsentArgs,
    },

    /// Puts back what the undo file holds.
    ///
    /// Refused when anything else was written to those places since. The
    /// content of partitions is in no undo file.
    Undo {
        #[command(flatten)]
        disk: DiskArgs,

        #[command(flatten)]
        consent: ConsentArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct DiskArgs {
    /// Disk, or a file with the image of one.
    #[arg(value_name = "DISK")]
    path: PathBuf,

    /// Prints JSON.
    #[arg(long)]
    json: bool,

    /// Bytes of a sector of a file: 512 or 4096.
    ///
    /// Without it, those for which the file's table was made.
    #[arg(long, value_name = "BYTES")]
    sector_size: Option<u32>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ConsentArgs {
    /// Prints what would be done and changes nothing.
    #[arg(long)]
    plan: bool,

    /// Serial number of the disk, or the name of the file.
    ///
    /// Without it, a terminal asks for it.
    #[arg(long, value_name = "SERIAL")]
    serial: Option<String>,
}

pub(super) fn run(paths: &PathArgs, command: &TableCommand) -> Result<(), Error> {
    paths.writable("look at a disk's table")?;
    match command {
        TableCommand::Show { disk } => show(disk),
        TableCommand::Repair { disk, consent } => repair(paths, disk, consent),
        TableCommand::Undo { disk, consent } => undo(paths, disk, consent),
    }
}

/// Opens a disk for reading. A file says nothing of its sectors, but its table does.
fn open(disk: &DiskArgs) -> Result<(Readable, Reading), Error> {
    let usual = SectorSize::S512.into();
    let source = Readable::open(&disk.path, disk.sector_size.unwrap_or(usual))?;
    let reading = tables::read(&source)?;
    let other = reading.findings.iter().find_map(|finding| match finding {
        Finding::OtherSectorSize { made_for } => Some(u32::from(*made_for)),
        _ => None,
    });
    match other {
        // The size of a disk's sectors is its own, whatever is asked for.
        Some(other) if disk.sector_size.is_none() && disk.path.is_file() => {
            let source = Readable::open(&disk.path, other)?;
            let reading = tables::read(&source)?;
            Ok((source, reading))
        }
        _ => Ok((source, reading)),
    }
}

fn show(disk: &DiskArgs) -> Result<(), Error> {
    let (_, reading) = open(disk)?;
    if disk.json {
        lines::out(&format!("{:#}\n", json!(reading)));
        return Ok(());
    }
    let mut text = head(&reading);
    match &reading.table {
        Some(table) => text.push_str(&format!("{table}\n")),
        None => text.push_str("no partition table\n"),
    }
    for finding in &reading.findings {
        let level = match finding.level() {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Damage => "damage",
        };
        text.push_str(&format!("{level}: {finding}\n"));
    }
    match tables::repair(&reading) {
        Ok(repair) if !repair.actions.is_empty() => {
            let path = disk.path.display();
            text.push_str(&format!(
                "next: `aegis-installer table repair {path} --plan` shows what can be done\n"
            ));
        }
        Err(refusal) if reading.has(|finding| finding.level() == Level::Damage) => {
            text.push_str(&format!("next: {}\n", refusal.hint()));
        }
        _ => {}
    }
    lines::out(&text);
    Ok(())
}

fn head(reading: &Reading) -> String {
    format!("{}: {}, sectors of {} bytes\n", reading.path.display(), reading.size, reading.sector_size)
}

fn repair(paths: &PathArgs, disk: &DiskArgs, consent: &ConsentArgs) -> Result<(), Error> {
    let (_, reading) = open(disk)?;
    let refuse = |reason| DiskError::Refused { path: disk.path.clone(), reason };
    let repair = tables::repair(&reading).map_err(refuse)?;
    let plan =
        if disk.json { format!("{:#}\n", json!(repair)) } else { format!("{}{repair}\n", head(&reading)) };
    lines::out(&plan);
    if consent.plan || repair.actions.is_empty() {
        return Ok(());
    }
    let chosen = choose(paths, disk, &reading)?;
    let keep = &paths.undo_file;
    confirm(consent, &chosen)?;
    let _lock = Lock::take(&paths.lock)?;
    let target = target::open(&chosen.path, &chosen.identity)?;
    // Between the plan and the exclusive hold the disk may have changed.
    let now = tables::repair(&tables::read(target.as_ref())?).map_err(refuse)?;
    if now != repair {
        let reason = tables::Refusal::Changed;
        return Err(refuse(reason).into());
    }
    let undo =
        Undo::collect(target.as_ref(), &reading, mark(&chosen, &reading), Written::by(&repair.change))?;
    undo.save::<Ring>(keep, true)?;
    done(
        disk.json,
        &json!({ "event": "kept", "undo": keep }),
        &format!("kept what is replaced in {}", keep.display()),
    );
    apply(&repair.change, target.as_ref())?;
    done(disk.json, &json!({ "event": "repaired", "disk": disk.path }), "repaired");
    Ok(())
}

fn undo(paths: &PathArgs, disk: &DiskArgs, consent: &ConsentArgs) -> Result<(), Error> {
    let undo = Undo::load::<Ring>(&paths.undo_file)?;
    let source = Readable::open(&disk.path, undo.disk.sector_size.into())?;
    let change = undo.restore(&source)?;
    let plan = if disk.json { format!("{:#}\n", json!(change)) } else { describe(&undo, &change) };
    lines::out(&plan);
    if consent.plan || change.steps.is_empty() {
        return Ok(());
    }
    let mut chosen = choose_any(paths, &disk.path)?;
    if chosen.token != undo.disk.token {
        return Err(DiskError::Undo { path: disk.path.clone(), reason: Problem::OtherDisk }.into());
    }
    chosen.identity.sector_size = undo.disk.sector_size.into();
    confirm(consent, &chosen)?;
    let _lock = Lock::take(&paths.lock)?;
    let target = target::open(&chosen.path, &chosen.identity)?;
    apply(&undo.restore(target.as_ref())?, target.as_ref())?;
    done(disk.json, &json!({ "event": "restored", "disk": disk.path }), "as it was before");
    Ok(())
}

fn describe(undo: &Undo, change: &Change) -> String {
    if change.steps.is_empty() {
        return "nothing to undo: the disk is as it was\n".into();
    }
    let bytes = change.steps.iter().map(|step| step.bytes.len() as u64).sum();
    format!("{}: {} in {} places are put back\n", undo.disk.description, Bytes(bytes), change.steps.len())
}

/// The kernel's view is renewed too; where it keeps the old one, a restart does it.
fn apply(change: &Change, target: &dyn Target) -> Result<(), Error> {
    match change.apply(target) {
        Err(DiskError::Io { operation: "read the partition table of", .. }) => {
            lines::out("the kernel keeps the old table until the next start\n");
            Ok(())
        }
        other => Ok(other?),
    }
}

/// The disk, if nothing uses it and the running system did not come from it.
fn choose(paths: &PathArgs, disk: &DiskArgs, reading: &Reading) -> Result<TargetDisk, Error> {
    let mut chosen = choose_any(paths, &disk.path)?;
    // Of a file; a disk has no other.
    chosen.identity.sector_size = reading.sector_size.into();
    Ok(chosen)
}

fn choose_any(paths: &PathArgs, path: &Path) -> Result<TargetDisk, Error> {
    let tree = paths.tree()?;
    let medium = select::medium_disks(&tree, &paths.state)?;
    select::by_path(&tree, path, &medium, Bytes(0), false).map(|(target, _)| target)
}

fn mark(chosen: &TargetDisk, reading: &Reading) -> DiskMark {
    DiskMark {
        token: chosen.token.clone(),
        description: chosen.description.clone(),
        size: reading.size,
        sector_size: reading.sector_size,
    }
}

/// Demands the serial number, from the command line or from the person at the terminal.
fn confirm(consent: &ConsentArgs, chosen: &TargetDisk) -> Result<(), Error> {
    let found = match &consent.serial {
        Some(word) => word.clone(),
        None if io::stdin().is_terminal() => {
            lines::out(&format!("{}\nType {} to go on: ", chosen.description, chosen.token));
            io::stdout().flush().map_err(Error::io("write to", "the terminal"))?;
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line).map_err(Error::io("read from", "the terminal"))?;
            line.trim().to_owned()
        }
        None => String::new(),
    };
    if found == chosen.token {
        return Ok(());
    }
    Err(Error::Confirmation { expected: chosen.token.clone(), found })
}

fn done(as_json: bool, event: &serde_json::Value, text: &str) {
    lines::out(&if as_json { format!("{event}\n") } else { format!("{text}\n") });
}
