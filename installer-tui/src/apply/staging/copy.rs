//! Copies of directory trees with owner, permissions, times, links, extended attributes and special files.

use std::{
    ffi::OsString,
    fs::{self, File, FileTimes, Metadata},
    os::unix::fs::{FileTypeExt, MetadataExt, lchown, symlink},
    path::Path,
};

use nix::{
    errno::Errno,
    sys::stat::{Mode, SFlag, mknod},
};

use super::{entries, look, occupied, set_mode};
use crate::{error::Error, progress::Meter};

/// Bytes that a copy will take; 0 when there is nothing to copy.
pub(super) fn size(path: &Path) -> Result<u64, Error> {
    let Ok(data) = path.symlink_metadata() else { return Ok(0) };
    let mut total = occupied(&data);
    if data.is_dir() {
        for entry in entries(path)? {
            total += size(&entry)?;
        }
    }
    Ok(total)
}

/// Copies a tree; `owner` replaces the owner of everything in it.
pub(super) fn tree(
    from: &Path,
    to: &Path,
    owner: Option<(u32, u32)>,
    meter: &mut Meter<'_>,
) -> Result<(), Error> {
    let data = look(from)?;
    let kind = data.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(from).map_err(Error::io("read", from))?;
        symlink(target, to).map_err(Error::io("make a link at", to))?;
        return attributes(from, to, &data, owner);
    }
    if kind.is_dir() {
        fs::create_dir(to).map_err(Error::io("make", to))?;
        for entry in entries(from)? {
            if let Some(name) = entry.file_name() {
                tree(&entry, &to.join(name), owner, meter)?;
            }
        }
    } else if kind.is_file() {
        fs::copy(from, to).map_err(Error::io("copy", from))?;
        meter.add(usize::try_from(data.size()).unwrap_or(usize::MAX))?;
    } else if kind.is_socket() {
        // A socket is of use only while its server runs, and then the server makes it.
        return Ok(());
    } else {
        let flag = SFlag::from_bits_truncate(data.mode() & SFlag::S_IFMT.bits());
        let mode = Mode::from_bits_truncate(data.mode());
        mknod(to, flag, mode, data.rdev()).map_err(|error| Error::io("make", to)(error.into()))?;
    }
    attributes(from, to, &data, owner)
}

/// Makes a directory like another one, without its content.
pub(super) fn directory(from: &Path, to: &Path) -> Result<(), Error> {
    let data = look(from)?;
    fs::create_dir(to).map_err(Error::io("make", to))?;
    attributes(from, to, &data, None)
}

/// Names of extended attributes. A SquashFS image that has none at all answers that it does not know them.
fn attribute_names(path: &Path) -> Result<Vec<OsString>, Error> {
    match xattr::list(path) {
        Ok(names) => Ok(names.collect()),
        Err(error) if error.raw_os_error() == Some(Errno::EOPNOTSUPP as i32) => Ok(Vec::new()),
        Err(source) => Err(Error::io("list attributes of", path)(source)),
    }
}

/// Owner first: the kernel removes set-user-id bits and capabilities when the owner changes.
fn attributes(from: &Path, to: &Path, data: &Metadata, owner: Option<(u32, u32)>) -> Result<(), Error> {
    let (user, group) = owner.unwrap_or((data.uid(), data.gid()));
    lchown(to, Some(user), Some(group)).map_err(Error::io("change the owner of", to))?;
    if data.is_symlink() {
        return Ok(());
    }
    set_mode(to, data.mode() & 0o7777)?;
    for name in attribute_names(from)? {
        // Labels of a security module belong to the running system, not to the copy.
        if name
            .to_str()
            .is_some_and(|n| n == "security.selinux" || n == "security.ima" || n == "security.evm")
        {
            continue;
        }
        if let Some(value) = xattr::get(from, &name).map_err(Error::io("read attributes of", from))? {
            xattr::set(to, &name, &value).map_err(Error::io("write attributes of", to))?;
        }
    }
    let modified = data.modified().map_err(Error::io("look at", from))?;
    if data.is_dir() || data.is_file() {
        let times = FileTimes::new().set_modified(modified).set_accessed(modified);
        let file = File::open(to).map_err(Error::io("open", to))?;
        file.set_times(times).map_err(Error::io("set the time of", to))?;
    }
    Ok(())
}
