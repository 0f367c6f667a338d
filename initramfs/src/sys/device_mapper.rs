//! dm-verity devices by the ioctls of `/dev/mapper/control` (`linux/dm-ioctl.h`, version 4).

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::fd::AsRawFd,
    path::Path,
};

use super::{check, path};

const CONTROL: &str = "/dev/mapper/control";
/// `MISC_MAJOR` and `MAPPER_CTRL_MINOR`.
const CONTROL_DEVICE: (u32, u32) = (10, 236);

const HEADER_SIZE: u32 = 312;
const HEADER: usize = HEADER_SIZE as usize;
const NAME_AT: usize = 48;
const NAME_SIZE: usize = 128;
const TARGET: usize = 40;
/// Large enough for the answers of a single verity target.
const BUFFER_SIZE: u32 = 4096;
const BUFFER: usize = BUFFER_SIZE as usize;

const READONLY: u32 = 1;

#[derive(Clone, Copy)]
enum Command {
    Create = 3,
    Remove = 4,
    /// Without the suspend flag: resume, which puts the loaded table into use.
    Resume = 6,
    Load = 9,
    Status = 12,
}

/// What dm-verity knows about the blocks that were read so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VerityStatus {
    /// All of them were as signed.
    Valid,
    /// At least one was not.
    Corrupted,
}

/// Makes a read-only verity device and returns its major and minor number. `sectors` counts 512 bytes.
pub(crate) fn create(name: &str, sectors: u64, parameters: &str) -> io::Result<(u32, u32)> {
    let control = open_control()?;
    let created = call(&control, Command::Create, request(name, READONLY, None)?)?;
    let device = u64::from_ne_bytes(field(&created, 40)?);
    let load = request(name, READONLY, Some((sectors, parameters)))?;
    let started = call(&control, Command::Load, load)
        .and_then(|_| call(&control, Command::Resume, request(name, READONLY, None)?));
    if let Err(error) = started {
        // The first error is the one to report; a device that stays behind is harmless.
        let _ = remove(name);
        return Err(error);
    }
    Ok(path::split_device(device))
}

/// Takes the device away.
pub(crate) fn remove(name: &str) -> io::Result<()> {
    call(&open_control()?, Command::Remove, request(name, 0, None)?)?;
    Ok(())
}

/// Asks dm-verity for its verdict.
pub(crate) fn status(name: &str) -> io::Result<VerityStatus> {
    let answer = call(&open_control()?, Command::Status, request(name, 0, None)?)?;
    let start = usize::try_from(u32::from_ne_bytes(field(&answer, 16)?)).unwrap_or(HEADER);
    match answer.get(start + TARGET) {
        Some(b'V') => Ok(VerityStatus::Valid),
        Some(b'C') => Ok(VerityStatus::Corrupted),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "dm-verity gives no status")),
    }
}

/// Opens the control node; makes it where devtmpfs did not.
fn open_control() -> io::Result<File> {
    let open = || OpenOptions::new().read(true).write(true).open(CONTROL);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all("/dev/mapper")?;
            path::make_character_device(Path::new(CONTROL), CONTROL_DEVICE.0, CONTROL_DEVICE.1)?;
            open()
        }
        other => other,
    }
}

fn call(control: &File, command: Command, mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    // _IOWR(0xfd, command, struct dm_ioctl)
    let number = 3 << 30 | HEADER_SIZE << 16 | 0xfd << 8 | command as u32;
    // SAFETY: the buffer is as long as its header says and outlives the call; the kernel writes within it.
    check(unsafe { libc::ioctl(control.as_raw_fd(), number as libc::Ioctl, bytes.as_mut_ptr()) })?;
    Ok(bytes)
}

/// A `struct dm_ioctl` with room for an answer, and a verity target when one is given.
fn request(name: &str, flags: u32, target: Option<(u64, &str)>) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; BUFFER];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    let too_long = || io::Error::from(io::ErrorKind::InvalidInput);
    if name.len() >= NAME_SIZE {
        return Err(too_long());
    }
    put(0, &4u32.to_ne_bytes());
    put(12, &BUFFER_SIZE.to_ne_bytes());
    put(16, &HEADER_SIZE.to_ne_bytes());
    put(28, &flags.to_ne_bytes());
    put(NAME_AT, name.as_bytes());
    if let Some((sectors, parameters)) = target {
        if HEADER + TARGET + parameters.len() >= BUFFER {
            return Err(too_long());
        }
        put(20, &1u32.to_ne_bytes());
        put(HEADER + 8, &sectors.to_ne_bytes());
        put(HEADER + 24, b"verity");
        put(HEADER + TARGET, parameters.as_bytes());
    }
    Ok(bytes)
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> io::Result<[u8; N]> {
    bytes
        .get(at..at + N)
        .and_then(|slice| slice.try_into().ok())
        .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_has_the_layout_of_the_kernel() {
        let bytes = request("aegis-root", READONLY, Some((8, "1 7:0 7:0"))).unwrap();
        assert_eq!(bytes.len(), BUFFER);
        assert_eq!(&bytes[..12], &[4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!((bytes[12], bytes[13]), (0, 16));
        assert_eq!((bytes[16], bytes[17]), (56, 1));
        assert_eq!(bytes[20], 1);
        assert_eq!(&bytes[48..59], b"aegis-root\0");
        assert_eq!(bytes[312 + 8], 8);
        assert_eq!(&bytes[312 + 24..312 + 31], b"verity\0");
        assert_eq!(&bytes[352..362], b"1 7:0 7:0\0");
    }

    #[test]
    fn long_names_and_tables_are_refused() {
        assert!(request(&"n".repeat(128), 0, None).is_err());
        assert!(request("n", 0, Some((8, &"p".repeat(BUFFER)))).is_err());
    }
}
