//! The lines of an installation.

use aegis_core::report::{Hint, render};
use aegis_hw::Bytes;
use serde_json::json;

use super::out;
use crate::{
    error::Error,
    plan::InstallPlan,
    progress::{self, Event},
};

/// Prints a line when a step begins, at every tenth of it, and when it ends.
pub(in crate::cli) struct Observer {
    json: bool,
    tenth: u64,
}

impl Observer {
    pub(in crate::cli) fn new(json: bool) -> Self {
        Self { json, tenth: 0 }
    }

    fn text(&mut self, event: Event) -> Option<String> {
        match event {
            Event::Start { step, .. } => {
                self.tenth = 0;
                Some(format!("{step}\n"))
            }
            Event::Advance { bytes, total, rate, eta, .. } => {
                let tenth = bytes.saturating_mul(10).checked_div(total)?;
                if tenth <= self.tenth {
                    return None;
                }
                self.tenth = tenth;
                let left = eta.map(|s| format!(", {s} s left")).unwrap_or_default();
                Some(format!("  {}0 %, {}/s{left}\n", tenth, Bytes(rate)))
            }
            Event::Done { bytes: 0, .. } => None,
            Event::Done { bytes, ms, .. } => {
                Some(format!("  {} in {}.{} s\n", Bytes(bytes), ms / 1000, ms % 1000 / 100))
            }
        }
    }
}

impl progress::Observer for Observer {
    fn report(&mut self, event: Event) -> bool {
        match self.json {
            true => out(&format!("{}\n", json!(event))),
            false => self.text(event).iter().for_each(|line| out(line)),
        }
        true
    }
}

/// The last line of an installation.
pub(in crate::cli) fn installed(plan: &InstallPlan, as_json: bool) {
    let InstallPlan { edition, version, target, install, .. } = plan;
    let path = target.path.display();
    match as_json {
        true => {
            out(&format!("{}\n", json!({ "event": "installed", "install": install, "target": target.path })))
        }
        false => out(&format!("{edition} {version} is installed on {path}; remove the medium and restart\n")),
    }
}

/// The last line of an installation that failed, for machines; people read standard error.
pub(in crate::cli) fn failed(error: &Error) {
    let (disk, undo) = match error {
        Error::Step { disk, undo, .. } => (json!(disk), json!(undo)),
        _ => (json!(null), json!(null)),
    };
    let code = error.exit_code();
    out(&format!(
        "{}\n",
        json!({ "event": "failed", "error": render(error), "disk": disk, "undo": undo, "code": code })
    ));
}
