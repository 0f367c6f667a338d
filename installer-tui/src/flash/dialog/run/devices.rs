//! What there is to choose from, read now.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aegis_hw::{
    Bytes,
    inventory::{self, Disk, Inventory},
    target,
};

use super::Setting;
use crate::{
    error::Error,
    flash::dialog::world::{self, Device, Found, looks_like_image},
    plan::TargetDisk,
    select,
};

/// Most images that are listed.
const IMAGES: usize = 200;

/// Images in the current directory, in the order of their names. One that cannot be read is told when it is chosen.
pub(super) fn images() -> Vec<Found> {
    let entries = fs::read_dir(".").into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| {
        let path = PathBuf::from(entry.file_name());
        let data = path.metadata().ok().filter(fs::Metadata::is_file)?;
        looks_like_image(&path).then_some(Found { path, size: Bytes(data.len()) })
    });
    let mut found: Vec<Found> = found.collect();
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found.truncate(IMAGES);
    found
}

/// The disks of the machine, and what was named; what can be chosen comes first.
///
/// # Errors
/// When the inventory cannot be read, or what was named is neither a device nor a file.
pub(super) fn read(setting: &Setting, needed: Bytes) -> Result<Vec<Device>, Error> {
    let Inventory { mut disks, systems, .. } = Inventory::read(&setting.tree)?;
    let mut files = Vec::new();
    for path in &setting.named {
        match named(setting, path, needed)? {
            Named::File(device) => files.push(*device),
            Named::Disk(disk) if disks.iter().all(|known| known.name != disk.name) => disks.push(*disk),
            Named::Disk(_) | Named::Gone => {}
        }
    }
    let mut devices = world::devices(disks, &systems, &setting.medium, needed, setting.wishes.unmount);
    devices.extend(files);
    world::order(&mut devices);
    Ok(devices)
}

enum Named {
    Disk(Box<Disk>),
    File(Box<Device>),
    Gone,
}

fn named(setting: &Setting, path: &Path, needed: Bytes) -> Result<Named, Error> {
    let known = match target::Named::resolve(path) {
        Ok(known) => known,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Named::Gone),
        Err(error) => return Err(Error::io("look at", path)(error)),
    };
    if let Some(size) = known.file {
        let small = (size < needed).then(|| format!("it is too small, {needed} are needed"));
        let target = TargetDisk::of_file(known.path, size, 512);
        return Ok(Named::File(Box::new(Device::of_file(target, small.into_iter().collect()))));
    }
    let name = select::device_name(&setting.tree, &known.path)?;
    Ok(Named::Disk(Box::new(inventory::disk(&setting.tree, &name)?)))
}
