//! Which packages drive which generation of chips: `hw/data/gpu-drivers.txt`.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use super::table::{self, Entry};

const TABLE: &str = include_str!("../../data/gpu-drivers.txt");

/// A way to drive a generation of chips.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Driver {
    /// PCI vendor of the chips.
    pub vendor: u16,
    /// Generations that it is for, by the names of the table of video engines.
    pub generations: Vec<&'static str>,
    /// The kernel's module.
    pub module: &'static str,
    /// Videos can be encoded with it.
    pub encodes: bool,
    /// The packages that it needs, all of them.
    pub packages: Vec<&'static str>,
    /// What a person should know.
    pub note: &'static str,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.module)
    }
}

/// Every rule, the better ones of a generation first.
pub fn drivers() -> impl Iterator<Item = Driver> {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(parse)
}

/// The driver of a chip in a system with these packages; `None` when the firmware's frame buffer is all there is.
pub fn driver(chip: &Entry, packages: &[String]) -> Option<Driver> {
    of_generation(chip.vendor(), &chip.generation, packages)
}

/// The driver of a generation in a system with these packages.
pub fn of_generation(vendor: u16, generation: &str, packages: &[String]) -> Option<Driver> {
    let fits = |rule: &Driver| rule.vendor == vendor && rule.generations.contains(&generation);
    drivers().find(|rule| fits(rule) && rule.is_in(packages))
}

/// Every generation of chips that there is a table of, with its vendor, whether there is a driver for it or not.
pub fn generations() -> impl Iterator<Item = (u16, &'static str)> {
    let mut seen = BTreeSet::new();
    table::generations().filter(move |generation| seen.insert(*generation))
}

impl Driver {
    /// Whether a system has all of its packages.
    pub fn is_in(&self, packages: &[String]) -> bool {
        self.packages.iter().all(|package| packages.iter().any(|has| has == package))
    }
}

fn parse(line: &'static str) -> Option<Driver> {
    let mut fields = line.split('|').map(str::trim);
    let rule = Driver {
        vendor: u16::from_str_radix(fields.next()?, 16).ok()?,
        generations: fields.next()?.split(", ").collect(),
        module: fields.next()?,
        encodes: match fields.next()? {
            "yes" => true,
            "no" => false,
            _ => return None,
        },
        packages: fields.next()?.split(' ').collect(),
        note: fields.next()?,
    };
    fields.next().is_none().then_some(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_and_names_generations_of_the_table() {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(drivers().count(), lines);
        let known: Vec<(u16, &str)> = generations().collect();
        for rule in drivers() {
            for generation in &rule.generations {
                assert!(known.contains(&(rule.vendor, *generation)), "{generation}");
            }
            let names =
                rule.packages.iter().all(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
            assert!(names && !rule.note.is_empty(), "{rule:?}");
        }
    }

    #[test]
    fn the_best_driver_whose_packages_are_all_there() {
        let packages = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let chip = |vendor, device| table::find(vendor, device).unwrap();
        let free = packages(&["firmware-nvidia-graphics", "libgl1-mesa-dri", "firmware-amd-graphics"]);
        assert_eq!(driver(&chip(0x10de, 0x2684), &free).unwrap().module, "nouveau");
        let non_free = packages(&[
            "nvidia-driver",
            "nvidia-open-kernel-dkms",
            "firmware-nvidia-gsp",
            "libnvidia-encode1",
        ]);
        let all = [free.clone(), non_free].concat();
        assert_eq!(driver(&chip(0x10de, 0x2684), &all).unwrap().module, "nvidia");
        // Pascal needs the proprietary modules, and Blackwell a branch that Debian 13 does not have.
        assert_eq!(driver(&chip(0x10de, 0x1b80), &all).unwrap().module, "nouveau");
        assert_eq!(driver(&chip(0x10de, 0x2b85), &all), None);
        let amd = driver(&chip(0x1002, 0x744c), &free).unwrap();
        assert_eq!((amd.module, amd.encodes), ("amdgpu", false));
        assert_eq!(driver(&chip(0x1002, 0x744c), &[]), None);
    }
}
