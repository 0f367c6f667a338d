//! `/run/aegis/boot.json`: what the running system learns about its boot.

use std::{fs, path::Path};

use serde::Serialize;

use crate::{
    error::Error,
    search::{Found, Place},
};

const DIRECTORY: &str = "/run/aegis";

/// How long a stage took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Timing {
    /// Name of the stage.
    pub(crate) stage: &'static str,
    /// Milliseconds.
    pub(crate) ms: u64,
}

#[derive(Debug, Serialize)]
struct Record<'a> {
    mode: &'static str,
    edition: &'static str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    medium_device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    install: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<&'static str>,
    timings: &'a [Timing],
}

impl<'a> Record<'a> {
    fn new(found: &'a Found, timings: &'a [Timing]) -> Self {
        let manifest = &found.release.manifest;
        let (mode, medium_device, install, slot) = match &found.place {
            Place::Medium(device) => ("live", Some(device.node().display().to_string()), None, None),
            Place::Slot { id, slot, .. } => ("installed", None, Some(id.to_string()), Some(slot.id())),
        };
        let (edition, version) = (manifest.edition.id(), manifest.version.as_str());
        Self { mode, edition, version, medium_device, install, slot, timings }
    }
}

/// Writes the record, the manifest and its signature.
pub(crate) fn write(found: &Found, timings: &[Timing]) -> Result<(), Error> {
    let record = Record::new(found, timings);
    let mut json =
        serde_json::to_vec(&record).map_err(|e| Error::os("write", "boot.json", std::io::Error::other(e)))?;
    json.push(b'\n');
    let files: [(&str, &[u8]); 3] = [
        ("boot.json", &json),
        ("manifest.json", &found.release.bytes),
        ("manifest.json.sig", &found.release.signature),
    ];
    for (name, bytes) in files {
        let path = Path::new(DIRECTORY).join(name);
        fs::write(&path, bytes).map_err(|e| Error::os("write", path.display(), e))?;
    }
    Ok(())
}
