//! What uses a disk: mounts, swap and devices above it, through everything between.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use super::{block::Blocks, disk::DeviceNumber};
use crate::{error::Error, text::Shown, tree::Tree};

/// Something that uses a disk. `through` names the devices between, the lowest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Use {
    /// A mounted file system.
    Mount {
        /// Disk or partition.
        device: String,
        /// RAID, LVM, encryption and loop devices between it and the file system.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        through: Vec<String>,
        /// Where.
        at: String,
    },
    /// Swap space.
    Swap {
        /// Disk or partition.
        device: String,
        /// As of a mount.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        through: Vec<String>,
    },
    /// A device above it, such as RAID, LVM or encryption, that is not used itself.
    Holder {
        /// Disk or partition.
        device: String,
        /// As of a mount.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        through: Vec<String>,
        /// The kernel's or the device-mapper's name of the holder.
        by: String,
    },
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (device, through) = match self {
            Self::Mount { device, through, at } => {
                write!(f, "{} is mounted at {}", Shown(device), Shown(at))?;
                (device, through)
            }
            Self::Swap { device, through } => {
                write!(f, "{} is used as swap space", Shown(device))?;
                (device, through)
            }
            Self::Holder { device, through, by } => {
                write!(f, "{} is used by {}", Shown(device), Shown(by))?;
                (device, through)
            }
        };
        debug_assert!(!device.is_empty());
        match through.is_empty() {
            true => Ok(()),
            false => write!(f, ", through {}", Shown(&through.join(", "))),
        }
    }
}

/// Mounts and swaps of the running system.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) mounts: Vec<Mount>,
    swaps: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mount {
    device: Option<DeviceNumber>,
    source: String,
    pub(super) kind: String,
    pub(super) at: String,
    /// The file system itself is read-only, whatever the mount says.
    pub(super) read_only: bool,
    /// The kernel's names of the devices that it is on.
    pub(super) on: BTreeSet<String>,
}

impl Usage {
    /// # Errors
    /// When the mounts cannot be read: then nobody knows what is in use.
    pub(super) fn read(tree: &Tree, blocks: &Blocks) -> Result<Self, Error> {
        let mounts = tree.read("/proc/self/mountinfo")?;
        // A kernel without swap has no such file.
        let swaps = tree.read_if_any("/proc/swaps")?.unwrap_or_default();
        let (mounts, swaps) = (String::from_utf8_lossy(&mounts), String::from_utf8_lossy(&swaps));
        let mut mounts = parse_mounts(&mounts);
        for mount in &mut mounts {
            // File systems with device numbers of their own, such as btrfs, are recognised by their source.
            let numbered = mount.device.and_then(|number| blocks.by_number(number));
            mount.on.extend(numbered.or_else(|| blocks.by_path(tree, &mount.source)));
        }
        for devices in btrfs(tree) {
            for mount in mounts.iter_mut().filter(|mount| !mount.on.is_disjoint(&devices)) {
                mount.on.extend(devices.iter().cloned());
            }
        }
        let swaps = parse_swaps(&swaps).iter().filter_map(|path| blocks.by_path(tree, path)).collect();
        Ok(Self { mounts, swaps })
    }

    /// The uses of one disk or partition, through everything above it.
    pub(super) fn of(&self, blocks: &Blocks, device: &str) -> Vec<Use> {
        let mut walk = Walk { usage: self, blocks, device, seen: BTreeSet::new(), found: Vec::new() };
        walk.up(device, &mut Vec::new());
        walk.found
    }

    /// Where a device itself is mounted, and whether it is swap space.
    pub(super) fn direct(&self, device: &str) -> (Vec<String>, bool) {
        let mounts = self.mounts.iter().filter(|mount| mount.on.contains(device));
        (mounts.map(|mount| mount.at.clone()).collect(), self.swaps.iter().any(|swap| swap == device))
    }

    /// Whether every file system that is mounted at a place is read-only; false where none is.
    pub(super) fn is_read_only(&self, at: &str) -> bool {
        let mut there = self.mounts.iter().filter(|mount| mount.at == at).peekable();
        there.peek().is_some() && there.all(|mount| mount.read_only)
    }

    /// The device of the file system that a file is on.
    pub(super) fn device_of(&self, file: &str) -> Option<&str> {
        let holds = |mount: &&Mount| {
            let rest = file.strip_prefix(mount.at.trim_end_matches('/'));
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        // Of two mounts at one place the later hides the earlier.
        let mount = self.mounts.iter().filter(holds).max_by_key(|mount| mount.at.len())?;
        mount.on.first().map(String::as_str)
    }
}

struct Walk<'a> {
    usage: &'a Usage,
    blocks: &'a Blocks,
    device: &'a str,
    seen: BTreeSet<String>,
    found: Vec<Use>,
}

impl Walk<'_> {
    /// Collects what uses `name`, and everything above it.
    fn up(&mut self, name: &str, through: &mut Vec<String>) {
        // Sysfs has no circles, a recording may.
        if !self.seen.insert(name.into()) {
            return;
        }
        let device = self.device.to_owned();
        let (mounts, swap) = self.usage.direct(name);
        for at in mounts {
            self.found.push(Use::Mount { device: device.clone(), through: through.clone(), at });
        }
        if swap {
            self.found.push(Use::Swap { device: device.clone(), through: through.clone() });
        }
        for holder in self.blocks.above(name, self.usage) {
            // The second way to a device is none: what uses it was found by the first.
            if self.seen.contains(&holder) {
                continue;
            }
            let (before, by) = (self.found.len(), self.blocks.label(&holder));
            through.push(by.clone());
            self.up(&holder, through);
            through.pop();
            if self.found.len() == before {
                self.found.push(Use::Holder { device: device.clone(), through: through.clone(), by });
            }
        }
    }
}

/// The devices of each mounted btrfs, of which mountinfo names only one: Linux `fs/btrfs/sysfs.c`.
fn btrfs(tree: &Tree) -> Vec<BTreeSet<String>> {
    let systems = tree.list_named("/sys/fs/btrfs", &|name| name.len() == 36).unwrap_or_default();
    let devices = systems.iter().filter_map(|id| tree.list(&format!("/sys/fs/btrfs/{id}/devices")).ok());
    devices.map(|names| names.into_iter().collect()).collect()
}

/// proc(5): `id parent major:minor root mount-point options [tags] - type source super-options`.
fn parse_mounts(text: &str) -> Vec<Mount> {
    let line = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(2);
        let device = DeviceNumber::parse(fields.next()?);
        let at = unescape(fields.nth(1)?);
        let (kind, rest) = after.split_once(' ')?;
        let (source, options) = rest.split_once(' ').unwrap_or((rest, ""));
        let read_only = options.split(',').any(|option| option == "ro");
        Some(Mount {
            device,
            source: unescape(source),
            kind: kind.into(),
            at,
            read_only,
            on: BTreeSet::new(),
        })
    };
    text.lines().filter_map(line).collect()
}

fn parse_swaps(text: &str) -> Vec<String> {
    let first = |line: &str| line.split_ascii_whitespace().next().map(unescape);
    text.lines().skip(1).filter_map(first).collect()
}

/// The kernel writes space, tab, line feed and backslash as three octal digits.
fn unescape(field: &str) -> String {
    let mut out = Vec::new();
    let mut rest = field.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let octal =
            tail.get(..3).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match (byte, octal) {
            (b'\\', Some(value)) => {
                out.push(value);
                rest = &tail[3..];
            }
            _ => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_fields() {
        let text = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n\
                    40 35 0:44 / / rw - btrfs /dev/sda2 rw\nbroken\n1 2 x:y / /z rw - t s ro,x\n1 2 3:4 / /z rw - t\n\
                    41 35 8:1 / /b ro - ext4 /dev/sda1 rw,errors=ro\n";
        let mounts = parse_mounts(text);
        assert_eq!(mounts.len(), 4);
        let usage = Usage { mounts: parse_mounts(text), swaps: Vec::new() };
        assert!(usage.is_read_only("/z"), "whatever the mount says");
        assert!(!usage.is_read_only("/b"), "another mount of it can be written");
        assert!(!usage.is_read_only("/nothing"));
        let number = DeviceNumber { major: 98, minor: 0 };
        assert_eq!((mounts[0].device, mounts[0].at.as_str()), (Some(number), "/mnt 2"));
        assert_eq!((mounts[1].source.as_str(), mounts[1].kind.as_str()), ("/dev/sda2", "btrfs"));
        assert_eq!(mounts[2].device, None);
    }

    #[test]
    fn swaps_and_escapes() {
        let text =
            "Filename Type Size Used Priority\n/dev/sda3 partition 1 0 -2\n/swap\\040file file 1 0 -3\n";
        assert_eq!(parse_swaps(text), ["/dev/sda3", "/swap file"]);
        assert_eq!(unescape("a\\01"), "a\\01");
        assert_eq!(unescape("\\134"), "\\");
    }
}
