//! An edition's kernel configuration, judged: what was asked for against what the kernel made of it.

use std::path::Path;

use aegis_core::edition::Edition;
use aegis_editions::Spec;
use aegis_kernel_configs::{Value, check, check::Finding, kconfig::Tree};
use serde::Serialize;

use crate::{
    cache::Cache,
    error::{Error, Result},
    kernel::{
        configure::{self, Configured},
        hardening::{self, Score},
        workshop::Workshop,
    },
    progress::Progress,
};

/// What a check of one edition found.
#[derive(Clone, Debug, Serialize)]
pub struct Judged {
    /// The edition.
    pub edition: Edition,
    /// Requests of its layers that apply to this kernel.
    pub requests: usize,
    /// Requests that the configuration has.
    pub kept: usize,
    /// Symbols that are built in.
    pub builtin: usize,
    /// Symbols that are modules.
    pub modules: usize,
    /// What is not as it was asked for.
    pub findings: Vec<Finding>,
    /// Its hardening.
    pub score: Score,
    /// The configuration was in the cache.
    #[serde(skip)]
    pub cached: bool,
}

impl Judged {
    /// Nothing is to be corrected.
    pub fn passes(&self) -> bool {
        self.findings.is_empty() && self.score.holds()
    }

    /// How much is to be corrected.
    pub fn count(&self) -> usize {
        self.findings.len() + self.score_findings().count()
    }

    /// What the hardening lacks, as clauses.
    pub fn score_findings(&self) -> impl Iterator<Item = String> {
        let Score { fulfilled, floor, open, .. } = &self.score;
        let below = floor.filter(|floor| *fulfilled < usize::from(*floor));
        let below =
            below.map(|floor| format!("hardening: {fulfilled} wishes are fulfilled, the floor is {floor}"));
        below.into_iter().chain(open.iter().map(|(symbol, what)| {
            format!("hardening: CONFIG_{symbol}: {what}\n    next: follow it, or write: accept CONFIG_{symbol}  # why")
        }))
    }
}

/// Judges editions by one kernel source.
pub struct Judge<'a> {
    cache: &'a Cache,
    workshop: &'a Workshop,
    layers: &'a Path,
    tree: Tree,
}

impl<'a> Judge<'a> {
    /// Reads the Kconfig files of the source.
    pub fn new(
        cache: &'a Cache,
        workshop: &'a Workshop,
        layers: &'a Path,
        progress: &mut Progress,
    ) -> Result<Self> {
        progress.stage("Kconfig");
        let tree = Tree::read(&workshop.source, "x86").map_err(Error::Kconfig)?;
        progress.done(false, &format!("{} symbols", tree.symbols().count()));
        Ok(Self { cache, workshop, layers, tree })
    }

    /// Configures an edition and compares.
    pub fn judge(&self, spec: &Spec) -> Result<(Judged, Configured)> {
        let merged = configure::merged(spec, self.layers, self.workshop)?;
        let (found, cached) = configure::configure(self.cache, self.workshop, spec, merged)?;
        let findings =
            check(&found.merged, &found.config, &self.tree, &found.unanswered, self.workshop.version);
        let kept =
            found.merged.requests.values().filter(|one| one.is_met_by(found.config.get(&one.symbol))).count();
        let score = hardening::judge(self.workshop, &found.merged, &found.config, &found.text)?;
        let judged = Judged {
            edition: spec.id,
            requests: found.merged.requests.len(),
            kept,
            builtin: found.config.count(&Value::Yes),
            modules: found.config.count(&Value::Module),
            findings,
            score,
            cached,
        };
        Ok((judged, found))
    }
}
