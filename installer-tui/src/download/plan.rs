//! What will be fetched, as data.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use aegis_core::{
    channel::Channel,
    edition::Edition,
    hex::Digest,
    key::KeyId,
    ranges::{self, Ranges},
    version::Version,
};
use aegis_editions::Spec;
use aegis_hw::Bytes;
use nix::sys::statvfs::statvfs;
use serde::Serialize;

use super::{
    catalogue,
    mirrors::Patience,
    problem::Problem,
    release::{self, Release, Servers, path_of},
    url::{Origin, Url},
    web::Web,
};
use crate::{backup::FileProblem, error::Error, files, flash::ranges::KeyFile, password::Secret};

/// What is asked for.
#[derive(Debug)]
pub struct Wishes {
    /// The edition.
    pub edition: Edition,
    /// The channel; without it, and without a version, that of the edition.
    pub channel: Option<Channel>,
    /// The version; without it the newest one.
    pub version: Option<Version>,
    /// Servers with the files, the best first.
    pub origins: Vec<Origin>,
    /// Links that open the image for a time.
    pub links: Vec<Url>,
    /// What opens files of editions that are not free.
    pub token: Option<Secret>,
    /// Keys that may sign releases.
    pub keys: KeyFile,
    /// Where the files are put.
    pub directory: PathBuf,
    /// Files of these names are replaced.
    pub overwrite: bool,
    /// How long servers are waited for.
    pub patience: Patience,
}

/// One download.
#[derive(Clone, Debug, Serialize)]
pub struct DownloadPlan {
    /// The edition.
    pub edition: Edition,
    /// The version.
    pub version: Version,
    /// The channel.
    pub channel: Channel,
    /// The key that signed the release.
    pub key: KeyId,
    /// It is a key for development.
    pub development: bool,
    /// The file.
    pub file: PathBuf,
    /// Bytes of it.
    pub size: u64,
    /// What it will be.
    pub sha256: Digest,
    /// Bytes of an earlier attempt, which are checked and used.
    pub kept: u64,
    /// A file of this name is there; it is compared.
    pub present: bool,
    /// A file of this name that differs is replaced.
    pub overwrite: bool,
    /// Room where the file will be.
    pub free: Bytes,
    /// Each mebibyte is checked as it comes.
    pub chunks: bool,
    /// Where it comes from, the first one that works.
    pub from: Vec<Origin>,
    #[serde(skip)]
    pub(super) urls: Vec<Url>,
    #[serde(skip)]
    pub(super) ranges: Option<Arc<Ranges>>,
    /// Small files that are put beside it: what is appended to its name, and the content.
    #[serde(skip)]
    pub(super) beside: Vec<(String, Vec<u8>)>,
}

impl DownloadPlan {
    /// Finds the release, fetches and verifies what is signed of it, and looks at the place of the file.
    ///
    /// # Errors
    /// When there is no such release, its signature is refused, or the file cannot be made.
    pub fn new(wishes: &Wishes, web: &Web, stop: &dyn Fn() -> bool) -> Result<Self, Error> {
        let mut plan = Self::find(wishes, web, stop)?;
        plan.look()?;
        Ok(plan)
    }

    /// Finds the release without a look at any file.
    pub(super) fn find(wishes: &Wishes, web: &Web, stop: &dyn Fn() -> bool) -> Result<Self, Error> {
        let Wishes { patience, .. } = *wishes;
        let (origins, version) = from_links(wishes)?;
        let token = wishes.token.as_ref();
        if let Some(open) = origins.iter().find(|origin| token.is_some() && !origin.at("/").is_private()) {
            return Err(Problem::NotPrivate(open.clone()).into());
        }
        let looked_for = || Problem::NoKeys { looked_for: wishes.keys.path().into() };
        let keys = wishes.keys.read()?.ok_or_else(looked_for)?;
        let servers = Servers { web, origins: &origins, token, patience, stop };
        let version = version.map_or_else(|| newest(&servers, wishes), Ok)?;
        let release = release::fetch(&servers, (wishes.edition, version, wishes.channel), &keys)?;
        Self::of(&release, wishes, origins)
    }

    fn of(release: &Release, wishes: &Wishes, origins: Vec<Origin>) -> Result<Self, Error> {
        let Release { manifest, image, ranges, key, .. } = release;
        let path = path_of(wishes.edition, manifest.version, image);
        let urls: Vec<Url> = origins.iter().map(|origin| url_of(origin, &path, &wishes.links)).collect();
        let linked = |link: &Url| link.release().is_some_and(|(.., name)| name == *image);
        if !wishes.links.iter().all(linked) {
            return Err(Problem::Link("opens another file than the image").into());
        }
        let (file, data) = (wishes.directory.join(image), &manifest.files[image]);
        Ok(Self {
            edition: manifest.edition,
            version: manifest.version,
            channel: manifest.channel,
            key: key.id,
            development: key.development,
            file,
            size: data.size,
            sha256: data.sha256,
            kept: 0,
            present: false,
            overwrite: wishes.overwrite,
            free: Bytes(0),
            chunks: ranges.is_some(),
            from: origins,
            urls,
            ranges: ranges.as_ref().map(|(ranges, _)| Arc::new(ranges.clone())),
            beside: beside(release, image, data.sha256),
        })
    }

    /// Looks at what is there already, and at the room.
    fn look(&mut self) -> Result<(), Error> {
        let directory = files::directory_of(&self.file);
        self.present = is_there(&self.file)?;
        self.kept = fs::symlink_metadata(self.part()).map_or(0, |data| data.len());
        self.free = free(directory)?;
        let extra = self.beside.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>();
        let needed = Bytes(self.size.saturating_sub(self.kept).saturating_add(extra));
        match !self.present && needed > self.free {
            true => Err(Problem::Space { path: directory.into(), needed, free: self.free }.into()),
            false => Ok(()),
        }
    }

    /// The file while it is not whole.
    pub fn part(&self) -> PathBuf {
        part_of(&self.file)
    }
}

fn part_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// The servers, those of links first, and the version that a link is of.
fn from_links(wishes: &Wishes) -> Result<(Vec<Origin>, Option<Version>), Error> {
    let (mut origins, mut version) = (Vec::new(), wishes.version);
    for link in &wishes.links {
        let wrong = || Problem::Link("is not the address of a release's file");
        let (origin, edition, of, _) = link.release().ok_or_else(wrong)?;
        if !link.is_private() {
            return Err(Problem::NotPrivate(origin).into());
        }
        if edition != wishes.edition || version.is_some_and(|version| version != of) {
            return Err(Problem::Link("opens a file of another release").into());
        }
        (version, origins) = (Some(of), [origins, vec![origin]].concat());
    }
    origins.extend(
        wishes.origins.iter().filter(|origin| !origins.contains(origin)).cloned().collect::<Vec<_>>(),
    );
    if origins.is_empty() {
        let problem = "no server is named".into();
        return Err(Error::Usage { problem, next: "name one by --from https://HOST, or give a --link" });
    }
    Ok((origins, version))
}

/// The address of the image on a server: the link, where there is one.
fn url_of(origin: &Origin, path: &str, links: &[Url]) -> Url {
    let link = links.iter().find(|link| link.release().is_some_and(|(from, ..)| from == *origin));
    link.cloned().unwrap_or_else(|| origin.at(path))
}

fn newest(servers: &Servers<'_>, wishes: &Wishes) -> Result<Version, Error> {
    let Wishes { edition, .. } = *wishes;
    let own = || Spec::load(edition).map(|spec| spec.channel).map_err(Error::Specification);
    let channel = wishes.channel.map_or_else(own, Ok)?;
    let all = servers.first(|origin| catalogue::read(servers, origin, edition))?;
    catalogue::newest(&all, channel).ok_or_else(|| {
        let found = all.iter().map(|entry| format!("{} ({})", entry.version, entry.channel)).collect();
        Problem::NoRelease { edition, channel: Some(channel), version: None, found }.into()
    })
}

/// Whether there is a regular file of this name.
fn is_there(file: &Path) -> Result<bool, Error> {
    match fs::symlink_metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::io("look at", file)(source)),
        Ok(data) if data.is_file() => Ok(true),
        Ok(_) => Err(Error::Output { path: file.into(), problem: FileProblem::NotAFile }),
    }
}

/// Where `flash` and `verify` look for what is known of the image, and where a person finds what was signed.
fn beside(release: &Release, image: &str, sha256: Digest) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![
        (".manifest.json".to_owned(), release.signed.document.clone()),
        (".manifest.json.sig".to_owned(), release.signed.signature.clone()),
        (".sha256".to_owned(), format!("{sha256}  {image}\n").into_bytes()),
    ];
    if let Some((_, signed)) = &release.ranges {
        files.push((ranges::SUFFIX.to_owned(), signed.document.clone()));
        files.push((format!("{}.sig", ranges::SUFFIX), signed.signature.clone()));
    }
    files
}

fn free(directory: &Path) -> Result<Bytes, Error> {
    let system = statvfs(directory).map_err(|code| Error::io("look at", directory)(code.into()))?;
    Ok(Bytes(system.blocks_available().saturating_mul(system.fragment_size())))
}

impl fmt::Display for DownloadPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { edition, version, channel, key, .. } = self;
        let kind = if self.development { "DEVELOPMENT key" } else { "key" };
        writeln!(f, "Release    Aegis OS {edition} {version} ({channel}), signed by {kind} {key}")?;
        writeln!(
            f,
            "File       {}, {}, {} are free there",
            self.file.display(),
            Bytes(self.size),
            self.free
        )?;
        writeln!(f, "           SHA-256 {}", self.sha256)?;
        match (self.present, self.kept) {
            (true, _) => writeln!(f, "           a file of this name is there and will be compared")?,
            (false, 0) => {}
            (false, kept) => {
                writeln!(f, "           {} of an earlier attempt will be checked and used", Bytes(kept))?
            }
        }
        match self.chunks {
            true => writeln!(f, "           each mebibyte is checked as it comes")?,
            false => writeln!(
                f,
                "           it has no range manifest, so that only the whole file can be checked"
            )?,
        }
        let from: Vec<String> = self.from.iter().map(ToString::to_string).collect();
        writeln!(f, "From       {}", from.join("\n           "))
    }
}
