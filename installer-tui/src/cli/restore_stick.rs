//! `aegis-installer restore-stick`: an ordinary stick again.

use std::{
    io::{self, BufRead, IsTerminal},
    path::PathBuf,
};

use aegis_core::report::{Hint, render};
use aegis_hw::{Bytes, Lock};
use clap::ValueEnum;
use serde_json::json;

use super::{PathArgs, lines, signals::Asked};
use crate::{
    error::Error,
    password,
    reports::Report,
    select,
    stick::{self, FileSystem, Phase, StickPlan, Wishes},
};

#[derive(Debug, clap::Args)]
pub(super) struct StickArgs {
    /// Device to erase. An existing regular file can stand for it.
    device: PathBuf,

    /// File system of the one partition.
    ///
    /// Without it, FAT32 up to 32 GiB, and exFAT for larger sticks. FAT32 holds
    /// no file of 4 GiB or more.
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<FormatArg>,

    /// Name of the volume, at most 11 characters.
    #[arg(long, value_name = "LABEL", default_value = "")]
    label: String,

    /// Serial number of the device.
    ///
    /// It confirms that the device is to be erased. Without it, it is asked for.
    /// A device without a serial number is confirmed by its name.
    #[arg(long, value_name = "SERIAL")]
    serial: Option<String>,

    /// Erases a disk that cannot be taken out, too.
    #[arg(long)]
    fixed_disk: bool,

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

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    Fat32,
    Exfat,
}

impl From<FormatArg> for FileSystem {
    fn from(argument: FormatArg) -> Self {
        match argument {
            FormatArg::Fat32 => Self::Fat32,
            FormatArg::Exfat => Self::Exfat,
        }
    }
}

pub(super) fn run(paths: &PathArgs, args: &StickArgs) -> Result<(), Error> {
    paths.writable("write a stick")?;
    let tree = paths.tree()?;
    let medium = select::medium_disks(&tree, &paths.state)?;
    let wishes = Wishes {
        file_system: args.format.map(FileSystem::from),
        label: args.label.clone(),
        fixed_disk: args.fixed_disk,
        unmount: args.unmount,
        random: password::random()?,
    };
    let plan = StickPlan::new(&tree, &args.device, &medium, &wishes)?;
    if args.plan {
        lines::out(&if args.json { format!("{:#}\n", json!(plan)) } else { plan.to_string() });
        return Ok(());
    }
    confirm(&plan, args)?;
    let _lock = Lock::take(&paths.lock)?;
    let asked = Asked::take().map_err(Error::io("receive", "signals"))?;
    let _awake = lines::stay_awake("a stick is being written");
    let mut told = None;
    let result = stick::run(&plan, &mut |report| tell(&plan, args.json, &mut told, &report) && !asked.now());
    end(&plan, args.json, result)
}

fn confirm(plan: &StickPlan, args: &StickArgs) -> Result<(), Error> {
    let expected = &plan.target.token;
    let found = match &args.serial {
        Some(word) => word.clone(),
        None if !args.json && io::stdin().is_terminal() => {
            lines::out(&format!("{plan}Type `{expected}` to erase {}: ", plan.target.path.display()));
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line).map_err(Error::Terminal)?;
            line.trim().to_owned()
        }
        None => String::new(),
    };
    if found == *expected {
        return Ok(());
    }
    Err(Error::Confirmation { expected: expected.clone(), found })
}

fn tell(plan: &StickPlan, json: bool, told: &mut Option<(Phase, u64)>, report: &Report<Phase>) -> bool {
    let path = &plan.target.path;
    if json {
        let mut value = json!(report);
        value["event"] = json!("progress");
        value["device"] = json!(path);
        lines::out(&format!("{value}\n"));
        return true;
    }
    let Report { phase, bytes, total, rate, eta, .. } = *report;
    let tenth = bytes.saturating_mul(10) / total.max(1);
    if told.replace((phase, tenth)) != Some((phase, tenth)) {
        let what = match phase {
            Phase::Write => "writing",
            Phase::Verify => "verifying",
        };
        let left = eta.map(|s| format!(", {s} s left")).unwrap_or_default();
        lines::out(&format!("{}: {what} {tenth}0 %, {}/s{left}\n", path.display(), Bytes(rate)));
    }
    true
}

fn end(plan: &StickPlan, json: bool, result: Result<stick::Done, Error>) -> Result<(), Error> {
    let path = &plan.target.path;
    match &result {
        Ok(done) if json => {
            let mut value = json!(done);
            value["event"] = json!("complete");
            value["device"] = json!(path);
            lines::out(&format!("{value}\n"));
        }
        Ok(done) => {
            let (_, size) = plan.partition();
            let (system, ms) = (plan.file_system, done.ms);
            lines::out(&format!(
                "{}: an empty {system} of {}, read back, in {}.{} s\n",
                path.display(),
                Bytes(size),
                ms / 1000,
                ms % 1000 / 100,
            ));
        }
        Err(error) if json => {
            let disk = if let Error::Flash { disk, .. } = error { json!(disk) } else { json!(null) };
            let code = error.exit_code();
            let end = json!({
                "event": "failed", "device": path, "disk": disk, "error": render(error), "code": code,
            });
            lines::out(&format!("{end}\n"));
        }
        Err(_) => {}
    }
    result.map(drop)
}
