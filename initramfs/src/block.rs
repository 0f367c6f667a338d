//! Block devices as sysfs describes them, below a root that is an argument.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::uevent::Uevent;

/// A disk, an optical drive or a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockDevice {
    /// Whether it is a partition. First field: whole devices sort before partitions.
    pub(crate) is_partition: bool,
    /// Name in `/sys/class/block`.
    pub(crate) name: String,
    /// Name of the whole device, for a partition.
    pub(crate) parent: Option<String>,
    /// Bytes; 0 when there is no medium.
    pub(crate) size: u64,
    /// GUID of a GPT partition, in lower case.
    pub(crate) partition_guid: Option<String>,
    /// Vendor and model of the whole device, for messages.
    pub(crate) model: String,
}

/// Names of devices in memory or on top of others: never a medium, and some of them are our own.
const NOT_A_MEDIUM: [&str; 6] = ["loop", "ram", "zram", "dm-", "nbd", "md"];

impl BlockDevice {
    /// Reads a device from `sys`, which is `/sys`; `None` for a device that cannot be a medium.
    ///
    /// # Errors
    /// When the device went away.
    pub(crate) fn from_sysfs(sys: &Path, name: &str) -> io::Result<Option<Self>> {
        if NOT_A_MEDIUM.iter().any(|prefix| name.starts_with(prefix)) {
            return Ok(None);
        }
        let link = sys.join("class/block").join(name);
        let directory = fs::canonicalize(&link)?;
        let sectors: u64 = fs::read_to_string(directory.join("size"))?.trim().parse().unwrap_or_default();
        let event = Uevent::from_file(&fs::read_to_string(directory.join("uevent"))?);
        let is_partition = directory.join("partition").exists();
        let whole = if is_partition { directory.parent().unwrap_or(&directory) } else { &directory };
        let whole_name = whole.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(Some(Self {
            is_partition,
            name: name.to_string(),
            parent: whole_name.filter(|_| is_partition),
            size: sectors.saturating_mul(512),
            partition_guid: event.partition_guid.map(|guid| guid.to_ascii_lowercase()),
            model: model(whole),
        }))
    }

    /// Path of the device node.
    pub(crate) fn node(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }

    /// Name of the whole device that it is or belongs to.
    pub(crate) fn disk(&self) -> &str {
        self.parent.as_deref().unwrap_or(&self.name)
    }
}

/// Names of all block devices.
pub(crate) fn names(sys: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(sys.join("class/block"))?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Vendor and model as far as the device tells them.
fn model(whole: &Path) -> String {
    let read = |name: &str| fs::read_to_string(whole.join("device").join(name)).unwrap_or_default();
    let words: Vec<String> = ["vendor", "model", "name"].iter().map(|name| read(name)).collect();
    // A virtio disk has only a number as its vendor.
    let text: Vec<&str> =
        words.iter().map(|word| word.trim()).filter(|w| !w.is_empty() && !w.starts_with("0x")).collect();
    text.join(" ")
}

/// Bytes as a person writes them: `1.5 GiB`.
pub(crate) fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes;
    let mut unit = None;
    let mut tenths = 0;
    for name in UNITS {
        if value < 1024 {
            break;
        }
        tenths = value % 1024 * 10 / 1024;
        value /= 1024;
        unit = Some(name);
    }
    unit.map_or_else(|| format!("{value} B"), |unit| format!("{value}.{tenths} {unit}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A sysfs with one USB disk and one partition on it.
    fn sysfs(root: &Path) {
        let disk = root.join("devices/usb1/host0/block/sda");
        fs::create_dir_all(disk.join("sda1")).unwrap();
        fs::create_dir_all(disk.join("device")).unwrap();
        fs::create_dir_all(root.join("class/block")).unwrap();
        let write = |path: &str, text: &str| fs::write(disk.join(path), text).unwrap();
        write("size", "8192\n");
        write("uevent", "MAJOR=8\nDEVNAME=sda\nDEVTYPE=disk\n");
        write("device/vendor", "QEMU    \n");
        write("device/model", "USB STICK  \n");
        write("sda1/size", "2048\n");
        write("sda1/partition", "1\n");
        write("sda1/uevent", "DEVNAME=sda1\nPARTUUID=00112233-4455-8677-8899-AABBCCDDEEF2\n");
        for (name, target) in [("sda", "sda"), ("sda1", "sda/sda1")] {
            let target = Path::new("../../devices/usb1/host0/block").join(target);
            symlink(target, root.join("class/block").join(name)).unwrap();
        }
    }

    #[test]
    fn disk_and_partition() {
        let root = std::env::temp_dir().join(format!("aegis-init-block-{}", std::process::id()));
        sysfs(&root);
        let read = |name: &str| BlockDevice::from_sysfs(&root, name);
        let (disk, part) = (read("sda").unwrap().unwrap(), read("sda1").unwrap().unwrap());
        let mut all = names(&root).unwrap();
        all.sort();
        let gone = read("sdb");
        fs::remove_dir_all(&root).unwrap();

        assert_eq!((disk.size, disk.model.as_str()), (4 << 20, "QEMU USB STICK"));
        assert_eq!((disk.is_partition, disk.disk()), (false, "sda"));
        assert_eq!((part.is_partition, part.disk()), (true, "sda"));
        assert_eq!(part.partition_guid.as_deref(), Some("00112233-4455-8677-8899-aabbccddeef2"));
        assert_eq!(all, ["sda", "sda1"]);
        assert!(disk < part);
        assert!(gone.is_err());
        assert_eq!(BlockDevice::from_sysfs(&root, "loop0").unwrap(), None);
    }

    #[test]
    fn sizes_for_people() {
        assert_eq!(human_size(0), "0 B");
        assert_eq!(human_size(1023), "1023 B");
        assert_eq!(human_size(1536), "1.5 KiB");
        assert_eq!(human_size(4 << 40), "4.0 TiB");
    }
}
