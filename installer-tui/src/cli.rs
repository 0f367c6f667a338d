//! The command line.

#[cfg(target_os = "linux")]
mod backup;
mod devices;
mod dialog;
#[cfg(target_os = "linux")]
mod download;
mod flash;
#[cfg(target_os = "linux")]
mod hardware;
#[cfg(target_os = "linux")]
mod install;
mod lines;
#[cfg(target_os = "linux")]
mod live;
#[cfg(target_os = "linux")]
mod machine;
mod map;
mod page;
mod persistence;
mod restore_stick;
#[cfg_attr(not(target_os = "linux"), path = "cli/signals/elsewhere.rs")]
mod signals;
#[cfg(target_os = "linux")]
mod table;
mod verify;

#[cfg(target_os = "linux")]
pub(crate) use install::seed;

use std::{
    fs,
    path::{Path, PathBuf},
};

use aegis_core::report::exit;
use aegis_hw::Tree;
#[cfg(target_os = "linux")]
use aegis_hw::tree::Roots;
use clap::{Parser, Subcommand};

use crate::{answers::Answers, error::Error, flash::session::Session, password::Secret};
#[cfg(target_os = "linux")]
use crate::{
    live::{ImageRoot, is_live, leave},
    source::{Paths, Source},
    tui::{self, run::Setting},
};

/// Installs Aegis OS to a disk.
///
/// Without a command, screens ask for everything that is needed. Nothing is written to a disk before its serial number was
/// typed at the end.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 80)]
#[cfg_attr(not(target_os = "linux"), command(about = ABOUT, long_about = LONG_ABOUT))]
pub struct Args {
    #[command(flatten)]
    paths: PathArgs,

    /// Columns and rows of the terminal, such as 80x24.
    ///
    /// For terminals that do not say, as at the end of a serial line.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    size: Option<(u16, u16)>,

    #[command(subcommand)]
    command: Option<Command>,
}

/// What needs Linux is not shown on other systems, and refused.
const ELSEWHERE: bool = cfg!(not(target_os = "linux"));

#[cfg(not(target_os = "linux"))]
const ABOUT: &str = "Writes Aegis OS to sticks and other devices, and checks them.";
#[cfg(not(target_os = "linux"))]
const LONG_ABOUT: &str = "Writes Aegis OS to sticks and other devices, and checks them.\n\n\
    Without a command, screens ask for everything that is needed. Nothing is written to a device before its serial \
    number was typed at the end.";

/// Where the one lock of those who write is.
fn standard_lock() -> PathBuf {
    match cfg!(target_os = "linux") {
        true => "/run/aegis-installer.lock".into(),
        false => std::env::temp_dir().join("aegis-installer.lock"),
    }
}

#[derive(Debug, clap::Args)]
struct PathArgs {
    /// Directory where the medium is mounted.
    #[cfg(target_os = "linux")]
    #[arg(long, global = true, value_name = "DIR", default_value = "/run/aegis/medium")]
    medium: PathBuf,

    /// Directory with the verified manifest and boot.json.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/run/aegis",
        hide = ELSEWHERE
    )]
    state: PathBuf,

    /// Directory with the image's files as they were built.
    ///
    /// Without it the image of the running live system is mounted read-only.
    #[cfg(target_os = "linux")]
    #[arg(long, global = true, value_name = "DIR")]
    image_root: Option<PathBuf>,

    /// Directory in place of /sys.
    #[cfg(target_os = "linux")]
    #[arg(long, global = true, value_name = "DIR")]
    sysfs_root: Option<PathBuf>,

    /// Directory in place of /proc.
    #[cfg(target_os = "linux")]
    #[arg(long, global = true, value_name = "DIR")]
    proc_root: Option<PathBuf>,

    /// Directory in place of /dev.
    #[cfg(target_os = "linux")]
    #[arg(long, global = true, value_name = "DIR")]
    dev_root: Option<PathBuf>,

    /// Recorded machine in place of this one.
    ///
    /// `hardware --save FILE` makes such a file. Nothing of this machine is looked at, and nothing can be installed.
    #[cfg(target_os = "linux")]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        conflicts_with_all = ["sysfs_root", "proc_root", "dev_root"]
    )]
    sysroot: Option<PathBuf>,

    /// Directory for temporary files.
    ///
    /// It takes a copy of the image's /var for a while.
    #[cfg(target_os = "linux")]
    #[arg(long, global = true, value_name = "DIR", default_value = "/tmp")]
    staging: PathBuf,

    /// File with what was on the disk before the first write.
    ///
    /// An installation removes it when it begins to copy data. With /run in
    /// memory, it does not outlive the running system.
    #[cfg(target_os = "linux")]
    #[arg(long, global = true, value_name = "FILE", default_value = "/run/aegis-installer.undo")]
    undo_file: PathBuf,

    /// Lock that keeps a second installer from writing.
    #[arg(long, global = true, value_name = "FILE", default_value_os_t = standard_lock())]
    lock: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Installs without questions, as an answer file says.
    #[cfg(target_os = "linux")]
    Install(install::InstallArgs),

    /// Writes an image to sticks or other devices, and reads it back.
    Flash(flash::FlashArgs),

    /// Checks an image, and whether a device holds it.
    Verify(verify::VerifyArgs),

    /// Fetches an image of ours from a server, and checks it against its signature.
    #[cfg(target_os = "linux")]
    Download(download::DownloadArgs),

    /// Copies a disk or partition into an image file.
    #[cfg(target_os = "linux")]
    Backup(backup::BackupArgs),

    /// Has a live stick keep what is changed, in a partition behind its image.
    Persistence(persistence::PersistenceArgs),

    /// Makes an ordinary stick again, with an empty FAT32 or exFAT file system.
    RestoreStick(restore_stick::StickArgs),

    /// Lists the disks, what is on them, and the reasons against those that are not offered.
    Devices(devices::DevicesArgs),

    /// Shows the machine: firmware, disks, USB, and graphics devices with the videos that they encode.
    #[cfg(target_os = "linux")]
    Hardware(hardware::HardwareArgs),

    /// Asks one driver one question; for the program itself, which starts it so that a driver's failure is not its own.
    #[command(hide = true)]
    #[cfg(target_os = "linux")]
    AskDriver(hardware::QuestionArgs),

    /// Shows or repairs a partition table, or undoes what was written.
    #[command(subcommand)]
    #[cfg(target_os = "linux")]
    Table(table::TableCommand),

    /// Checks a file of answers, for `install` or `flash`, without looking at a disk.
    CheckAnswers {
        /// The file.
        file: PathBuf,
    },
}

/// Parses the command line, does what it says, and returns the exit code.
pub fn run() -> Result<u8, Error> {
    let args = Args::parse();
    match &args.command {
        #[cfg(target_os = "linux")]
        None => return screens(&args),
        #[cfg(not(target_os = "linux"))]
        None => return flash::run(&args.paths, args.size, &flash::FlashArgs::default()),
        #[cfg(target_os = "linux")]
        Some(Command::Install(install)) => install::run(&args.paths, install)?,
        Some(Command::Flash(flash)) => return flash::run(&args.paths, args.size, flash),
        Some(Command::Verify(verify)) => verify::run(&args.paths, verify)?,
        #[cfg(target_os = "linux")]
        Some(Command::Download(download)) => download::run(&args.paths, download)?,
        #[cfg(target_os = "linux")]
        Some(Command::Backup(backup)) => backup::run(&args.paths, backup)?,
        Some(Command::Persistence(persistence)) => persistence::run(&args.paths, persistence)?,
        Some(Command::RestoreStick(stick)) => restore_stick::run(&args.paths, stick)?,
        Some(Command::Devices(devices)) => devices::run(&args.paths, devices)?,
        #[cfg(target_os = "linux")]
        Some(Command::Hardware(hardware)) => hardware::run(&args.paths, hardware)?,
        #[cfg(target_os = "linux")]
        Some(Command::AskDriver(question)) => hardware::answer(question),
        #[cfg(target_os = "linux")]
        Some(Command::Table(command)) => table::run(&args.paths, command)?,
        Some(Command::CheckAnswers { file }) => check_answers(file)?,
    }
    Ok(exit::OK)
}

#[cfg(target_os = "linux")]
fn screens(args: &Args) -> Result<u8, Error> {
    let paths = &args.paths;
    paths.writable("show the screens of an installation")?;
    let (image, source) = paths.source()?;
    let setting = Setting {
        source,
        tree: paths.tree()?,
        staging: paths.staging.clone(),
        undo: paths.undo_file.clone(),
        lock: paths.lock.clone(),
        size: args.size,
        live: is_live(&paths.state),
    };
    let left = tui::run::run(setting)?;
    drop(image);
    if let Some(afterwards) = left.afterwards {
        leave(afterwards)?;
    }
    Ok(left.code)
}

/// `80x24` as columns and rows.
fn parse_size(text: &str) -> Result<(u16, u16), String> {
    let numbers = text.split_once('x').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    numbers.ok_or_else(|| "expected columns and rows, such as 80x24".into())
}

/// Without the files and recordings of a Linux machine.
#[cfg(not(target_os = "linux"))]
impl PathArgs {
    /// The machine.
    fn tree(&self) -> Result<Tree, Error> {
        Ok(Tree::default())
    }

    /// Whether something may be written: always, as the machine is never only a file.
    fn writable(&self, _what: &'static str) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(target_os = "linux")]
impl PathArgs {
    fn roots(&self) -> Roots {
        let standard = Roots::default();
        Roots {
            sysfs: self.sysfs_root.clone().unwrap_or(standard.sysfs),
            proc: self.proc_root.clone().unwrap_or(standard.proc),
            dev: self.dev_root.clone().unwrap_or(standard.dev),
            root: standard.root,
        }
    }

    /// The machine: this one, or one from a file.
    fn tree(&self) -> Result<Tree, Error> {
        match &self.sysroot {
            Some(file) => Ok(Tree::recorded(machine::load(file)?)),
            None => Ok(Tree::live(self.roots())),
        }
    }

    /// Refuses what writes when the machine is only a file.
    fn writable(&self, what: &'static str) -> Result<(), Error> {
        match &self.sysroot {
            Some(file) => Err(Error::Recorded { file: file.clone(), what }),
            None => Ok(()),
        }
    }

    /// Whether the machine is the one that the program runs on, so that its drivers can be asked.
    fn is_this_machine(&self) -> bool {
        [&self.sysroot, &self.sysfs_root, &self.proc_root, &self.dev_root].iter().all(|root| root.is_none())
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

fn check_answers(file: &Path) -> Result<(), Error> {
    let text = fs::read_to_string(file).map(Secret::new).map_err(Error::io("read", file))?;
    if Session::is_meant(text.reveal()) {
        let session = Session::read(file)?;
        let devices: usize = session.images.iter().map(|image| image.devices.len()).sum();
        let auto = session.auto.map(|auto| format!(", then {} blank sticks", auto.count)).unwrap_or_default();
        lines::out(&format!(
            "{}: a session of writing, {} images to {devices} devices{auto}\n",
            file.display(),
            session.images.len()
        ));
        return Ok(());
    }
    let answers = Answers::read(file)?;
    lines::out(&format!("{}: user {}, disk with {}\n", file.display(), answers.user.name, answers.disk));
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn help_fits_into_80_columns_and_documents_every_option() {
        let mut root = Args::command();
        root.build();
        let mut commands = Vec::new();
        let mut pending = vec![root];
        while let Some(command) = pending.pop() {
            pending.extend(command.get_subcommands().filter(|c| c.get_name() != "help").cloned());
            commands.push(command);
        }
        for mut command in commands {
            for line in command.render_long_help().to_string().lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} of {}", argument.get_id(), command.get_name());
            }
        }
    }

    #[test]
    fn sizes_of_terminals() {
        assert_eq!(parse_size("80x24"), Ok((80, 24)));
        assert!(parse_size("80").is_err() && parse_size("80x").is_err() && parse_size("0x-1").is_err());
    }
}
