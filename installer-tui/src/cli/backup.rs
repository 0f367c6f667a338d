//! `aegis-installer backup`: a disk or partition as an image file.

use std::path::PathBuf;

use aegis_core::report::{Hint, render};
use aegis_hw::Bytes;
use clap::ValueEnum;
use serde_json::json;

use super::{PathArgs, lines, signals::Asked};
use crate::{
    backup::{self, BackupPlan, Bad, Done, Phase, Wishes},
    error::Error,
    flash::format::Format,
    reports::Report,
};

#[derive(Debug, clap::Args)]
pub(super) struct BackupArgs {
    /// Disk or partition to read.
    ///
    /// It must not be in use, or be mounted read-only: what changes while it is
    /// read would be copied torn. An existing regular file can stand for it.
    device: PathBuf,

    /// Image file to make, and beside it FILE.sha256.
    ///
    /// The ending says how it is stored: .zst, .gz and .xz are compressed,
    /// anything else is raw, with holes in place of zeros. It can be read by its
    /// owner alone. Until it is complete it is called .FILE.….partial.
    file: PathBuf,

    /// How the image is stored, whatever the ending of its name says.
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<FormatArg>,

    /// Replaces files of these names.
    #[arg(long)]
    overwrite: bool,

    /// Goes on after read errors, with zeros in place of what is lost.
    ///
    /// Each such place is told, and the exit code is 1.
    #[arg(long)]
    skip_errors: bool,

    /// Prints what would be done and changes nothing.
    #[arg(long)]
    plan: bool,

    /// Prints JSON: the plan as one value, progress as one event a line.
    #[arg(long)]
    json: bool,
}

/// Formats that are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    Raw,
    Zst,
    Gz,
    Xz,
}

impl From<FormatArg> for Format {
    fn from(argument: FormatArg) -> Self {
        match argument {
            FormatArg::Raw => Self::Raw,
            FormatArg::Zst => Self::Zstd,
            FormatArg::Gz => Self::Gzip,
            FormatArg::Xz => Self::Xz,
        }
    }
}

/// Bad places that are listed for people.
const LISTED: usize = 16;

pub(super) fn run(paths: &PathArgs, args: &BackupArgs) -> Result<(), Error> {
    paths.writable("copy a disk")?;
    let wishes = Wishes {
        format: args.format.map(Format::from),
        overwrite: args.overwrite,
        skip_errors: args.skip_errors,
    };
    let plan = BackupPlan::new(&paths.tree()?, &args.device, &args.file, wishes)?;
    if args.plan {
        lines::out(&if args.json { format!("{:#}\n", json!(plan)) } else { plan.to_string() });
        return Ok(());
    }
    let asked = Asked::take().map_err(Error::io("receive", "signals"))?;
    let _awake = lines::stay_awake("a disk is being copied");
    let mut lines = Lines { plan: &plan, json: args.json, told: None };
    let result = backup::run(&plan, &mut |event| lines.report(&event) && !asked.now())
        .and_then(|done| lines.end(&done));
    if let (true, Err(error)) = (args.json, &result) {
        let code = error.exit_code();
        let device = &plan.device.path;
        let end = json!({ "event": "failed", "device": device, "error": render(error), "code": code });
        lines::out(&format!("{end}\n"));
    }
    result
}

/// Progress as lines.
struct Lines<'a> {
    plan: &'a BackupPlan,
    json: bool,
    /// Phase and tenth that were told last.
    told: Option<(Phase, u64)>,
}

impl Lines<'_> {
    fn report(&mut self, event: &Report<Phase>) -> bool {
        if self.json {
            let mut value = json!(event);
            value["event"] = json!("progress");
            value["device"] = json!(self.plan.device.path);
            lines::out(&format!("{value}\n"));
            return true;
        }
        let Report { phase, bytes, total, rate, eta, .. } = *event;
        let tenth = bytes.saturating_mul(10) / total.max(1);
        if self.told != Some((phase, tenth)) {
            self.told = Some((phase, tenth));
            let (what, path) = match phase {
                Phase::Copy => ("reading", &self.plan.device.path),
                Phase::Verify => ("reading back", &self.plan.file),
            };
            let left = eta.map(|s| format!(", {s} s left")).unwrap_or_default();
            lines::out(&format!("{}: {what} {tenth}0 %, {}/s{left}\n", path.display(), Bytes(rate)));
        }
        true
    }

    /// The last line; an error when something of the device is not in the image.
    fn end(&self, done: &Done) -> Result<(), Error> {
        let BackupPlan { device, file, .. } = self.plan;
        let Done { bytes, sha256, stored, bad, ms } = done;
        if self.json {
            let mut value = json!(done);
            value["event"] = json!("complete");
            value["device"] = json!(device.path);
            value["file"] = json!(file);
            lines::out(&format!("{value}\n"));
        } else {
            let (read, stored) = (Bytes(*bytes), Bytes(*stored));
            let rate = Bytes(bytes.saturating_mul(1000) / (*ms).max(1));
            for Bad { offset, length } in bad.iter().take(LISTED) {
                lines::out(&format!("{}: {length} bytes at {offset} are lost\n", device.path.display()));
            }
            if bad.len() > LISTED {
                lines::out(&format!("and {} places more\n", bad.len() - LISTED));
            }
            lines::out(&format!(
                "{}: {read} on {stored}, read back, in {}.{} s ({rate}/s), SHA-256 of the content {sha256}\n",
                file.display(),
                ms / 1000,
                ms % 1000 / 100,
            ));
        }
        if bad.is_empty() {
            return Ok(());
        }
        let bytes = Bytes(bad.iter().map(|bad| bad.length).sum());
        Err(Error::Unread { device: device.path.clone(), bytes, places: bad.len() })
    }
}
