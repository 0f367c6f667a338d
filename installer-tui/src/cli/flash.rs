//! `aegis-installer flash`: an image on sticks, without screens.

use std::{
    io::{self, BufRead, IsTerminal},
    path::PathBuf,
};

use aegis_core::{
    hex::Digest,
    report::{Hint, render},
};
use aegis_hw::{Bytes, Lock};
use serde_json::json;

use super::{PathArgs, lines, live};
use crate::{
    error::{DiskState, Error},
    flash::{
        self, Event, FlashPlan, Outcome, Phase,
        image::{Authority, ImageFile},
        plan::Wishes,
    },
    select,
};

#[derive(Debug, clap::Args)]
pub(super) struct FlashArgs {
    /// The image: raw, or as .gz, .xz, .bz2, .zst or .lz4.
    #[arg(required_unless_present = "live")]
    image: Option<PathBuf>,

    /// Copies the medium that this system runs from.
    ///
    /// Its files are compared with its signed manifest first.
    #[arg(long, conflicts_with_all = ["image", "sha256", "sums"])]
    live: bool,

    /// Device to erase and write; several times for several devices.
    ///
    /// An existing regular file can stand for a device.
    #[arg(long = "to", value_name = "DEVICE", required = true)]
    to: Vec<PathBuf>,

    /// Serial number of a device, once for each.
    ///
    /// It confirms that this device is to be erased. Without it, it is asked for.
    /// A device without a serial number is confirmed by its name.
    #[arg(long, value_name = "SERIAL")]
    serial: Vec<String>,

    /// SHA-256 that the image file must have.
    ///
    /// Without it, files such as SHA256SUMS beside the image are used.
    #[arg(long, value_name = "HEX", conflicts_with = "sums", value_parser = parse_digest)]
    sha256: Option<Digest>,

    /// File of digests that must name the image.
    #[arg(long, value_name = "FILE")]
    sums: Option<PathBuf>,

    /// Writes only what differs from what is on the device.
    #[arg(long)]
    update: bool,

    /// Unmounts what a desktop mounted of a removable device.
    #[arg(long)]
    unmount: bool,

    /// Prints what would be done and changes nothing.
    #[arg(long)]
    plan: bool,

    /// Prints JSON: the plan as one value, progress as one event a line.
    #[arg(long)]
    json: bool,
}

/// What says which digest the image must have.
pub(super) fn authority(digest: Option<Digest>, sums: Option<&PathBuf>) -> Authority {
    match (digest, sums) {
        (Some(digest), _) => Authority::Typed(digest),
        (None, Some(file)) => Authority::Sums(file.clone()),
        (None, None) => Authority::Beside,
    }
}

pub(super) fn parse_digest(text: &str) -> Result<Digest, String> {
    Digest::parse(&text.to_ascii_lowercase()).ok_or_else(|| "expected 64 hexadecimal digits".into())
}

pub(super) fn run(paths: &PathArgs, args: &FlashArgs) -> Result<(), Error> {
    paths.writable("write an image")?;
    let image = match &args.image {
        Some(file) => ImageFile::look(file, &authority(args.sha256, args.sums.as_ref()))?,
        None => live::image(paths, args.json)?,
    };
    let tree = paths.tree()?;
    let medium = select::medium_disks(&tree, &paths.state)?;
    let plan = FlashPlan::new(
        &tree,
        image,
        &args.to,
        &medium,
        Wishes { update: args.update, unmount: args.unmount },
    )?;
    if args.plan {
        let json = || format!("{:#}\n", json!(plan));
        lines::out(&if args.json { json() } else { plan.to_string() });
        return Ok(());
    }
    confirm(&plan, args)?;
    let _lock = Lock::take(&paths.lock)?;
    let _awake = lines::stay_awake("sticks are being written");
    let mut lines = Lines::new(&plan, args.json);
    let outcomes = flash::run(&plan, &mut |event| lines.report(&event))?;
    let total = outcomes.len();
    let mut failures: Vec<Error> = Vec::new();
    for (target, outcome) in plan.targets.iter().zip(outcomes) {
        failures.extend(lines.end(target.path.clone(), outcome));
    }
    if total > 1 && !failures.is_empty() {
        failures.iter().for_each(|error| eprintln!("{}", render(error)));
        return Err(Error::FlashSome { failed: failures.len(), all: total });
    }
    failures.pop().map_or(Ok(()), Err)
}

fn confirm(plan: &FlashPlan, args: &FlashArgs) -> Result<(), Error> {
    if !args.serial.is_empty() || args.json || !io::stdin().is_terminal() {
        return plan.check_confirmation(&args.serial);
    }
    lines::out(&plan.to_string());
    let mut typed = Vec::new();
    for target in &plan.targets {
        lines::out(&format!("Type `{}` to erase {}: ", target.token, target.path.display()));
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(Error::Terminal)?;
        typed.push(line.trim().to_owned());
    }
    plan.check_confirmation(&typed)
}

/// Progress as lines.
struct Lines<'a> {
    plan: &'a FlashPlan,
    json: bool,
    /// Phase and tenth that were told last, for each device.
    told: Vec<Option<(Phase, u64)>>,
}

impl<'a> Lines<'a> {
    fn new(plan: &'a FlashPlan, json: bool) -> Self {
        Self { plan, json, told: vec![None; plan.targets.len()] }
    }

    fn report(&mut self, event: &Event) -> bool {
        let device = &self.plan.targets[event.device].path;
        if self.json {
            let mut value = json!(event);
            value["event"] = json!("progress");
            value["device"] = json!(device);
            lines::out(&format!("{value}\n"));
            return true;
        }
        let Event { phase, bytes, total, rate, eta, waits, .. } = event;
        // The end is told with what it ended as.
        if matches!(phase, Phase::Complete | Phase::Failed) {
            return true;
        }
        let tenth = total.and_then(|total| bytes.saturating_mul(10).checked_div(total));
        // Where the end is not known, a line for each gibibyte.
        let step = tenth.unwrap_or(bytes >> 30);
        if let Some(seconds) = waits.filter(|seconds| seconds % 10 == 0) {
            lines::out(&format!("{}: no answer for {seconds} s\n", device.display()));
        }
        if self.told[event.device] != Some((*phase, step)) {
            self.told[event.device] = Some((*phase, step));
            let done = tenth.map_or_else(|| format!(" {}", Bytes(*bytes)), |tenth| format!(" {tenth}0 %"));
            let rate = if *rate > 0 { format!(", {}/s", Bytes(*rate)) } else { String::new() };
            let left = eta.map(|s| format!(", {s} s left")).unwrap_or_default();
            lines::out(&format!("{}: {phase}{done}{rate}{left}\n", device.display()));
        }
        true
    }

    /// Tells what a device ended as; the failure, if it did not end well.
    fn end(&self, device: PathBuf, outcome: Outcome) -> Option<Error> {
        let (disk, failure) = match outcome {
            Outcome::Complete { length, sha256, written, ms } => {
                let end = json!({
                    "event": "complete", "device": device, "bytes": length, "written": written,
                    "sha256": sha256, "ms": ms,
                });
                let (name, rate) = (device.display(), Bytes(length.saturating_mul(1000) / ms.max(1)));
                lines::out(&match self.json {
                    true => format!("{end}\n"),
                    false => format!(
                        "{name}: complete and read back, {} in {}.{} s ({rate}/s), SHA-256 {sha256}\n",
                        Bytes(length),
                        ms / 1000,
                        ms % 1000 / 100,
                    ),
                });
                return None;
            }
            Outcome::Untouched(failure) => (DiskState::Untouched, failure),
            Outcome::NotBootable(failure) => (DiskState::NotInstalled, failure),
        };
        let error = Error::Flash { device: device.clone(), disk, source: Box::new(failure) };
        if self.json {
            let code = error.exit_code();
            let end = json!({
                "event": "failed", "device": device, "disk": disk, "error": render(&error), "code": code,
            });
            lines::out(&format!("{end}\n"));
        }
        Some(error)
    }
}
