//! What uses a disk: mounts, swap and devices above it.

use super::Use;
use crate::{error::Error, tree::Tree};

/// Mounts and swaps of the running system.
#[derive(Debug, Default)]
pub(super) struct Usage {
    mounts: Vec<Mount>,
    swaps: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// `major:minor`.
    device: String,
    source: String,
    at: String,
}

impl Usage {
    pub(super) fn read(tree: &Tree) -> Result<Self, Error> {
        let mounts = tree.read("/proc/self/mountinfo")?;
        // A kernel without swap has no such file.
        let swaps = tree.read_if_any("/proc/swaps")?.unwrap_or_default();
        let (mounts, swaps) = (String::from_utf8_lossy(&mounts), String::from_utf8_lossy(&swaps));
        Ok(Self { mounts: parse_mounts(&mounts), swaps: parse_swaps(&swaps) })
    }
}

/// proc(5): `id parent major:minor root mount-point options [tags] - type source super-options`.
fn parse_mounts(text: &str) -> Vec<Mount> {
    let line = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(2);
        let device = fields.next()?.into();
        let at = unescape(fields.nth(1)?);
        let source = unescape(after.split(' ').nth(1)?);
        Some(Mount { device, source, at })
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

/// Adds the uses of one disk or partition, whose sysfs directory is `dir`.
pub(super) fn collect(
    tree: &Tree,
    usage: &Usage,
    dir: &str,
    name: &str,
    uses: &mut Vec<Use>,
) -> Result<(), Error> {
    let device = tree.text(&format!("{dir}/dev"));
    let node = format!("/dev/{}", name.replace('!', "/"));
    let named = |path: &str| path == node || tree.real(path).is_ok_and(|real| real == node);
    for mount in &usage.mounts {
        // File systems with device numbers of their own, such as btrfs, are recognised by their source.
        if device.as_ref() == Some(&mount.device) || mount.source.starts_with('/') && named(&mount.source) {
            uses.push(Use::Mount { device: name.into(), at: mount.at.clone() });
        }
    }
    if usage.swaps.iter().any(|path| named(path)) {
        uses.push(Use::Swap { device: name.into() });
    }
    for holder in tree.list(&format!("{dir}/holders"))? {
        let label = tree.text(&format!("/sys/block/{holder}/dm/name"));
        uses.push(Use::Holder { device: name.into(), by: label.unwrap_or(holder) });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_fields() {
        let text = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n\
                    40 35 0:44 / / rw - btrfs /dev/sda2 rw\nbroken\n";
        let mounts = parse_mounts(text);
        assert_eq!(mounts.len(), 2);
        assert_eq!((mounts[0].device.as_str(), mounts[0].at.as_str()), ("98:0", "/mnt 2"));
        assert_eq!(mounts[1].source, "/dev/sda2");
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
