//! `/run/aegis/boot.json`: what the running system learns about its boot.

use std::{fs, path::Path};

use aegis_core::{key::PublicKey, version::Version};
use serde::Serialize;

use crate::{
    error::Error,
    license::License,
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
    version: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    medium_device: Option<String>,
    /// What is changed is kept on the medium's stick.
    #[serde(skip_serializing_if = "Option::is_none")]
    persistent: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    install: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<&'static str>,
    /// The disk that the system runs from, by its kernel name.
    #[serde(skip_serializing_if = "Option::is_none")]
    disk: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<License>,
    timings: &'a [Timing],
}

impl<'a> Record<'a> {
    fn new(found: &'a Found, kept: bool, license: Option<License>, timings: &'a [Timing]) -> Self {
        let manifest = &found.release.manifest;
        let (mode, medium_device, install, slot, disk) = match &found.place {
            Place::Medium(device) => ("live", Some(device.node().display().to_string()), None, None, None),
            Place::Slot { id, slot, partition, .. } => {
                ("installed", None, Some(id.to_string()), Some(slot.id()), Some(partition.disk()))
            }
        };
        let (edition, version) = (manifest.edition.id(), manifest.version);
        let persistent = medium_device.as_ref().map(|_device| kept);
        Self { mode, edition, version, medium_device, persistent, install, slot, disk, license, timings }
    }
}

/// Writes the record, the manifest and its signature, and the key ring that the boot trusts: the running system trusts
/// the same keys and has no list of its own.
pub(crate) fn write(
    found: &Found,
    kept: bool,
    keys: &[PublicKey],
    license: Option<License>,
    timings: &[Timing],
) -> Result<(), Error> {
    let (json, ring) = (line(&Record::new(found, kept, license, timings))?, line(&keys)?);
    let files: [(&str, &[u8]); 4] = [
        ("boot.json", &json),
        ("keys.json", &ring),
        ("manifest.json", &found.release.bytes),
        ("manifest.json.sig", &found.release.signature),
    ];
    for (name, bytes) in files {
        let path = Path::new(DIRECTORY).join(name);
        fs::write(&path, bytes).map_err(|e| Error::os("write", path.display(), e))?;
    }
    Ok(())
}

/// A line of JSON.
fn line(content: &impl Serialize) -> Result<Vec<u8>, Error> {
    let encoded = serde_json::to_vec(content);
    let mut json = encoded.map_err(|e| Error::os("encode", "boot.json", std::io::Error::other(e)))?;
    json.push(b'\n');
    Ok(json)
}
