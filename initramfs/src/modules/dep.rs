//! `modules.dep`: the file of each module and what has to be loaded before it.

use std::collections::{BTreeMap, BTreeSet};

/// The parsed index. Names are written with `_`, as the kernel does, whatever the file is called.
#[derive(Debug, Default)]
pub(crate) struct Dependencies(BTreeMap<String, Entry>);

#[derive(Debug)]
struct Entry {
    path: String,
    /// Names, in the order of the file: depmod lists them so that the last one is loaded first.
    needs: Vec<String>,
}

impl Dependencies {
    /// Parses the text of `modules.dep`; a line without a colon is ignored.
    pub(crate) fn parse(text: &str) -> Self {
        let entry = |line: &str| {
            let (path, needs) = line.split_once(':')?;
            let needs = needs.split_ascii_whitespace().map(module_name).collect();
            Some((module_name(path), Entry { path: path.trim().to_string(), needs }))
        };
        Self(text.lines().filter_map(entry).collect())
    }

    /// Whether there is such a module.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(&module_name(name))
    }

    /// Names and paths of what must be loaded for the module, itself last, each once. Empty when it is not known.
    pub(crate) fn load_order(&self, name: &str) -> Vec<(&str, &str)> {
        let mut order = Vec::new();
        self.visit(&module_name(name), &mut BTreeSet::new(), &mut order);
        order
    }

    fn visit<'s>(&'s self, name: &str, seen: &mut BTreeSet<&'s str>, order: &mut Vec<(&'s str, &'s str)>) {
        let Some((name, entry)) = self.0.get_key_value(name) else { return };
        // A module on the way to itself would be a defect of the index; it must not become an endless loop.
        if !seen.insert(name) {
            return;
        }
        for need in entry.needs.iter().rev() {
            self.visit(need, seen, order);
        }
        order.push((name, &entry.path));
    }
}

/// `kernel/drivers/usb/storage/usb-storage.ko.xz` or `usb-storage` to `usb_storage`.
fn module_name(path: &str) -> String {
    let file = path.trim().rsplit('/').next().unwrap_or_default();
    file.split(".ko").next().unwrap_or_default().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
kernel/drivers/usb/storage/uas.ko.xz: kernel/drivers/usb/storage/usb-storage.ko.xz kernel/drivers/scsi/scsi_mod.ko.xz kernel/drivers/usb/core/usbcore.ko.xz
kernel/drivers/usb/storage/usb-storage.ko.xz: kernel/drivers/scsi/scsi_mod.ko.xz kernel/drivers/usb/core/usbcore.ko.xz
kernel/drivers/usb/core/usbcore.ko.xz: kernel/drivers/usb/common/usb-common.ko.xz
kernel/drivers/usb/common/usb-common.ko.xz:
kernel/drivers/scsi/scsi_mod.ko.xz:
a.ko: b.ko
b.ko: a.ko
";

    #[test]
    fn dependencies_come_first_and_once() {
        let index = Dependencies::parse(TEXT);
        let names: Vec<&str> = index.load_order("uas").iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["usb_common", "usbcore", "scsi_mod", "usb_storage", "uas"]);
        assert_eq!(index.load_order("scsi_mod"), [("scsi_mod", "kernel/drivers/scsi/scsi_mod.ko.xz")]);
    }

    #[test]
    fn dashes_and_underscores_are_the_same() {
        let index = Dependencies::parse(TEXT);
        assert!(index.contains("usb-storage") && index.contains("usb_storage"));
        assert_eq!(index.load_order("usb-storage"), index.load_order("usb_storage"));
    }

    #[test]
    fn unknown_modules_and_cycles_end() {
        let index = Dependencies::parse(TEXT);
        assert!(index.load_order("nvme").is_empty());
        assert_eq!(index.load_order("a").len(), 2);
        assert!(Dependencies::parse("no colon here\n").load_order("no").is_empty());
    }
}
