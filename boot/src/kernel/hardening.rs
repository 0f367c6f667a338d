//! How hardened a configuration is, by kernel-hardening-checker, and which of its wishes are not followed for a reason.
//!
//! Its verdicts are advice: an edition has a floor of wishes that it fulfils, and a hardened one an `accept` line for each that
//! it does not.

use std::{collections::BTreeSet, fs};

use aegis_kernel_configs::{DotConfig, Merged};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    host,
    kernel::workshop::{Room, Workshop},
};

/// The checker's judgement of a configuration.
#[derive(Clone, Debug, Serialize)]
pub struct Score {
    /// Wishes that are fulfilled.
    pub fulfilled: usize,
    /// All wishes.
    pub of: usize,
    /// The least that the layers promise.
    pub floor: Option<u16>,
    /// Wishes that are neither fulfilled nor accepted, and what was found; none where the floor does
    /// not say `others accepted`.
    pub open: Vec<(String, String)>,
}

/// One verdict in the checker's JSON output.
#[derive(Deserialize)]
struct Verdict {
    option_name: String,
    desired_val: String,
    check_result: String,
    check_result_bool: bool,
}

impl Score {
    /// As many wishes are fulfilled as the layers promise, and every other one has its reason where layers give reasons.
    pub fn holds(&self) -> bool {
        self.floor.is_none_or(|floor| self.fulfilled >= usize::from(floor)) && self.open.is_empty()
    }
}

/// Runs the checker on a configuration.
pub fn judge(workshop: &Workshop, merged: &Merged, config: &DotConfig, text: &str) -> Result<Score> {
    let work = tempfile::tempdir().map_err(Error::io("creating", "a directory for the hardening checker"))?;
    let file = work.path().join("config");
    fs::write(&file, text).map_err(Error::io("writing", file))?;
    let mounts = [(workshop.checker.as_path(), "/checker")];
    let room = Room { build: work.path(), mounts: &mounts, variables: &[("PYTHONPATH", "/checker")] };
    let mut command = workshop.command(room, "python3");
    command.args(["-B", "-c", "import kernel_hardening_checker as checker; checker.main()"]);
    command.args(["-c", "/build/config", "-m", "json"]);
    let output = host::output(&mut command, "judging a kernel configuration's hardening")?;
    let verdicts: Vec<Verdict> = serde_json::from_slice(&output).map_err(|error| Error::Tool {
        program: "kernel-hardening-checker".into(),
        purpose: "judging a kernel configuration's hardening".into(),
        output: error.to_string(),
    })?;
    let accepted: BTreeSet<&str> = merged.accepted.keys().map(String::as_str).collect();
    let explained = merged.floor.is_some_and(|floor| floor.others_accepted);
    let failed = verdicts.iter().filter(|verdict| !verdict.check_result_bool);
    let open = failed.filter_map(|verdict| {
        let symbol = verdict.option_name.strip_prefix("CONFIG_").unwrap_or(&verdict.option_name);
        let found = config.get(symbol);
        (explained && !accepted.contains(symbol)).then(|| {
            let Verdict { desired_val, check_result, .. } = verdict;
            (symbol.to_owned(), format!("wanted {desired_val}, is {found}: {check_result}"))
        })
    });
    Ok(Score {
        fulfilled: verdicts.iter().filter(|verdict| verdict.check_result_bool).count(),
        of: verdicts.len(),
        floor: merged.floor.map(|floor| floor.fulfilled),
        open: open.collect(),
    })
}
