//! `aegis kernel`: what each edition asks of a kernel, and what the kernel makes of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aegis_core::edition::Edition;
use aegis_editions::Spec;
use aegis_kernel_configs::{DotConfig, Value, check::Finding};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{cache_directory, keys_directory, load, workspace};
use crate::{
    cache::Cache,
    error::{Error, Result},
    kernel::{
        configure::{self, Configured},
        hardening::Score,
        judged::{self, Judged},
        own::{self, LAYERS, OwnKernel},
        workshop::{self, Origin, Series, Workshop},
    },
    keys,
    progress::Progress,
};

mod explain;

#[derive(Subcommand)]
pub(super) enum KernelVerb {
    /// Writes the whole configuration of an edition
    Config {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        common: Common,
        /// Print what the layers ask for, with the reason and place of each line
        #[arg(long, conflicts_with = "out")]
        requests: bool,
        /// Directory to write EDITION.config into [default: standard output]
        #[arg(long, required_if_eq("all", "true"))]
        out: Option<PathBuf>,
    },
    /// Proves that every request of the layers is in the configurations
    Check {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        common: Common,
        /// Print JSON events
        #[arg(long)]
        json: bool,
    },
    /// Says why a symbol is not as wanted, and which lines would make it so
    Explain {
        /// The symbol and the value, such as `DAX=y` [default value: what the
        /// layers ask for, else y]
        symbol: String,
        /// The edition, such as `server`
        #[arg(long)]
        edition: String,
        #[command(flatten)]
        common: Common,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Builds an edition's kernel as Debian packages
    Build {
        /// The edition, such as `server`
        #[arg(long)]
        edition: String,
        #[command(flatten)]
        common: Common,
        /// Directory for the packages [default: target/aegis/kernel/EDITION]
        #[arg(long)]
        out: Option<PathBuf>,
        /// Directory of the keys [default: ~/.config/aegis/keys]
        #[arg(long)]
        keys: Option<PathBuf>,
        /// Build for a release: refuse a development key
        #[arg(long)]
        release: bool,
        /// Print JSON events
        #[arg(long)]
        json: bool,
    },
    /// Makes the key that signs kernels and modules; it is never overwritten
    Key {
        /// Directory for the key [default: ~/.config/aegis/keys]
        #[arg(long)]
        dir: Option<PathBuf>,
        /// Days until its certificate ends
        #[arg(long, default_value_t = 3650)]
        days: u32,
        /// A key for releases; without this, it is marked for development
        #[arg(long)]
        production: bool,
        /// Succeed when there is a key already
        #[arg(long)]
        if_missing: bool,
    },
    /// Compares configurations: with Debian's, an edition's, or saved ones
    Diff {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        common: Common,
        /// `debian`, an edition, a file, or a directory that `config --out` wrote
        #[arg(long, default_value = "debian")]
        against: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Which editions.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// One edition, such as `server`
    #[arg(long)]
    edition: Option<String>,
    /// Every edition
    #[arg(long)]
    all: bool,
}

/// What all verbs need.
#[derive(Args)]
pub(super) struct Common {
    /// Which kernel source
    #[arg(long, value_enum, default_value_t)]
    source: Series,
    /// Directory of the layers [default: the project's kernel-configs]
    #[arg(long)]
    layers: Option<PathBuf>,
    /// Build exactly what this lock says
    #[arg(long, value_name = "LOCK")]
    locked: Option<PathBuf>,
    /// Use no network; everything must be in the content store
    #[arg(long)]
    offline: bool,
    /// Debian archive to use in place of this machine's
    #[arg(long, value_name = "URI")]
    mirror: Option<String>,
    /// Security archive to use with --mirror
    #[arg(long, value_name = "URI", requires = "mirror")]
    security_mirror: Option<String>,
    /// Cache for packages and stages [default: ~/.cache/aegis]
    #[arg(long)]
    cache: Option<PathBuf>,
}

/// The opened workshop and where the layers are.
pub(super) struct Place {
    pub(super) cache: Cache,
    pub(super) workshop: Workshop,
    pub(super) layers: PathBuf,
}

impl Common {
    fn layers(&self) -> Result<PathBuf> {
        match &self.layers {
            Some(layers) => Ok(layers.clone()),
            None => Ok(workspace(None)?.join(LAYERS)),
        }
    }

    fn origin(&self) -> Origin {
        Origin {
            series: self.source,
            offline: self.offline,
            locked: self.locked.clone(),
            mirror: self.mirror.clone(),
            security_mirror: self.security_mirror.clone(),
        }
    }

    pub(super) fn open(self, json: bool, stages: usize) -> Result<(Place, Progress)> {
        let (layers, origin) = (self.layers()?, self.origin());
        let cache = Cache::new(cache_directory(self.cache)?);
        let mut progress = Progress::new(json, workshop::STAGES + stages);
        let workshop = Workshop::open(&cache, &origin, &mut progress)?;
        Ok((Place { cache, workshop, layers }, progress))
    }
}

impl Place {
    pub(super) fn configured(&self, spec: &Spec) -> Result<(Configured, bool)> {
        let merged = configure::merged(spec, &self.layers, &self.workshop)?;
        configure::configure(&self.cache, &self.workshop, spec, merged)
    }
}

impl Which {
    pub(super) fn specs(&self) -> Result<Vec<Spec>> {
        match &self.edition {
            Some(edition) => Ok(vec![load(edition)?]),
            None => Spec::all().map_err(Error::Spec),
        }
    }
}

pub(super) fn run(verb: KernelVerb) -> Result<()> {
    match verb {
        KernelVerb::Config { which, common, requests, out } => {
            config(&which, common, requests, out.as_deref())
        }
        KernelVerb::Check { which, common, json } => check(&which, common, json),
        KernelVerb::Explain { symbol, edition, common, json } => {
            explain::run(&symbol, &edition, common, json)
        }
        KernelVerb::Build { edition, common, out, keys, release, json } => {
            build(&edition, common, out, keys, release, json)
        }
        KernelVerb::Key { dir, days, production, if_missing } => key(dir, days, production, if_missing),
        KernelVerb::Diff { which, common, against, json } => diff(&which, common, &against, json),
    }
}

fn config(which: &Which, common: Common, requests: bool, out: Option<&Path>) -> Result<()> {
    let specs = which.specs()?;
    let (place, _) = common.open(false, 0)?;
    for spec in &specs {
        if requests {
            print_requests(&configure::merged(spec, &place.layers, &place.workshop)?);
            continue;
        }
        let (configured, _) = place.configured(spec)?;
        let Some(out) = out else {
            say!("{}", configured.text.trim_end());
            continue;
        };
        fs::create_dir_all(out).map_err(Error::io("creating", out))?;
        let path = out.join(format!("{}.config", spec.id));
        fs::write(&path, &configured.text).map_err(Error::io("writing", &path))?;
        say!("{}", path.display());
    }
    Ok(())
}

fn print_requests(merged: &aegis_kernel_configs::Merged) {
    for request in merged.requests.values() {
        say!("CONFIG_{}={}  # {}: {}", request.symbol, request.value, request.at, request.reason);
        for lower in merged.replaced.iter().filter(|lower| lower.symbol == request.symbol) {
            say!("#   in place of {}, {}: {}", lower.value, lower.at, lower.reason);
        }
    }
}

fn check(which: &Which, common: Common, json: bool) -> Result<()> {
    let specs = which.specs()?;
    let (place, mut progress) = common.open(json, 1 + specs.len())?;
    let judge = judged::Judge::new(&place.cache, &place.workshop, &place.layers, &mut progress)?;
    let mut all = Vec::new();
    for spec in &specs {
        progress.stage(spec.id.id());
        let (judged, _) = judge.judge(spec)?;
        progress.done(judged.cached, &summary(&judged));
        if json {
            say!(
                "{}",
                json!({"event": "checked", "edition": spec.id, "kernel": place.workshop.version, "judged": judged})
            );
        }
        all.push(judged);
    }
    if !json {
        print_matrix(&all);
    }
    let failed: Vec<&Judged> = all.iter().filter(|judged| !judged.passes()).collect();
    match failed.iter().map(|judged| judged.count()).sum() {
        0 => Ok(()),
        findings => Err(Error::KernelFindings {
            findings,
            editions: failed.iter().map(|judged| judged.edition).collect(),
        }),
    }
}

fn summary(judged: &Judged) -> String {
    match judged.count() {
        0 => format!("all {} requests are in it", judged.requests),
        1 => "1 finding".into(),
        count => format!("{count} findings"),
    }
}

fn print_matrix(all: &[Judged]) {
    say!(
        "{:<10} {:>8} {:>6} {:>8} {:>8} {:>12} {:>6}",
        "edition",
        "requests",
        "kept",
        "built in",
        "modules",
        "hardening",
        "floor"
    );
    for judged in all {
        let Score { fulfilled, of, floor, .. } = &judged.score;
        let floor = floor.map_or("none".into(), |floor| floor.to_string());
        say!(
            "{:<10} {:>8} {:>6} {:>8} {:>8} {:>12} {:>6}",
            judged.edition.id(),
            judged.requests,
            judged.kept,
            judged.builtin,
            judged.modules,
            format!("{fulfilled}/{of}"),
            floor
        );
    }
    for judged in all.iter().filter(|judged| !judged.passes()) {
        say!("\n{}:", judged.edition);
        for finding in &judged.findings {
            say!("  {finding}\n    next: {}", next(judged.edition, finding));
        }
        judged.score_findings().for_each(|finding| say!("  {finding}"));
    }
}

fn next(edition: Edition, finding: &Finding) -> String {
    match finding {
        Finding::Lost { symbol, wanted, .. } => {
            format!("aegis kernel explain {symbol}={wanted} --edition {edition}")
        }
        other => other.next(),
    }
}

fn diff(which: &Which, common: Common, against: &str, json: bool) -> Result<()> {
    let specs = which.specs()?;
    let (place, _) = common.open(false, 0)?;
    for spec in &specs {
        let (configured, _) = place.configured(spec)?;
        let before = before(&place, spec, against)?;
        let changes = before.differences(&configured.config);
        if json {
            let change = |(symbol, before, after): &(&str, &Value, &Value)| {
                let at = configured.merged.requests.get(*symbol).map(|request| request.at.to_string());
                json!({"symbol": symbol, "before": before, "after": after, "at": at})
            };
            let changes: Vec<_> = changes.iter().map(change).collect();
            say!("{}", json!({"edition": spec.id, "against": against, "changes": changes}));
            continue;
        }
        say!("{}: {} symbols differ from {against}", spec.id, changes.len());
        for (symbol, before, after) in changes {
            let place = configured
                .merged
                .requests
                .get(symbol)
                .map_or("follows".into(), |request| request.at.to_string());
            say!("  {symbol:<40} {before} -> {after}  {place}");
        }
    }
    Ok(())
}

fn build(
    edition: &str,
    common: Common,
    out: Option<PathBuf>,
    keys: Option<PathBuf>,
    release: bool,
    json: bool,
) -> Result<()> {
    let spec = load(edition)?;
    let key = keys::kernel(&keys_directory(keys)?, release)?;
    let out = match out {
        Some(out) => out,
        None => workspace(None)?.join("target/aegis/kernel").join(spec.id.id()),
    };
    let cache = Cache::new(cache_directory(common.cache.clone())?);
    let mut progress = Progress::new(json, own::STAGES);
    let own = OwnKernel::make(&cache, &common.origin(), &common.layers()?, &spec, &key, &mut progress)?;
    for path in own.copy_to(&out)? {
        if json {
            say!("{}", json!({"event": "written", "path": path}));
        } else {
            say!("{}", path.display());
        }
    }
    Ok(())
}

fn key(dir: Option<PathBuf>, days: u32, production: bool, if_missing: bool) -> Result<()> {
    let directory = keys_directory(dir)?;
    let path = match keys::generate_kernel(&directory, !production, days) {
        Err(Error::KeysExist(_)) if if_missing => keys::kernel_path(&directory),
        made => made?,
    };
    say!("{}", path.display());
    Ok(())
}

/// The configuration to compare with.
fn before(place: &Place, spec: &Spec, against: &str) -> Result<DotConfig> {
    if against == "debian" {
        return Ok(DotConfig::parse(&place.workshop.base));
    }
    if let Ok(edition) = against.parse::<Edition>() {
        let other = Spec::load(edition).map_err(Error::Spec)?;
        return Ok(place.configured(&other)?.0.config);
    }
    let mut path = PathBuf::from(against);
    if path.is_dir() {
        path.push(format!("{}.config", spec.id));
    }
    let text = fs::read_to_string(&path).map_err(Error::io("reading", &path))?;
    Ok(DotConfig::parse(&text))
}
