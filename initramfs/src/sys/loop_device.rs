//! Loop devices: a file as a block device. Structures of `linux/loop.h`.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
};

use super::{check, path::split_device};

const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A;
const READ_ONLY: u32 = 1;
const AUTOCLEAR: u32 = 4;
const DIRECT_IO: u32 = 16;
/// `struct loop_config`: descriptor, block size, `struct loop_info64` of 232 bytes, eight reserved words.
const CONFIG_SIZE: usize = 4 + 4 + 232 + 64;
const SIZE_LIMIT_AT: usize = 8 + 32;
const FLAGS_AT: usize = 8 + 52;

/// What may be done with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
}

/// A loop device; it is free again when this value and every user of the device are gone.
#[derive(Debug)]
pub(crate) struct LoopDevice {
    file: File,
    number: libc::c_int,
}

impl LoopDevice {
    /// Shows the first `size` bytes of a file as a block device. Direct I/O saves a second copy in the page cache and
    /// is used where the file system offers it.
    pub(crate) fn attach(image: &File, size: u64, access: Access) -> io::Result<Self> {
        let control = File::open("/dev/loop-control")?;
        // Another user may take the free device first; udev is not running, so a few attempts are plenty.
        let mut last = io::Error::from(io::ErrorKind::ResourceBusy);
        for flags in [DIRECT_IO, 0, 0, 0] {
            // SAFETY: this request takes no argument.
            let number = check(unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) })?;
            let file = OpenOptions::new()
                .read(true)
                .write(access == Access::Write)
                .custom_flags(libc::O_CLOEXEC)
                .open(format!("/dev/loop{number}"))?;
            let read_only = if access == Access::Read { READ_ONLY } else { 0 };
            let config = config(image.as_raw_fd(), size, flags | read_only);
            // SAFETY: the request reads a `struct loop_config`, which `config` is, byte for byte.
            match check(unsafe { libc::ioctl(file.as_raw_fd(), LOOP_CONFIGURE, config.as_ptr()) }) {
                Ok(_) => return Ok(Self { file, number }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Path of the device node.
    pub(crate) fn path(&self) -> String {
        format!("/dev/loop{}", self.number)
    }

    /// Major and minor number.
    pub(crate) fn device(&self) -> io::Result<(u32, u32)> {
        Ok(split_device(self.file.metadata()?.rdev()))
    }
}

fn config(fd: libc::c_int, size: u64, flags: u32) -> [u8; CONFIG_SIZE] {
    let mut bytes = [0; CONFIG_SIZE];
    bytes[..4].copy_from_slice(&fd.to_ne_bytes());
    bytes[SIZE_LIMIT_AT..SIZE_LIMIT_AT + 8].copy_from_slice(&size.to_ne_bytes());
    bytes[FLAGS_AT..FLAGS_AT + 4].copy_from_slice(&(flags | AUTOCLEAR).to_ne_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structure_has_the_layout_of_the_kernel() {
        // sizeof(struct loop_config) and offsetof() of lo_sizelimit and lo_flags, from linux/loop.h on x86-64.
        assert_eq!((CONFIG_SIZE, SIZE_LIMIT_AT, FLAGS_AT), (304, 40, 60));
        let bytes = config(7, 4096, DIRECT_IO | READ_ONLY);
        assert_eq!(bytes[0], 7);
        assert_eq!(bytes[41], 16);
        assert_eq!(bytes[60], 21);
    }
}
