//! The command line.

mod install;
mod lines;

use std::path::{Path, PathBuf};

use aegis_hw::{Bytes, inventory, text::Shown};
use clap::{Parser, Subcommand};

use crate::{
    answers::Answers,
    error::Error,
    live::{self, ImageRoot},
    select,
    source::{Paths, Source},
};

/// Installs Aegis OS to a disk.
///
/// Without a command, screens ask for everything that is needed. Nothing is written to a disk before its serial number was
/// typed at the end.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 80)]
pub struct Args {
    #[command(flatten)]
    paths: PathArgs,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Args)]
struct PathArgs {
    /// Directory where the medium is mounted.
    #[arg(long, global = true, value_name = "DIR", default_value = "/run/aegis/medium")]
    medium: PathBuf,

    /// Directory with the verified manifest and boot.json.
    #[arg(long, global = true, value_name = "DIR", default_value = "/run/aegis")]
    state: PathBuf,

    /// Directory with the image's files as they were built.
    ///
    /// Without it the image of the running live system is mounted read-only.
    #[arg(long, global = true, value_name = "DIR")]
    image_root: Option<PathBuf>,

    /// Directory in place of /sys.
    #[arg(long, global = true, value_name = "DIR")]
    sysfs_root: Option<PathBuf>,

    /// Directory in place of /proc.
    #[arg(long, global = true, value_name = "DIR")]
    proc_root: Option<PathBuf>,

    /// Directory for temporary files.
    ///
    /// It takes a copy of the image's /var for a while.
    #[arg(long, global = true, value_name = "DIR", default_value = "/tmp")]
    staging: PathBuf,

    /// Lock that keeps a second installer from writing.
    #[arg(long, global = true, value_name = "FILE", default_value = "/run/aegis-installer.lock")]
    lock: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Installs without questions, as an answer file says.
    Install(install::InstallArgs),

    /// Lists the disks, with the reasons against those that are not offered.
    Devices {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },

    /// Checks an answer file without looking at a disk.
    CheckAnswers {
        /// The answer file.
        file: PathBuf,
    },
}

/// Parses the command line and does what it says.
pub fn run() -> Result<(), Error> {
    let args = Args::parse();
    match &args.command {
        None => Err(Error::Terminal(std::io::Error::other("screens are not built yet"))),
        Some(Command::Install(install)) => install::run(&args.paths, install),
        Some(Command::Devices { json }) => devices(&args.paths, *json),
        Some(Command::CheckAnswers { file }) => check_answers(file),
    }
}

impl PathArgs {
    fn roots(&self) -> inventory::Roots {
        let mut roots = live::roots(self.sysfs_root.as_deref());
        if let Some(proc) = &self.proc_root {
            roots.proc.clone_from(proc);
        }
        roots
    }

    /// The image's files, and everything that is read from medium and image.
    fn source(&self) -> Result<(ImageRoot, Source), Error> {
        let image = match &self.image_root {
            Some(path) => ImageRoot::Given(path.clone()),
            None => ImageRoot::mount(&self.state)?,
        };
        let paths =
            Paths { medium: self.medium.clone(), state: self.state.clone(), image_root: image.path().into() };
        Source::read(paths).map(|source| (image, source))
    }
}

fn devices(paths: &PathArgs, json: bool) -> Result<(), Error> {
    let roots = paths.roots();
    let disks = inventory::disks(&roots)?;
    let medium = select::medium_disks(&roots, &paths.state)?;
    if json {
        let list: Vec<_> = disks
            .iter()
            .map(|d| serde_json::json!({ "disk": d, "confirm": d.confirm_token(), "refused": d.refusals(&medium, Bytes(0)) }))
            .collect();
        lines::out(&format!("{:#}\n", serde_json::Value::from(list)));
        return Ok(());
    }
    for disk in &disks {
        lines::out(&format!("{}  {}\n", disk.node.display(), disk.summary()));
        for partition in &disk.partitions {
            lines::out(&format!("    {}  {}\n", Shown(&partition.name), partition.size));
        }
        for reason in disk.refusals(&medium, Bytes(0)) {
            lines::out(&format!("    not offered: {reason}\n"));
        }
    }
    Ok(())
}

fn check_answers(file: &Path) -> Result<(), Error> {
    let answers = Answers::read(file)?;
    lines::out(&format!("{}: user {}, disk with {}\n", file.display(), answers.user.name, answers.disk));
    Ok(())
}
