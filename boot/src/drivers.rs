//! Which graphics devices an edition drives, and with which of its packages: derived from the rules that the installer uses.

use aegis_editions::Spec;
use aegis_hw::gpu::drivers;
use serde::Serialize;

/// A specification with what follows from its packages.
#[derive(Debug, Serialize)]
pub struct Shown<'a> {
    #[serde(flatten)]
    spec: &'a Spec,
    /// For generations of graphics chips, in the order of the rules.
    pub graphics_drivers: Vec<Graphics>,
}

/// How an edition drives a generation of chips.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Graphics {
    /// PCI vendor, in hexadecimal digits.
    pub vendor: String,
    /// Name of the generation.
    pub generation: &'static str,
    /// The kernel's module; empty where the firmware's frame buffer is all there is.
    pub module: &'static str,
    /// Videos can be encoded.
    pub encodes: bool,
    /// The packages that this takes.
    pub packages: Vec<&'static str>,
}

impl<'a> Shown<'a> {
    /// Of an edition.
    pub fn of(spec: &'a Spec) -> Self {
        let chosen = drivers::generations().map(|(vendor, generation)| {
            let rule = drivers::of_generation(vendor, generation, &spec.packages);
            Graphics {
                vendor: format!("{vendor:04x}"),
                generation,
                module: rule.as_ref().map_or("", |rule| rule.module),
                encodes: rule.as_ref().is_some_and(|rule| rule.encodes),
                packages: rule.map(|rule| rule.packages).unwrap_or_default(),
            }
        });
        Self { spec, graphics_drivers: chosen.collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use aegis_core::edition::Edition;

    use super::*;

    fn graphics(edition: Edition, generation: &str) -> (&'static str, bool) {
        let spec = Spec::load(edition).unwrap();
        let shown = Shown::of(&spec);
        let found = shown.graphics_drivers.iter().find(|graphics| graphics.generation == generation);
        found.map(|graphics| (graphics.module, graphics.encodes)).unwrap()
    }

    #[test]
    fn editions_drive_what_their_packages_can() {
        assert_eq!(graphics(Edition::Gamer, "VCN 4"), ("amdgpu", true));
        assert_eq!(graphics(Edition::Gamer, "Ada"), ("nouveau", false));
        assert_eq!(graphics(Edition::Gamer, "Xe HPG"), ("i915", true));
        assert_eq!(graphics(Edition::Freemium, "VCN 4"), ("amdgpu", false));
        assert_eq!(graphics(Edition::Freemium, "Kepler"), ("nouveau", false));
        // No driver of Debian 13 knows it.
        assert_eq!(graphics(Edition::Gamer, "Blackwell"), ("", false));
        // It has neither firmware nor Mesa, and a console on the firmware's frame buffer.
        assert_eq!(graphics(Edition::Server, "VCN 4"), ("", false));
    }

    #[test]
    fn every_package_of_the_rules_is_in_an_edition_or_was_looked_up() {
        let all: BTreeSet<String> = Spec::all().unwrap().into_iter().flat_map(|spec| spec.packages).collect();
        // Builds prove that the editions' packages are there. The others are in Debian 13 as of 2026-11-23, 550.163.01-2.
        let looked_up = [
            "firmware-nvidia-gsp",
            "libnvidia-encode1",
            "nvidia-driver",
            "nvidia-kernel-dkms",
            "nvidia-open-kernel-dkms",
        ];
        for package in drivers::drivers().flat_map(|rule| rule.packages) {
            assert!(all.contains(package) != looked_up.contains(&package), "{package}");
        }
    }
}
