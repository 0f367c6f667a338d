//! `aegis-installer install`: an installation without questions.

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use aegis_core::{hex::Hex, install::InstallId};
use aegis_hw::{Lock, inventory};

use super::{PathArgs, lines};
use crate::{
    answers::Answers,
    apply::{self, Context},
    config::Seed,
    error::Error,
    graphics, password,
    plan::{self, TargetDisk},
    select,
    source::Source,
};

#[derive(Debug, clap::Args)]
pub(super) struct InstallArgs {
    /// The answer file, TOML.
    #[arg(long, value_name = "FILE")]
    answers: PathBuf,

    /// Prints what would be done and changes nothing.
    #[arg(long)]
    plan: bool,

    /// Prints JSON: the plan as one value, progress as one event a line.
    #[arg(long)]
    json: bool,

    /// Writes to this block device or existing file.
    ///
    /// Without it the answers choose the disk. A file is confirmed by its name.
    #[arg(long, value_name = "PATH")]
    target: Option<PathBuf>,
}

pub(super) fn run(paths: &PathArgs, args: &InstallArgs) -> Result<(), Error> {
    if !args.plan {
        paths.writable("install")?;
    }
    let answers = Answers::read(&args.answers)?;
    let (image, source) = paths.source()?;
    select::check_edition(&answers, &source)?;
    let target = choose(paths, args, &answers, &source)?;
    if !args.plan {
        select::check_confirmation(&answers, &target)?;
    }
    let graphics = graphics::of_machine(&paths.tree()?, &source.edition.packages);
    let plan = plan::plan(&source, &answers, target, &seed()?, graphics)?;
    if args.plan {
        let json = || format!("{:#}\n", serde_json::json!(plan));
        lines::out(&if args.json { json() } else { plan.to_string() });
        return Ok(());
    }
    let _lock = Lock::take(&paths.lock)?;
    let _awake = lines::stay_awake("a system is being installed");
    let context = Context { source: &source, staging: &paths.staging, undo: &paths.undo_file };
    let mut observer = lines::Observer::new(args.json);
    let result = apply::apply(&plan, context, &mut observer);
    if let (Err(error), true) = (&result, args.json) {
        lines::failed(error);
    }
    result?;
    drop(image);
    lines::installed(&plan, args.json);
    Ok(())
}

fn choose(
    paths: &PathArgs,
    args: &InstallArgs,
    answers: &Answers,
    source: &Source,
) -> Result<TargetDisk, Error> {
    let tree = paths.tree()?;
    let medium = select::medium_disks(&tree, &paths.state)?;
    let needed = select::needed(source);
    match &args.target {
        Some(path) => select::by_path(&tree, path, &medium, needed, false).map(|(target, _)| target),
        None => select::by_answers(&inventory::disks(&tree)?, &answers.disk, &medium, needed),
    }
}

/// Fresh numbers and the time of day.
pub(crate) fn seed() -> Result<Seed, Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    Ok(Seed { install: InstallId(Hex(password::random()?)), machine_id: Hex(password::random()?), now })
}
