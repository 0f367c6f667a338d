//! Messages about devices that come and go: the kernel's (`lib/kobject_uevent.c`) and those that udev sends on once its
//! rules have run (`libudev-monitor`, unchanged since udev 173).
//!
//! Invariant: nothing is copied, and no length that a message states is believed.

use core::{fmt, str};

/// Multicast group of the kernel's messages, as a bit of `sockaddr_nl.nl_groups`.
pub const KERNEL_GROUP: u32 = 1;
/// Multicast group of udev's messages.
pub const UDEV_GROUP: u32 = 2;
/// Bytes that a message may have. The kernel's have 2 KiB of properties at most; udev adds its own.
pub const LONGEST: usize = 64 << 10;

/// Start of udev's messages, with its zero byte.
const UDEV_PREFIX: &[u8] = b"libudev\0";
/// Follows the prefix, big-endian.
const UDEV_MAGIC: [u8; 4] = 0xfeed_cafe_u32.to_be_bytes();
/// Where udev's header says, in the machine's byte order, how long it is, and where the properties are.
const UDEV_HEADER_SIZE: usize = 12;
const UDEV_PROPERTIES_OFFSET: usize = 16;
const UDEV_PROPERTIES_LENGTH: usize = 20;
/// Length of udev's header: the fields above, then four words for filters.
const UDEV_HEADER: usize = 40;

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The kernel.
    Kernel,
    /// udev, after the kernel.
    Udev,
}

/// What happened to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is there.
    Add,
    /// It is about to go: the kernel sends this before the device leaves `/sys`.
    Remove,
    /// Something about it is different, such as its medium.
    Change,
    /// Anything else, such as a driver that was bound.
    Other,
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uevent<'a> {
    /// Who sent it.
    pub origin: Origin,
    /// What happened.
    pub action: Action,
    /// Path of the device below `/sys`, which starts with `/`.
    pub path: &'a str,
    /// Such as `block` or `usb`; empty where the kernel says none.
    pub subsystem: &'a str,
    /// The kernel's number of the event. udev passes it on, in whatever order its rules end.
    pub sequence: Option<u64>,
    properties: &'a [u8],
}

/// Why a message is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UeventError {
    /// It is longer than [`LONGEST`] bytes.
    Length,
    /// It does not start with action and path, or with udev's header.
    Header,
    /// Its properties are not where the header says.
    Bounds,
    /// There is no path that starts with `/`, or it is not UTF-8.
    Path,
}

impl fmt::Display for UeventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "the message is too long",
            Self::Header => "the message has no header",
            Self::Bounds => "the properties reach beyond the message",
            Self::Path => "the message names no device",
        })
    }
}

impl core::error::Error for UeventError {}

impl<'a> Uevent<'a> {
    /// Reads a message of the kernel: `ACTION@PATH`, then `NAME=VALUE`, each with a final zero byte.
    pub fn of_kernel(message: &'a [u8]) -> Result<Self, UeventError> {
        let message = bounded(message)?;
        let end = message.iter().position(|byte| *byte == 0).ok_or(UeventError::Header)?;
        let (header, properties) = (&message[..end], &message[end + 1..]);
        let at = header.iter().position(|byte| *byte == b'@').ok_or(UeventError::Header)?;
        let path = text(&header[at + 1..]).ok_or(UeventError::Path)?;
        Self::new(Origin::Kernel, text(&header[..at]), path, properties)
    }

    /// Reads a message of udev: its header, then properties as the kernel's.
    pub fn of_udev(message: &'a [u8]) -> Result<Self, UeventError> {
        let message = bounded(message)?;
        let rest = message.strip_prefix(UDEV_PREFIX).ok_or(UeventError::Header)?;
        if !rest.starts_with(&UDEV_MAGIC) || message.len() < UDEV_HEADER {
            return Err(UeventError::Header);
        }
        let word = |at: usize| {
            let bytes = message.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_ne_bytes(bytes)).ok()
        };
        // A longer header is one of a newer udev, which may only add to the end.
        word(UDEV_HEADER_SIZE).filter(|size| *size >= UDEV_HEADER).ok_or(UeventError::Header)?;
        let start = word(UDEV_PROPERTIES_OFFSET).filter(|at| *at >= UDEV_HEADER);
        let end = start.zip(word(UDEV_PROPERTIES_LENGTH)).and_then(|(start, len)| start.checked_add(len));
        let range = start.zip(end).ok_or(UeventError::Bounds)?;
        let properties = message.get(range.0..range.1).ok_or(UeventError::Bounds)?;
        let path = property(properties, "DEVPATH").ok_or(UeventError::Path)?;
        Self::new(Origin::Udev, property(properties, "ACTION"), path, properties)
    }

    fn new(
        origin: Origin,
        action: Option<&str>,
        path: &'a str,
        properties: &'a [u8],
    ) -> Result<Self, UeventError> {
        if !path.starts_with('/') {
            return Err(UeventError::Path);
        }
        let action = match action.ok_or(UeventError::Header)? {
            "add" => Action::Add,
            "remove" => Action::Remove,
            "change" => Action::Change,
            _ => Action::Other,
        };
        let subsystem = property(properties, "SUBSYSTEM").unwrap_or_default();
        let sequence = property(properties, "SEQNUM").and_then(|number| number.parse().ok());
        Ok(Self { origin, action, path, subsystem, sequence, properties })
    }

    /// The value of a property; `None` as well when it is not UTF-8. Of two with one name, the first counts: the
    /// kernel writes its own before those of drivers.
    pub fn property(&self, name: &str) -> Option<&'a str> {
        property(self.properties, name)
    }

    /// The kernel's name of the device: the end of its path.
    pub fn name(&self) -> &'a str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// What a driver's alias is compared with.
    pub fn modalias(&self) -> Option<&'a str> {
        self.property("MODALIAS")
    }

    /// The name in `/sys/class/block` of a disk or partition that came, went or changed.
    pub fn block_device(&self) -> Option<&'a str> {
        let is_news = self.subsystem == "block" && self.action != Action::Other;
        Some(self.name()).filter(|name| is_news && !name.is_empty())
    }

    /// The name in `/sys/block` of the disk that [`Self::block_device`] is, or is a partition of.
    pub fn whole_disk(&self) -> Option<&'a str> {
        let name = self.block_device()?;
        if self.property("DEVTYPE") != Some("partition") {
            return Some(name);
        }
        self.path.rsplit('/').nth(1).filter(|disk| !disk.is_empty())
    }
}

fn bounded(message: &[u8]) -> Result<&[u8], UeventError> {
    Some(message).filter(|message| message.len() <= LONGEST).ok_or(UeventError::Length)
}

fn text(bytes: &[u8]) -> Option<&str> {
    str::from_utf8(bytes).ok()
}

fn property<'a>(properties: &'a [u8], name: &str) -> Option<&'a str> {
    let mut values = properties
        .split(|byte| *byte == 0)
        .filter_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    values.next().and_then(text)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    const USB: &[u8] = b"add@/devices/pci0000:00/0000:00:04.0/usb1/1-1/1-1:1.0\0ACTION=add\0\
DEVPATH=/devices/x\0SUBSYSTEM=usb\0MODALIAS=usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00\0SEQNUM=1412\0";

    const PARTITION: &[u8] =
        b"ACTION=remove\0DEVPATH=/devices/pci0000:00/0000:00:05.0/nvme/nvme0/nvme0n1/nvme0n1p2\0\
SUBSYSTEM=block\0DEVNAME=/dev/nvme0n1p2\0DEVTYPE=partition\0SEQNUM=99\0";

    /// A message as udev 252 builds it.
    fn udev(properties: &[u8]) -> Vec<u8> {
        let mut message = UDEV_PREFIX.to_vec();
        message.extend(UDEV_MAGIC);
        for word in [40, 40, u32::try_from(properties.len()).unwrap(), 0, 0, 0, 0] {
            message.extend(word.to_ne_bytes());
        }
        message.extend(properties);
        message
    }

    #[test]
    fn message_of_a_usb_interface() {
        let event = Uevent::of_kernel(USB).unwrap();
        assert_eq!((event.action, event.subsystem, event.sequence), (Action::Add, "usb", Some(1412)));
        assert!(event.modalias().unwrap().starts_with("usb:v46F4p0001"));
        assert_eq!((event.name(), event.block_device()), ("1-1:1.0", None));
    }

    #[test]
    fn message_of_a_disk() {
        let bytes = b"change@/devices/pci0000:00/ata2/host1/target1:0:0/1:0:0:0/block/sr0\0SUBSYSTEM=block\0";
        let event = Uevent::of_kernel(bytes).unwrap();
        assert_eq!((event.block_device(), event.whole_disk()), (Some("sr0"), Some("sr0")));
        let bound = b"bind@/devices/virtual/block/dm-0\0SUBSYSTEM=block\0";
        assert_eq!(Uevent::of_kernel(bound).unwrap().block_device(), None);
    }

    #[test]
    fn message_of_udev() {
        let message = udev(PARTITION);
        let event = Uevent::of_udev(&message).unwrap();
        assert_eq!((event.origin, event.action, event.sequence), (Origin::Udev, Action::Remove, Some(99)));
        assert_eq!((event.block_device(), event.whole_disk()), (Some("nvme0n1p2"), Some("nvme0n1")));
        assert_eq!(Uevent::of_kernel(&message), Err(UeventError::Header));
        assert_eq!(Uevent::of_udev(USB), Err(UeventError::Header));
    }

    #[test]
    fn udev_messages_that_lie_are_refused() {
        let good = udev(PARTITION);
        for length in 0..good.len() {
            assert!(Uevent::of_udev(&good[..length]).is_err(), "{length} bytes of {}", good.len());
        }
        for (at, value, error) in [
            (8, 0xfeed_cafe_u32.swap_bytes().to_be(), UeventError::Header),
            (UDEV_HEADER_SIZE, 39, UeventError::Header),
            (UDEV_PROPERTIES_OFFSET, 39, UeventError::Bounds),
            (UDEV_PROPERTIES_OFFSET, u32::MAX, UeventError::Bounds),
            (UDEV_PROPERTIES_LENGTH, u32::MAX, UeventError::Bounds),
            (UDEV_PROPERTIES_LENGTH, 0, UeventError::Path),
        ] {
            let mut bad = good.clone();
            bad[at..at + 4].copy_from_slice(&value.to_ne_bytes());
            assert_eq!(Uevent::of_udev(&bad), Err(error), "{value} at {at}");
        }
    }

    #[test]
    fn kernel_messages_that_are_none_are_refused() {
        for (bytes, error) in [
            (&b""[..], UeventError::Header),
            (b"add@/x", UeventError::Header),
            (b"add\0", UeventError::Header),
            (b"add@\0", UeventError::Path),
            (b"add@x\0", UeventError::Path),
            (b"add@/\xff\0", UeventError::Path),
            (b"\xff@/x\0", UeventError::Header),
            (&[0; LONGEST + 1], UeventError::Length),
        ] {
            assert_eq!(Uevent::of_kernel(bytes), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn of_two_properties_the_first_counts_and_broken_text_is_none() {
        let event =
            Uevent::of_kernel(b"add@/x\0SUBSYSTEM=usb\0SUBSYSTEM=block\0A=\xff\0A=b\0AB=c\0SEQNUM=-1\0")
                .unwrap();
        assert_eq!((event.subsystem, event.property("A"), event.property("AB")), ("usb", None, Some("c")));
        assert_eq!((event.sequence, event.property("B")), (None, None));
    }
}
