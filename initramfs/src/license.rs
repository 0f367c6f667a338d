//! The license of an installed system, judged before the system starts.
//!
//! Whatever comes out, the system starts: a license opens features, it does not lock anyone out.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use aegis_core::{
    crypto::Ring,
    edition::Edition,
    key::PublicKey,
    license::verdict::{Code, Verdict},
    time::UnixTime,
};
use aegis_hw::{
    Tree,
    license::{Files, Here},
    machine::Identity,
};
use serde::Serialize;

use crate::{
    log,
    root::NEW_ROOT,
    search::{Found, Place},
};

/// `license` in `boot.json`.
#[derive(Debug, Serialize)]
pub(crate) struct License {
    verdict: Code,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<u64>,
}

/// Judges the license of the system below [`NEW_ROOT`]; `None` for a live system and for the free edition, which need none.
pub(crate) fn judge(found: &Found, keys: &[PublicKey]) -> Option<License> {
    let edition = found.release.manifest.edition;
    let Place::Slot { partition, .. } = &found.place else { return None };
    if edition == Edition::Freemium {
        return None;
    }
    let root = Path::new(NEW_ROOT);
    let identity = Identity::read(&Tree::default(), Some(partition.disk()), &root.join("etc/machine-id"));
    // A clock before 1970 judges like one at 1970, which every license is later than.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let now = UnixTime::from_unsigned(now);
    let here = Here { ring: keys, edition, machine: identity.machine(), now };
    let files = Files::below(root);
    let judged = files.text().and_then(|text| files.judge::<Ring>(text.as_deref(), files.state()?, &here));
    match judged {
        Ok(judged) => Some(describe(&judged.verdict, judged.license.map(|license| license.claims().serial))),
        Err(error) => {
            log::warning(&format!("the license cannot be read: {error}"));
            None
        }
    }
}

fn describe(verdict: &Verdict, serial: Option<u64>) -> License {
    let license = License { verdict: verdict.code(), text: verdict.to_string(), serial };
    match verdict.grant() {
        Some(_) => log::info(&format!("license: {}", license.text)),
        None => log::notice(&format!("license: {}; the features of the free edition are open", license.text)),
    }
    license
}
