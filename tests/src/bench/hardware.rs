//! Hardware: the inventory against lsblk and lshw, a machine with many disks, partition plans, and how soon a change of a
//! disk is told.

mod events;
mod many;

use std::{
    hint::black_box,
    process::Command,
    time::{Duration, Instant},
};

use aegis_boot::programs;
use aegis_core::{hex::Hex, install::InstallId};
use aegis_hw::{
    Bytes, Tree, inventory,
    tables::{Layout, PartitionPlan},
    tree::Recording,
};

use super::{
    Bench,
    measure::{median, run, timed},
    report,
};
use crate::error::Error;

/// Each command and each reading is measured so often, in turns.
const ROUNDS: usize = 31;
/// Disks of the large machine.
const DISKS: usize = 200;
/// Longest reading of the large machine, in milliseconds.
const READING_LIMIT: f64 = 20.0;
/// Longest time from an event to the line about it, in milliseconds.
const EVENT_LIMIT: f64 = 50.0;
/// Plans that are wanted in a second.
const PLANS: f64 = 10_000.0;

/// The section of the report.
pub fn measure(bench: &Bench) -> Result<String, Error> {
    let mut text = String::from("## Hardware\n\n");
    text.push_str(&commands(bench)?);
    text.push_str(&many_disks(bench)?);
    text.push_str(&large_machine()?);
    text.push_str(&follow(bench)?);
    text.push_str(&plans()?);
    Ok(text)
}

fn wrong(problem: impl ToString) -> Error {
    Error::Format { what: "the hardware benchmark".into(), problem: problem.to_string() }
}

/// The installer as it is on the media.
pub(super) fn installer(bench: &Bench) -> Result<std::path::PathBuf, Error> {
    let installer = programs::IMAGE.iter().find(|program| program.name == "aegis-installer");
    let installer = installer.ok_or_else(|| wrong("the image has no installer"))?;
    Ok(programs::built(&bench.binaries, *installer)?)
}

/// A command with its arguments, and how the report calls it.
type Candidate<'a> = (&'static str, &'a str, &'a [&'a str]);

/// Medians in milliseconds of whole commands, run in turns.
fn in_turns<const N: usize>(candidates: &[Candidate<'_>; N]) -> Result<[f64; N], Error> {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for ((name, program, arguments), times) in candidates.iter().zip(&mut times) {
            let mut command = Command::new(program);
            command.args(*arguments);
            let (_, seconds) = timed(|| run(name, &mut command)).map_err(|error| missing(program, error))?;
            times.push(seconds * 1e3);
        }
    }
    Ok(times.map(|times| median(&times)))
}

fn rows<const N: usize>(candidates: &[Candidate<'_>; N], times: [f64; N]) -> String {
    let rows = candidates.iter().zip(times);
    let rows: Vec<_> =
        rows.map(|((name, ..), time)| vec![format!("`{name}`"), format!("{time:.2} ms")]).collect();
    report::table(&["command", "time"], &rows)
}

/// This machine, by whole commands.
fn commands(bench: &Bench) -> Result<String, Error> {
    let ours = installer(bench)?.display().to_string();
    let candidates = [
        ("aegis-installer devices --json", ours.as_str(), &["devices", "--json"][..]),
        ("lsblk -J -O", "lsblk", &["-J", "-O"]),
        ("lshw -json -class disk", "lshw", &["-json", "-class", "disk"]),
        ("true", "true", &[]),
    ];
    let times = in_turns(&candidates)?;
    let [ours, lsblk, lshw, _nothing] = times;
    let mut text = format!(
        "This machine, whole commands; medians of {ROUNDS} rounds in turns. `true` is what a process costs that does nothing.\n\n"
    );
    text.push_str(&rows(&candidates, times));
    text.push_str(&format!("\nAgainst lshw: {:.1} times.\n", lshw / ours));
    text.push_str(&report::target("time against lsblk", lsblk / ours, 5.0));
    Ok(text)
}

/// A machine with many disks whose files lie below a directory, by whole commands.
fn many_disks(bench: &Bench) -> Result<String, Error> {
    let directory = tempfile::tempdir().map_err(Error::io("create", "a directory"))?;
    many::unpack(&many::text(DISKS), directory.path())?;
    let ours = installer(bench)?.display().to_string();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let (root, sys, proc, dev) = (at(""), at("sys"), at("proc"), at("dev"));
    let arguments = ["devices", "--json", "--sysfs-root", &sys, "--proc-root", &proc, "--dev-root", &dev];
    let candidates = [
        ("aegis-installer devices --json --sysfs-root …", ours.as_str(), &arguments[..]),
        ("lsblk -J -O --sysroot …", "lsblk", &["-J", "-O", "--sysroot", &root]),
    ];
    for (name, program, arguments) in &candidates {
        let told = run(name, Command::new(program).args(*arguments))?;
        let last = many::last_partition(DISKS);
        if !told.contains(&last) {
            return Err(wrong(format!("{name} does not tell of {last}")));
        }
    }
    let times = in_turns(&candidates)?;
    let [ours, lsblk] = times;
    let mut text = format!("\nA machine with {DISKS} disks, as files:\n\n");
    text.push_str(&rows(&candidates, times));
    text.push_str(&format!("\nAgainst lsblk: {:.1} times.\n", lsblk / ours));
    Ok(text)
}

/// The package of a program that is not there.
fn missing(program: &str, error: Error) -> Error {
    match error {
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            let package = if program == "lshw" { "lshw" } else { "util-linux" };
            Error::Missing { what: program.to_owned(), package }
        }
        error => error,
    }
}

/// A recorded machine with many disks.
fn large_machine() -> Result<String, Error> {
    let text = many::text(DISKS);
    let (mut parsing, mut reading) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let parsed = timed(|| Recording::parse(text.as_bytes()).map_err(wrong))?;
        parsing.push(parsed.1 * 1e3);
        let tree = Tree::recorded(parsed.0);
        let (disks, seconds) = timed(|| inventory::disks(&tree).map_err(wrong))?;
        if disks.len() != DISKS {
            return Err(wrong(format!("{} of {DISKS} disks were found", disks.len())));
        }
        reading.push(seconds * 1e3);
    }
    let (parsing, reading) = (median(&parsing), median(&reading));
    let mut text = format!(
        "\nA recorded machine with {DISKS} disks and {} partitions: full inventory in {reading:.2} ms, the recording itself \
         is read in {parsing:.2} ms; medians of {ROUNDS}. The limit is {READING_LIMIT:.0} ms.\n",
        DISKS * many::PARTITIONS
    );
    text.push_str(&report::target("time of the inventory", READING_LIMIT / reading, 1.0));
    Ok(text)
}

/// Events of the kernel, to the line about them.
fn follow(bench: &Bench) -> Result<String, Error> {
    let measured = events::measure(&installer(bench)?)?;
    let most = measured.times.iter().copied().fold(0.0, f64::max);
    let middle = median(&measured.times);
    let mut text = format!(
        "\n`devices --watch`, by events of the {}: from the event, made by a write to a file `uevent`, to the line on standard \
         output: median {middle:.1} ms, at most {most:.1} ms in {} rounds, most of it the wait for the end of a burst. Asleep \
         for {} s it was woken {} times, and the limit is {EVENT_LIMIT:.0} ms.\n",
        measured.source,
        measured.times.len(),
        events::IDLE.as_secs(),
        measured.woken,
    );
    text.push_str(&report::target("time from event to line", EVENT_LIMIT / most, 1.0));
    text.push_str(&format!("- no polling: {}.\n", if measured.woken == 0 { "met" } else { "MISSED" }));
    Ok(text)
}

/// Plans of the installed system's table, each for a disk of another size.
fn plans() -> Result<String, Error> {
    let gib = |count: u64| Bytes(count << 30);
    let layout = Layout { esp: gib(1), slot: gib(4), data_minimum: gib(1) };
    let (start, mut count) = (Instant::now(), 0_u64);
    while start.elapsed() < Duration::from_secs(1) {
        let size = Bytes(gib(16).0 + count * 4096);
        let sector = if count.is_multiple_of(2) { 512 } else { 4096 };
        let plan = PartitionPlan::new(InstallId(Hex([7; 16])), size, sector, &layout).map_err(wrong)?;
        black_box(plan);
        count += 1;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    let mut text = format!("\nPartition plans: {rate:.0} in a second.\n");
    text.push_str(&report::target("plans in a second", rate / PLANS, 1.0));
    Ok(text)
}
