//! `aegis-installer download`: an image of ours from a server.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use aegis_core::{
    channel::Channel,
    edition::Edition,
    report::{Hint, render},
    version::Version,
};
use aegis_hw::{Bytes, text::Shown};
use serde_json::{Value, json};

use super::{PathArgs, lines, map::parse_edition, signals::Asked};
use crate::{
    download::{self, DownloadPlan, Event, Origin, Patience, Phase, Problem, Url, Web, Wishes},
    error::Error,
    flash::{
        image::ImageFile,
        ranges::{KeyFile, Wanted},
    },
    password::Secret,
    reports::Report,
};

/// Environment variable with a token.
const TOKEN: &str = "AEGIS_TOKEN";
/// Bytes of a token.
const TOKEN_BYTES: u64 = 8192;

#[derive(Debug, clap::Args)]
pub(super) struct DownloadArgs {
    /// The edition, such as freemium.
    #[arg(value_name = "EDITION", value_parser = parse_edition)]
    edition: Edition,

    /// Channel whose newest version is fetched.
    ///
    /// Without it, the one that the edition is on.
    #[arg(long, value_name = "CHANNEL", value_parser = parse_channel)]
    channel: Option<Channel>,

    /// Version to fetch in place of the newest one.
    #[arg(long, value_name = "VERSION", value_parser = parse_version)]
    version: Option<Version>,

    /// Directory for the image and what is signed of it.
    ///
    /// Until it is whole the image is called NAME.part there; the same command
    /// goes on from there.
    #[arg(long = "to", value_name = "DIR", default_value = ".")]
    to: PathBuf,

    /// Server to fetch from; several times for several with the same files.
    ///
    /// The next one is asked when one fails or is slow. None is believed: what
    /// they send is compared with the signed manifest.
    #[arg(long = "from", value_name = "URL", value_parser = Origin::parse)]
    from: Vec<Origin>,

    /// Public keys that may sign releases.
    ///
    /// One such as release.pub.json, or a JSON array of them. Without it, the key
    /// ring of the running system, /run/aegis/keys.json.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,

    /// Link that opens the image of an edition that is not free, for a time.
    #[arg(long = "link", value_name = "URL", value_parser = keep)]
    links: Vec<Secret>,

    /// File with a token that opens files of editions that are not free.
    ///
    /// Or in the environment variable AEGIS_TOKEN. It is sent to the servers that
    /// are named and to no other, and only where nobody reads it on the way.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Replaces a file of this name that is another one.
    #[arg(long)]
    overwrite: bool,

    /// Prints what would be fetched, after its signature was verified.
    #[arg(long)]
    plan: bool,

    /// Prints JSON: the plan as one value, progress as one event a line.
    #[arg(long)]
    json: bool,
}

fn parse_channel(text: &str) -> Result<Channel, String> {
    let known = || Channel::ALL.map(Channel::id).join(", ");
    let found = Channel::ALL.into_iter().find(|channel| channel.id() == text);
    found.ok_or_else(|| format!("expected one of {}", known()))
}

fn parse_version(text: &str) -> Result<Version, String> {
    text.parse().map_err(|_problem| "expected a version, such as 1.4.0 or 1.4.0-rc.2".into())
}

/// A link is read later, because a wrong value would be repeated in the message, with what opens the file.
#[expect(clippy::unnecessary_wraps, reason = "clap asks for a result")]
fn keep(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text.into()))
}

impl DownloadArgs {
    fn wishes(&self, paths: &PathArgs) -> Result<Wishes, Error> {
        let system = KeyFile::System(paths.state.join("keys.json"));
        let link = |text: &Secret| Url::parse(text.reveal()).ok_or(Problem::Link("is no address"));
        Ok(Wishes {
            edition: self.edition,
            channel: self.channel,
            version: self.version,
            origins: self.from.clone(),
            links: self.links.iter().map(link).collect::<Result<_, _>>()?,
            token: token(self.token_file.as_deref())?,
            keys: self.keys.clone().map_or(system, KeyFile::Named),
            directory: self.to.clone(),
            overwrite: self.overwrite,
            patience: Patience::default(),
        })
    }
}

/// The token of a file, or of the environment.
fn token(file: Option<&Path>) -> Result<Option<Secret>, Error> {
    let (text, place) = match file {
        Some(file) => {
            let mut text = String::new();
            let open = fs::File::open(file).map_err(Error::io("open", file))?;
            open.take(TOKEN_BYTES).read_to_string(&mut text).map_err(Error::io("read", file))?;
            (Secret::new(text), file)
        }
        None => match std::env::var(TOKEN) {
            Ok(text) => (Secret::new(text), Path::new(TOKEN)),
            Err(std::env::VarError::NotPresent) => return Ok(None),
            Err(_not_text) => return Err(Problem::Token(TOKEN.into()).into()),
        },
    };
    let token = text.reveal().trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Problem::Token(place.into()).into());
    }
    Ok(Some(Secret::new(token.into())))
}

/// Whether an image is named by its address.
pub(super) fn is_address(text: &str) -> bool {
    Url::is_meant(text)
}

/// The image at an address, which is also what opens it.
pub(super) fn remote(address: &str, wanted: &Wanted) -> Result<ImageFile, Error> {
    let link = Url::parse(address).ok_or(Problem::Link("is no address"))?;
    let (origin, edition, version, _) =
        link.release().ok_or(Problem::Link("is not the address of a release's file"))?;
    if let Some(wanted) = wanted.edition.filter(|wanted| *wanted != edition) {
        return Err(Error::EditionOfImage { wanted, found: Some(edition) });
    }
    let web = Web::new(link.is_secure(), Patience::default().idle)?;
    let (linked, named) = (link.is_link(), PathBuf::from(link.to_string()));
    let wishes = Wishes {
        edition,
        channel: None,
        version: Some(version),
        origins: vec![origin],
        links: if linked { vec![link] } else { Vec::new() },
        token: token(None)?,
        keys: wanted.keys.clone(),
        directory: PathBuf::new(),
        overwrite: false,
        patience: Patience::default(),
    };
    let image = download::image(wishes, web)?;
    match image.path == named {
        true => Ok(image),
        false => Err(Problem::Link("names another file than the image").into()),
    }
}

pub(super) fn run(paths: &PathArgs, args: &DownloadArgs) -> Result<(), Error> {
    paths.writable("fetch a file")?;
    let wishes = args.wishes(paths)?;
    let asked = Asked::take().map_err(Error::io("receive", "signals"))?;
    let secure = |url: &Origin| url.to_string().starts_with("https:");
    let secure = wishes.origins.iter().any(secure) || wishes.links.iter().any(Url::is_secure);
    let web = Web::new(secure, wishes.patience.idle)?;
    let result = fetch(args, &wishes, &web, &asked);
    if let (true, Err(error)) = (args.json, &result) {
        let (text, code) = (render(error), error.exit_code());
        lines::out(&format!("{}\n", json!({ "event": "failed", "error": text, "code": code })));
    }
    result
}

fn fetch(args: &DownloadArgs, wishes: &Wishes, web: &Web, asked: &Asked) -> Result<(), Error> {
    let plan = DownloadPlan::new(wishes, web, &|| asked.now())?;
    if args.plan {
        lines::out(&if args.json { format!("{:#}\n", json!(plan)) } else { plan.to_string() });
        return Ok(());
    }
    let _awake = lines::stay_awake("an image is being fetched");
    let mut told = Lines { plan: &plan, json: args.json, told: None };
    told.begin();
    let result = download::run(&plan, wishes, web, &mut |event| told.report(&event) && !asked.now());
    match result {
        Ok(done) => told.end(&done),
        Err(error) => {
            told.kept();
            return Err(error);
        }
    }
    Ok(())
}

/// Progress as lines.
struct Lines<'a> {
    plan: &'a DownloadPlan,
    json: bool,
    /// Phase and tenth that were told last.
    told: Option<(Phase, u64)>,
}

impl Lines<'_> {
    fn line(&self, mut object: Value, text: &str) {
        object["file"] = json!(self.plan.file);
        lines::out(&if self.json { format!("{object}\n") } else { format!("{text}\n") });
    }

    fn begin(&self) {
        if !self.json {
            lines::out(&self.plan.to_string());
        }
    }

    fn report(&mut self, event: &Event<'_>) -> bool {
        match event {
            Event::Progress(report) => self.progress(report),
            Event::Asked { server, from } => {
                let origin = &self.plan.from[*server];
                let object = json!({ "event": "asked", "from": origin, "offset": from });
                // One server that works needs no line.
                if self.json || *server > 0 {
                    self.line(object, &format!("{origin}: asked from {} on", Bytes(*from)));
                }
            }
            Event::Left { server, fault } => {
                let origin = &self.plan.from[*server];
                let why = fault.map_or_else(|| "it is slow".to_owned(), ToString::to_string);
                let object = json!({ "event": "left", "from": origin, "why": why });
                self.line(object, &format!("{origin}: left, {}", Shown(&why)));
            }
        }
        true
    }

    fn progress(&mut self, report: &Report<Phase>) {
        if self.json {
            let mut value = json!(report);
            value["event"] = json!("progress");
            return self.line(value, "");
        }
        let Report { phase, bytes, total, rate, eta, .. } = *report;
        let tenth = bytes.saturating_mul(10) / total.max(1);
        if self.told != Some((phase, tenth)) {
            self.told = Some((phase, tenth));
            let what = match phase {
                Phase::Check => "checking what is there",
                Phase::Download => "fetching",
            };
            let rate = if rate > 0 { format!(", {}/s", Bytes(rate)) } else { String::new() };
            let left = eta.map(|seconds| format!(", {seconds} s left")).unwrap_or_default();
            lines::out(&format!("{what} {tenth}0 %{rate}{left}\n"));
        }
    }

    fn end(&self, done: &download::Done) {
        let download::Done { bytes, fetched, sha256, ms } = done;
        let mut object = json!(done);
        object["event"] = json!("complete");
        let file = self.plan.file.display();
        let text = match fetched {
            0 => format!("{file}: is there already, {}, SHA-256 {sha256}", Bytes(*bytes)),
            fetched => {
                let rate = Bytes(fetched.saturating_mul(1000) / (*ms).max(1));
                let time = format!("{}.{} s", ms / 1000, ms % 1000 / 100);
                format!(
                    "{file}: complete, {} fetched in {time} ({rate}/s), SHA-256 {sha256}",
                    Bytes(*fetched)
                )
            }
        };
        self.line(object, &text);
    }

    /// What is left of a failed attempt.
    fn kept(&self) {
        let part = self.plan.part();
        let bytes = fs::symlink_metadata(&part).map_or(0, |data| data.len());
        if bytes > 0 {
            let text = format!("{}: {} are kept and will be used", part.display(), Bytes(bytes));
            self.line(json!({ "event": "kept", "part": part, "bytes": bytes }), &text);
        }
    }
}
