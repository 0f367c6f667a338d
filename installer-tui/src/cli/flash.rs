//! `aegis-installer flash`: images on sticks, without screens.

mod lines;

use std::{
    collections::BTreeSet,
    io::{self, BufRead, IsTerminal},
    path::{Path, PathBuf},
};

use aegis_core::{
    hex::Digest,
    report::{exit, render},
};
use aegis_hw::{Lock, Tree};
use serde_json::json;

use self::lines::Lines;
#[cfg(target_os = "linux")]
use super::live;
use super::{
    ELSEWHERE, PathArgs, dialog,
    lines::{out, stay_awake},
    map::MapArgs,
    signals::Asked,
};
use crate::{
    error::Error,
    flash::{
        self, Batch, FlashPlan,
        auto::{Auto, SizeRange},
        image::{Authority, ImageFile},
        plan::Wishes,
        ranges,
        receipt::{Destination, Receipts},
        session::Session,
    },
    select,
};

#[derive(Debug, Default, clap::Args)]
pub(super) struct FlashArgs {
    /// The image: raw, or as .gz, .xz, .bz2, .zst or .lz4.
    ///
    /// One for all devices, or as many as devices, in the same order. Without an
    /// image, or without --to, screens ask for what is missing. The address of an
    /// image of ours, https://HOST/download/…, is written while it comes.
    image: Vec<PathBuf>,

    /// Copies the medium that this system runs from.
    ///
    /// Its files are compared with its signed manifest first.
    #[arg(
        long,
        hide = ELSEWHERE,
        conflicts_with_all = ["image", "sha256", "sums", "keys", "edition", "bmap", "answers", "save_answers"]
    )]
    live: bool,

    /// Device to erase and write; several times for several devices.
    ///
    /// An existing regular file can stand for a device.
    #[arg(long = "to", value_name = "DEVICE")]
    to: Vec<PathBuf>,

    /// Asks by questions in lines, for screen readers and slow serial lines.
    ///
    /// It is the way on a terminal that calls itself dumb.
    #[arg(long, conflicts_with_all = ["answers", "auto", "json", "plan", "serial"])]
    linear: bool,

    /// Serial number of a device, once for each.
    ///
    /// It confirms that this device is to be erased. Without it, it is asked for.
    /// A device without a serial number is confirmed by its name, and --auto 20
    /// by `20 blank`.
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

    #[command(flatten)]
    map: MapArgs,

    /// Writes only what differs from what is on the device.
    #[arg(long)]
    update: bool,

    /// Unmounts what a desktop mounted of a removable device.
    #[arg(long)]
    unmount: bool,

    /// Writes the next N blank USB sticks as they are plugged in, at once each.
    ///
    /// A stick is taken only if there is nothing to lose on it: no partition
    /// table, no file system, and both its ends and places between read as blank.
    /// Sticks that are there at the start are left alone unless --auto-model
    /// names them. No serial number can be typed for a stick that nobody has
    /// plugged in yet, so the number of blank sticks is: `20 blank` for 20.
    #[arg(long, hide = ELSEWHERE, value_name = "N", requires = "auto_size", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    auto: Option<u32>,

    /// Sizes that --auto takes, such as 14GiB..16GB.
    #[arg(long, hide = ELSEWHERE, value_name = "MIN..MAX", requires = "auto", value_parser = SizeRange::parse)]
    auto_size: Option<SizeRange>,

    /// Text that the model has to contain for --auto, in either case.
    #[arg(long, hide = ELSEWHERE, value_name = "TEXT", requires = "auto")]
    auto_model: Option<String>,

    /// Waits so long for a device that was pulled out, and then goes on.
    ///
    /// It is known again by serial number, model and size; only what differs is
    /// written then. The time begins when the device failed.
    #[arg(long, hide = ELSEWHERE, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    wait_return: Option<u64>,

    /// Directory for receipts, one for each device, also for those that failed.
    #[arg(long, value_name = "DIR")]
    receipts: Option<PathBuf>,

    /// Private key that signs the receipts: PKCS#8, PEM or DER.
    ///
    /// `aegis keys generate` makes it as receipt.key.pem.
    #[arg(long, value_name = "FILE", requires = "receipts")]
    receipt_key: Option<PathBuf>,

    /// Session to repeat, TOML, as --save-answers writes it.
    ///
    /// The devices that it names are erased without a question.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "image", "to", "serial", "sha256", "sums", "keys", "edition", "bmap", "update", "unmount", "auto",
            "wait_return", "receipts",
        ]
    )]
    answers: Option<PathBuf>,

    /// Writes the session to this new file, which then repeats it.
    #[arg(long, value_name = "FILE")]
    save_answers: Option<PathBuf>,

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

/// A session on this machine.
struct Work {
    session: Session,
    batch: Batch,
    /// What was typed in advance; `None` when it has to be asked for.
    typed: Option<Vec<String>>,
}

pub(super) fn run(paths: &PathArgs, size: Option<(u16, u16)>, args: &FlashArgs) -> Result<u8, Error> {
    if !args.plan {
        paths.writable("write an image")?;
    }
    match args.missing(size) {
        Some(said) => dialog::open(paths, said, || args.images(paths)),
        None => without_questions(paths, args).map(|()| exit::OK),
    }
}

impl FlashArgs {
    /// What is known already, when something is left to ask.
    fn missing(&self, size: Option<(u16, u16)>) -> Option<dialog::Said> {
        let image = self.live || !self.image.is_empty() || self.answers.is_some();
        let device = !self.to.is_empty() || self.auto.is_some() || self.answers.is_some();
        let unattended = self.plan || self.json || !self.serial.is_empty() || self.auto.is_some();
        (self.linear || !image || !device).then(|| dialog::Said {
            images: if self.live { 1 } else { self.image.len() },
            device,
            devices: self.to.clone(),
            authority: authority(self.sha256, self.sums.as_ref()),
            map: self.map.clone(),
            wishes: Wishes { update: self.update, unmount: self.unmount },
            wait_return: self.wait_return,
            receipts: self.destination(),
            save_answers: self.save_answers.clone(),
            linear: self.linear,
            unattended,
            size,
        })
    }

    /// Where receipts go.
    fn destination(&self) -> Option<Destination> {
        let (directory, key) = (self.receipts.clone(), self.receipt_key.clone());
        directory.map(|directory| Destination { directory, key })
    }

    /// The images that are named.
    fn images(&self, paths: &PathArgs) -> Result<Vec<ImageFile>, Error> {
        let authority = authority(self.sha256, self.sums.as_ref());
        let wanted = self.map.wanted(&paths.state);
        match self.live {
            #[cfg(target_os = "linux")]
            true => live::image(paths, self.json).map(|image| vec![image]),
            #[cfg(not(target_os = "linux"))]
            true => Err(Error::NotLive),
            false => self
                .image
                .iter()
                .map(|path| match path.to_str().filter(|text| is_address(text)) {
                    Some(address) => remote(address, &wanted),
                    None => ranges::find(ImageFile::look(path, &authority)?, &wanted),
                })
                .collect(),
        }
    }
}

#[cfg(target_os = "linux")]
use super::download::{is_address, remote};

/// Nothing is fetched on this system.
#[cfg(not(target_os = "linux"))]
fn is_address(_text: &str) -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn remote(address: &str, _wanted: &ranges::Wanted) -> Result<ImageFile, Error> {
    ImageFile::look(Path::new(address), &Authority::Beside)
}

fn without_questions(paths: &PathArgs, args: &FlashArgs) -> Result<(), Error> {
    let tree = paths.tree()?;
    let medium = select::medium_disks(&tree, &paths.state)?;
    let work = match &args.answers {
        Some(file) => repeated(&Session::read(file)?, &paths.state, &tree, &medium)?,
        None => typed(paths, args, &tree, &medium)?,
    };
    if let Some(file) = &args.save_answers {
        work.session.save(file)?;
    }
    if args.plan {
        let json = || format!("{:#}\n", json!(work.batch));
        out(&if args.json { json() } else { work.batch.to_string() });
        return Ok(());
    }
    confirm(&work, args.json)?;
    let session = &work.session;
    let receipts = session.receipts().as_ref().map(Receipts::open).transpose()?;
    let mut keeper = Keeper { receipts, missing: Vec::new() };
    let _lock = Lock::take(&paths.lock)?;
    let _awake = stay_awake("sticks are being written");
    let signals = Asked::take().map_err(Error::io("receive", "signals"))?;
    let mut lines = Lines::new(&work.batch, args.json);
    let mut stop = Stop { signals, asked: false };
    let ended = flash::run_batch(&work.batch, &tree, &medium, &mut |report| {
        lines.report(&report);
        keeper.keep(&work.batch, &report, &lines);
        stop.goes_on(&mut lines)
    })?;
    lines.table(&ended);
    keeper.conclude(conclude(&work.batch, ended))
}

/// Writes receipts, where they are wanted.
struct Keeper {
    receipts: Option<Receipts>,
    /// Why some could not be written.
    missing: Vec<Error>,
}

impl Keeper {
    fn keep(&mut self, batch: &Batch, report: &flash::Report<'_>, lines: &Lines<'_>) {
        match self.receipts.as_mut().and_then(|receipts| receipts.follow(batch, report)) {
            None => {}
            Some((device, Ok((path, label)))) => lines.receipt(device, &path, &label),
            Some((_, Err(error))) => self.missing.push(error),
        }
    }

    /// A receipt that is missing is an error of its own, which hides none of a device.
    fn conclude(mut self, result: Result<(), Error>) -> Result<(), Error> {
        let count = self.missing.len();
        let Some(first) = (count > 0).then(|| self.missing.swap_remove(0)) else { return result };
        let missing = Error::Receipts { missing: count, source: Box::new(first) };
        match result {
            Ok(()) => Err(missing),
            Err(error) => {
                eprintln!("{}", render(&missing));
                Err(error)
            }
        }
    }
}

/// Whether somebody asked for the end.
struct Stop {
    signals: Asked,
    asked: bool,
}

impl Stop {
    fn goes_on(&mut self, lines: &mut Lines<'_>) -> bool {
        if !self.asked && self.signals.now() {
            self.asked = true;
            lines.stopping();
        }
        !self.asked
    }
}

/// The session of a file.
fn repeated(session: &Session, state: &Path, tree: &Tree, medium: &BTreeSet<String>) -> Result<Work, Error> {
    let batch = session.batch(tree, medium, state)?;
    let typed = Some(session.consent(&batch));
    Ok(Work { session: session.clone(), batch, typed })
}

/// The session of the command line.
fn typed(paths: &PathArgs, args: &FlashArgs, tree: &Tree, medium: &BTreeSet<String>) -> Result<Work, Error> {
    let usage = |problem: String, next| Err(Error::Usage { problem, next });
    let (count, devices) = (args.image.len(), args.to.len());
    if count > 1 && (count != devices || args.auto.is_some()) {
        let problem = format!("{count} images for {devices} devices");
        return usage(problem, "name one image for all devices, or for each image one device by --to");
    }
    if count > 1 && args.sha256.is_some() {
        return usage("one --sha256 for several images".into(), "use --sums, or a session file");
    }
    let streamed = args.image.iter().any(|path| path.to_str().is_some_and(is_address));
    if streamed && args.save_answers.is_some() {
        return usage(
            "a session file with an image from a server".into(),
            "fetch the image with `aegis-installer download`, and name the file",
        );
    }
    if streamed && (args.sha256.is_some() || args.sums.is_some() || args.map.has_bmap()) {
        return usage(
            "other digests or maps for an image from a server".into(),
            "leave --sha256, --sums and --bmap out: what is signed of the image decides",
        );
    }
    if count > 1 && args.map.has_bmap() {
        return usage(
            "one --bmap for several images".into(),
            "put IMAGE.bmap beside each, or use a session file",
        );
    }
    let authority = authority(args.sha256, args.sums.as_ref());
    let images = args.images(paths)?;
    let wishes = Wishes { update: args.update, unmount: args.unmount };
    let mut writes = Vec::new();
    for (number, image) in images.into_iter().enumerate() {
        let devices = if count > 1 { &args.to[number..=number] } else { &args.to[..] };
        writes.push(FlashPlan::new(tree, image, devices, medium, wishes)?);
    }
    let auto = args.auto.zip(args.auto_size);
    let auto = auto.map(|(count, size)| Auto { count, size, model: args.auto_model.clone() });
    let authorities = vec![authority; writes.len()];
    let batch = Batch::new(writes, auto, args.wait_return)?;
    let session = Session::of(&batch, &authorities, args.unmount).with(&args.map.wanted(&paths.state));
    let session = session.with_receipts(args.destination());
    let typed = (!args.serial.is_empty()).then(|| args.serial.clone());
    Ok(Work { session, batch, typed })
}

fn confirm(work: &Work, json: bool) -> Result<(), Error> {
    if let Some(typed) = &work.typed {
        return work.batch.check_confirmation(typed);
    }
    if json || !io::stdin().is_terminal() {
        return work.batch.check_confirmation(&[]);
    }
    out(&work.batch.to_string());
    let mut typed = Vec::new();
    for (word, what) in work.batch.questions() {
        out(&format!("Type `{word}` to {what}: "));
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(Error::Terminal)?;
        typed.push(line.trim().to_owned());
    }
    work.batch.check_confirmation(&typed)
}

/// The result of the program, from what the devices ended as.
fn conclude(batch: &Batch, ended: Vec<flash::Ended>) -> Result<(), Error> {
    let all = ended.len();
    let complete = |end: &&flash::Ended| end.taken && end.outcome.failure().is_none();
    let taken = ended.iter().filter(complete).count();
    let mut failures: Vec<Error> = ended.into_iter().filter_map(lines::failure).collect();
    let short = batch
        .auto
        .as_ref()
        .map(|auto| auto.count)
        .filter(|count| usize::try_from(*count).is_ok_and(|count| taken < count));
    if let Some(wanted) = short {
        failures.iter().for_each(|error| eprintln!("{}", render(error)));
        return Err(Error::TooFewTaken { complete: taken, wanted });
    }
    if all > 1 && !failures.is_empty() {
        failures.iter().for_each(|error| eprintln!("{}", render(error)));
        return Err(Error::FlashSome { failed: failures.len(), all });
    }
    failures.pop().map_or(Ok(()), Err)
}
