//! Names of PCI devices by the system's `pci.ids`. <https://pci-ids.ucw.cz>

use std::collections::BTreeMap;

use crate::{error::Error, text::reported, tree::Tree};

/// Where Debian has it.
pub const PCI_IDS: &str = "/usr/share/misc/pci.ids";

/// Vendors, each with its devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(BTreeMap<u16, (String, BTreeMap<u16, String>)>);

impl Names {
    /// Reads the file; without it, no device has a name.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(tree: &Tree, path: &str) -> Result<Self, Error> {
        let bytes = tree.read_if_any(path)?.unwrap_or_default();
        Ok(Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    /// Reads the text: a vendor a line, its devices behind a tab. The classes after them are left out.
    pub fn parse(text: &str) -> Self {
        let mut names = Self::default();
        let mut vendor = None;
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.starts_with("\t\t")) {
            let (is_device, line) = line.strip_prefix('\t').map_or((false, line), |rest| (true, rest));
            let Some((id, name)) = line.split_once("  ") else { continue };
            let id = u16::from_str_radix(id, 16).ok().filter(|_id| id.len() == 4);
            let name = reported(name.as_bytes()).unwrap_or_default();
            match (is_device, id, vendor) {
                (false, id, _) => {
                    vendor = id;
                    id.map(|id| names.0.insert(id, (name, BTreeMap::new())));
                }
                (true, Some(device), Some(vendor)) => {
                    names.0.get_mut(&vendor).map(|(_, devices)| devices.insert(device, name));
                }
                _ => {}
            }
        }
        names
    }

    /// Vendor and device by name.
    pub fn of(&self, vendor: u16, device: u16) -> Option<String> {
        let (vendor, devices) = self.0.get(&vendor)?;
        Some(format!("{vendor} {}", devices.get(&device)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendors_devices_and_what_is_left_out() {
        let names = Names::parse(
            "# comment\n\n10de  NVIDIA Corporation\n\t2684  AD102 [GeForce RTX 4090]\n\t\t10de 16f3  a subsystem\n\
             zzzz  no number\n\t0001  of nobody\n8086  Intel Corporation\n\t46a6  Iris\u{202e} Xe\nC 03  Display\n\t00  VGA\n",
        );
        assert_eq!(names.of(0x10de, 0x2684).as_deref(), Some("NVIDIA Corporation AD102 [GeForce RTX 4090]"));
        assert_eq!(names.of(0x10de, 0x16f3), None);
        assert_eq!(names.of(0x10de, 1), None, "the line before it was no vendor");
        assert!(names.of(0x8086, 0x46a6).is_some());
        assert_eq!(names.of(0x8086, 0), None);
        assert_eq!(Names::read(&Tree::default(), "/nonexistent/pci.ids").unwrap(), Names::default());
    }
}
