//! What is on disks and partitions, and who says so.

use std::{collections::BTreeMap, fmt, io};

use aegis_core::probe;
use serde::Serialize;

use super::disk::DeviceNumber;
use crate::{
    content::{self, Identified},
    error::Error,
    sys,
    text::{Shown, reported},
    tree::Tree,
    units::Bytes,
};

/// A file system, swap space, encryption, or a member of something larger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Content {
    /// The name that libblkid has for it, such as `ext4`, `crypto_LUKS`, `linux_raid_member`, `LVM2_member` and `BitLocker`.
    pub kind: String,
    /// The name that a person gave it.
    pub label: Option<String>,
    /// Its identifier, in the notation of its kind.
    pub uuid: Option<String>,
    /// Version of the format.
    pub version: Option<String>,
    /// Who says so.
    pub source: Source,
}

/// For people: what it is, and its name.
impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind.as_str() {
            "crypto_LUKS" => "LUKS encryption",
            "LVM2_member" => "LVM member",
            "linux_raid_member" => "RAID member",
            "BitLocker" => "BitLocker encryption",
            other => other,
        };
        write!(f, "{}", Shown(kind))?;
        self.label.as_deref().map_or(Ok(()), |label| write!(f, " \"{}\"", Shown(label)))
    }
}

/// Who says what is on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The database of udev, which asked libblkid when the device appeared.
    Udev,
    /// libblkid, now.
    Libblkid,
    /// [`aegis_core::probe`], now.
    Core,
    /// Windows, now.
    Windows,
}

impl Source {
    const ALL: [Self; 4] = [Self::Udev, Self::Libblkid, Self::Core, Self::Windows];

    const fn id(self) -> &'static str {
        match self {
            Self::Udev => "udev",
            Self::Libblkid => "libblkid",
            Self::Core => "core",
            Self::Windows => "windows",
        }
    }
}

/// What is known of one device.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Form of the partition table.
    pub(super) table: Option<String>,
    pub(super) content: Option<Content>,
    /// Of a partition: type, GUID and name by the table.
    pub(super) kind: Option<String>,
    pub(super) guid: Option<String>,
    pub(super) label: Option<String>,
    /// Why the device itself could not be read.
    pub(super) fault: Option<String>,
}

/// Reads what is on the devices of one machine.
pub(super) struct Reader<'a> {
    tree: &'a Tree,
    /// Directories of what was found out before.
    known: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        // What udev knows was read when the device appeared or was closed by a writer, so it need not be read again.
        let mut known = vec!["/run/udev/data", KEPT];
        known.retain(|directory| tree.exists(directory));
        Self { tree, known }
    }

    /// What is known of a disk, partition or volume. A drive without a medium holds nothing, whatever was in it last.
    pub(super) fn of(&self, number: Option<DeviceNumber>, name: &str, size: Bytes) -> Found {
        let Some(number) = number.filter(|_number| size > Bytes(0)) else { return Found::default() };
        for directory in &self.known {
            if let Some(found) = self.database(&format!("{directory}/b{number}")) {
                return found;
            }
        }
        match self.look(name, size) {
            Ok(content) => {
                #[cfg(feature = "record")]
                self.keep(number, content.as_ref());
                Found { content, ..Found::default() }
            }
            Err(fault) => Found { fault, ..Found::default() },
        }
    }

    /// The database of udev: lines `E:KEY=value`, in systemd `src/libsystemd/sd-device/device-private.c`.
    fn database(&self, path: &str) -> Option<Found> {
        let bytes = self.tree.read(path).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().filter_map(|line| line.strip_prefix("E:")?.split_once('='));
        let properties: BTreeMap<&str, &str> = lines.collect();
        let plain = |key: &str| properties.get(key).and_then(|value| reported(value.as_bytes()));
        let encoded = |key: &str| properties.get(key).and_then(|value| reported(&decoded(value)));
        let said = plain("AEGIS_SOURCE");
        let source = Source::ALL.into_iter().find(|source| said.as_deref() == Some(source.id()));
        Some(Found {
            table: plain("ID_PART_TABLE_TYPE"),
            content: plain("ID_FS_TYPE").map(|kind| Content {
                kind,
                label: encoded("ID_FS_LABEL_ENC").or_else(|| plain("ID_FS_LABEL")),
                uuid: plain("ID_FS_UUID"),
                version: plain("ID_FS_VERSION"),
                source: source.unwrap_or(Source::Udev),
            }),
            kind: plain("ID_PART_ENTRY_TYPE"),
            guid: plain("ID_PART_ENTRY_UUID"),
            label: encoded("ID_PART_ENTRY_NAME"),
            fault: None,
        })
    }

    /// Looks at the device.
    fn look(&self, name: &str, size: Bytes) -> Result<Option<Content>, Option<String>> {
        let node = format!("/dev/{}", name.replace('!', "/"));
        let identified = if self.tree.is_recorded() {
            let mut device = Recorded { tree: self.tree, node: &node, size: size.0 };
            let found = probe::probe(&mut device).map_err(|error| fault(&error.source))?;
            Identified { content: found.into(), source: content::Source::Core }
        } else {
            let path = self.tree.physical(&node);
            let file = sys::open_quietly(&path).map_err(|error| fault(&error))?;
            content::identify(&path, &file, 0, size.0).map_err(|error| match error {
                Error::Io { source, .. } => fault(&source),
                other => Some(other.to_string()),
            })?
        };
        Ok(of_identified(identified))
    }

    /// Keeps an answer for a recording, in the form of udev's database.
    #[cfg(feature = "record")]
    fn keep(&self, number: DeviceNumber, content: Option<&Content>) {
        let Some(content) = content else { return };
        let mut text = format!("E:AEGIS_SOURCE={}\nE:ID_FS_TYPE={}\n", content.source.id(), content.kind);
        let more = [
            ("ID_FS_LABEL_ENC", &content.label),
            ("ID_FS_UUID", &content.uuid),
            ("ID_FS_VERSION", &content.version),
        ];
        for (key, value) in more {
            let encoded = value.iter().map(|value| value.replace('\\', "\\x5c").replace('\n', "\\x0a"));
            encoded.for_each(|value| text.push_str(&format!("E:{key}={value}\n")));
        }
        self.tree.note(&format!("{KEPT}/b{number}"), text.as_bytes());
    }
}

/// Where a recording has what was read from devices.
const KEPT: &str = "/run/aegis/content";

/// A device of a recording.
struct Recorded<'a> {
    tree: &'a Tree,
    node: &'a str,
    size: u64,
}

impl probe::Source for Recorded<'_> {
    type Error = io::Error;

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self.tree.read_at(self.node, offset, buffer.len()) {
            Ok(bytes) => bytes
                .get(..buffer.len())
                .map(|bytes| buffer.copy_from_slice(bytes))
                .ok_or_else(|| io::ErrorKind::UnexpectedEof.into()),
            Err(Error::Io { source, .. }) => Err(source),
            Err(other) => Err(io::Error::other(other)),
        }
    }
}

/// An error that says something about the device; the others come from missing nodes, media or rights.
fn fault(error: &io::Error) -> Option<String> {
    // Errors of several layers keep only the kind.
    (sys::is_failure(error) || error.kind() == io::ErrorKind::TimedOut).then(|| "input/output error".into())
}

fn of_identified(identified: Identified) -> Option<Content> {
    let source = match identified.source {
        content::Source::Libblkid => Source::Libblkid,
        content::Source::Core => Source::Core,
    };
    match identified.content {
        content::Content::Unknown => None,
        content::Content::One(found) => Some(Content {
            kind: found.kind,
            label: found.label.as_deref().and_then(|label| reported(label.as_bytes())),
            uuid: found.uuid,
            version: found.version,
            source,
        }),
        content::Content::Several { kinds } => {
            Some(Content { kind: kinds.join("+"), label: None, uuid: None, version: None, source })
        }
    }
}

/// udev writes `\x20` for bytes that are not plain.
fn decoded(value: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), value);
    while let Some((before, after)) = rest.split_once("\\x") {
        out.extend(before.as_bytes());
        match after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.extend(b"\\x");
                rest = after;
            }
        }
    }
    out.extend(rest.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_values() {
        assert_eq!(decoded("EFI\\x20system"), b"EFI system");
        assert_eq!(decoded("a\\xzz\\x"), b"a\\xzz\\x");
        assert_eq!(decoded("\\xff\\x0"), b"\xff\\x0");
    }
}
