//! The shape of `<id>.toml`, before inheritance.
//!
//! Invariant: every type refuses unknown keys, so that a misspelt key is an error and never silence.

use std::collections::{BTreeMap, BTreeSet};

use aegis_core::{channel::Channel, edition::Edition, manifest::ImageKind};
use serde::Deserialize;

use crate::spec::{Colours, Desktop, Price, ServiceLimits};

/// One file. The keys up to `service` say what an edition is to its buyer and are never inherited.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Raw {
    pub inherit: Option<Edition>,
    pub name: Option<String>,
    pub tagline: Option<String>,
    pub key_prefix: Option<String>,
    pub best_for: Option<String>,
    pub highlights: Option<Vec<String>>,
    pub upgrade_paths: Option<Vec<Edition>>,
    #[serde(default)]
    pub includes: BTreeSet<Edition>,
    pub colour: Option<Colours>,
    pub price: Option<Price>,
    pub service: Option<ServiceLimits>,
    #[serde(default)]
    pub system: System,
    #[serde(default)]
    pub kernel: Kernel,
    #[serde(default)]
    pub disk: Disk,
    #[serde(default)]
    pub image: Image,
    #[serde(default)]
    pub security: Security,
    #[serde(default)]
    pub services: Services,
    #[serde(default)]
    pub entitlements: Entitlements,
    #[serde(default)]
    pub packages: Packages,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct System {
    pub channel: Option<Channel>,
    #[serde(default)]
    pub architectures: Vec<String>,
    #[serde(default)]
    pub components: Vec<String>,
    #[serde(default)]
    pub overlays: Vec<String>,
    pub desktop: Option<Desktop>,
    pub serial_console: Option<bool>,
    pub memory_mib: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kernel {
    pub package: Option<String>,
    #[serde(default)]
    pub fragments: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disk {
    pub slot_mib: Option<u32>,
    pub minimum_mib: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Image {
    pub kind: Option<ImageKind>,
    pub compression: Option<u8>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Security {
    pub level: Option<u8>,
    pub confinement: Option<bool>,
    pub firewall_tools: Option<bool>,
    pub malware_scanner: Option<bool>,
    pub sandbox_tools: Option<bool>,
    pub intrusion_prevention: Option<bool>,
    pub audit_log: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Services {
    #[serde(default)]
    pub enable: Vec<String>,
    #[serde(default)]
    pub mask: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entitlements {
    #[serde(default)]
    pub flags: Vec<String>,
    /// Flags that are inherited and not granted here.
    #[serde(default)]
    pub remove: BTreeSet<String>,
    #[serde(default)]
    pub limits: BTreeMap<String, i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Packages {
    /// Group, for the reader alone, to names.
    #[serde(default)]
    pub add: BTreeMap<String, Vec<String>>,
    /// Names that an inherited list has and this edition does not want.
    #[serde(default)]
    pub remove: BTreeSet<String>,
}
