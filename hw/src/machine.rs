//! The parts of this machine that a license can be bound to, as the kernel tells them.

use std::{fs, path::Path};

use aegis_core::license::machine::{Component, Machine};

use crate::{inventory::sysfs, text::reported, tree::Tree};

/// The values of the components that this machine has, owned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity(Vec<(Component, String)>);

impl Identity {
    /// Reads what can be read: DMI needs root. `disk` is the kernel's name of the disk that the system runs from, and
    /// `machine_id` the file of machine-id(5). What is missing is left out.
    pub fn read(tree: &Tree, disk: Option<&str>, machine_id: &Path) -> Self {
        let dmi = |file: &str| tree.text(&format!("/sys/class/dmi/id/{file}"));
        let values = [
            (Component::SystemUuid, dmi("product_uuid")),
            (Component::BoardSerial, dmi("board_serial")),
            (Component::SystemSerial, dmi("product_serial")),
            (Component::Disk, disk.and_then(|name| sysfs::disk_identity(tree, name))),
            (Component::NetworkCard, network_card(tree)),
            (Component::Installation, fs::read(machine_id).ok().and_then(|raw| reported(&raw))),
        ];
        Self(values.into_iter().filter_map(|(component, value)| Some((component, value?))).collect())
    }

    /// For [`aegis_core::license`].
    pub fn machine(&self) -> Machine<'_> {
        Machine::new(self.0.iter().map(|(component, value)| (*component, value.as_str())))
    }
}

/// The permanent address of the first network card: one with a device behind it whose address was not set by software
/// (`addr_assign_type` 0, Linux `Documentation/ABI/testing/sysfs-class-net`).
fn network_card(tree: &Tree) -> Option<String> {
    tree.list("/sys/class/net").ok()?.into_iter().find_map(|name| {
        let card = format!("/sys/class/net/{name}");
        let permanent = tree.number(&format!("{card}/addr_assign_type")) == Some(0);
        let address = tree.text(&format!("{card}/address")).filter(|_address| permanent)?;
        tree.exists(&format!("{card}/device")).then_some(address)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Roots;

    fn write(root: &Path, file: &str, content: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[test]
    fn parts_are_read_below_a_root() {
        let root = tempfile::tempdir().unwrap();
        let at = root.path();
        for (file, content) in [
            ("sys/class/dmi/id/product_uuid", "4c4c4544-0043-4b10-8056-b4c04f4d3333\n"),
            ("sys/class/dmi/id/board_serial", "/2CKMV33/CNWS2008C900AA/\n"),
            ("sys/class/dmi/id/product_serial", "To Be Filled By O.E.M.\n"),
            ("sys/block/vda/serial", "DISK-1"),
            ("sys/class/net/docker0/address", "02:42:00:00:00:01\n"),
            ("sys/class/net/docker0/addr_assign_type", "0\n"),
            ("sys/class/net/wlan0/address", "a4:bb:6d:00:11:22\n"),
            ("sys/class/net/wlan0/addr_assign_type", "3\n"),
            ("sys/class/net/wlan0/device/uevent", ""),
            ("sys/class/net/eth0/address", "a4:bb:6d:00:11:23\n"),
            ("sys/class/net/eth0/addr_assign_type", "0\n"),
            ("sys/class/net/eth0/device/uevent", ""),
            ("etc/machine-id", "b08dfa6083e7567a1921a715000001fb\n"),
        ] {
            write(at, file, content);
        }
        let tree = Tree::live(Roots::below(at));
        let identity = Identity::read(&tree, Some("vda"), &at.join("etc/machine-id"));
        let value =
            |component| identity.0.iter().find(|(one, _)| *one == component).map(|(_, value)| value.as_str());
        assert_eq!(value(Component::Disk), Some("DISK-1"));
        assert_eq!(value(Component::NetworkCard), Some("a4:bb:6d:00:11:23"));
        assert_eq!(value(Component::Installation), Some("b08dfa6083e7567a1921a715000001fb"));
        assert_eq!(identity.machine().known(), 5, "the serial that says nothing does not count");
        assert_eq!(Identity::read(&tree, None, &at.join("missing")).machine().known(), 3);
    }
}
