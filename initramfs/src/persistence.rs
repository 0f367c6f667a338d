//! The partition of the medium's stick that keeps what a live system changes.

use std::{
    fs::{self, OpenOptions},
    io,
    path::Path,
};

use aegis_core::{manifest::MediumId, persistence};

use crate::{
    block::{self, BlockDevice},
    error::Error,
    log,
    root::{self, LAYER},
    search::examine,
    sys::{
        loop_device::{Access, LoopDevice},
        mount::{self, Flags},
    },
};

const SYS: &str = "/sys";

/// Mounts the partition at [`LAYER`] if the medium's disk has one, and makes the directories of this medium's layer: that of
/// another image would not fit. Returns the directory; `None` where there is no partition, or where it cannot be used, which
/// is told.
pub(crate) fn mount(medium: &BlockDevice, id: MediumId) -> Option<String> {
    let partition = find(Path::new(SYS), medium)?;
    match try_mount(&partition).and_then(|()| directories(id)) {
        Ok(directory) => {
            log::notice(&format!("{} keeps what is changed", partition.name));
            Some(directory)
        }
        Err(error) => {
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            log::warning(&format!("{error}{cause}"));
            log::notice(&format!("{} cannot be used: nothing that is changed will be kept", partition.name));
            // Of a mount that was made before the failure.
            let _ = mount::unmount(Path::new(LAYER));
            None
        }
    }
}

/// The partition of the medium's disk that has the type.
fn find(sys: &Path, medium: &BlockDevice) -> Option<BlockDevice> {
    let names = block::names(sys).unwrap_or_default();
    let devices = names.iter().filter_map(|name| BlockDevice::from_sysfs(sys, name).ok().flatten());
    let mut own = devices.filter(|device| device.is_partition && device.disk() == medium.disk());
    own.find(|device| {
        let entry = examine::read_partition_entry(device).ok().flatten();
        entry.is_some_and(|entry| entry.kind == persistence::TYPE)
    })
}

/// While the whole disk is mounted, as it is where the medium is, the kernel mounts no partition of it. A loop device over the
/// partition is none.
fn try_mount(partition: &BlockDevice) -> Result<(), Error> {
    root::make_directory(LAYER)?;
    let node = partition.node();
    let os = |operation| {
        let name = partition.name.clone();
        move |error: io::Error| Error::os(operation, name, error)
    };
    let file = OpenOptions::new().read(true).write(true).open(&node).map_err(os("open"))?;
    let device =
        LoopDevice::attach(&file, partition.size, Access::Write).map_err(os("set up a loop device for"))?;
    mount::mount(&device.path(), Path::new(LAYER), "ext4", Flags::NONE, "").map_err(os("mount"))
}

fn directories(id: MediumId) -> Result<String, Error> {
    let directory = format!("{LAYER}/{id}");
    for name in ["upper", "work"] {
        root::make_directory(&format!("{directory}/{name}"))?;
    }
    // A file system that became read-only says so only when it is written to.
    let probe = format!("{directory}/.written");
    fs::write(&probe, b"")
        .and_then(|()| fs::remove_file(&probe))
        .map_err(|e| Error::os("write", probe, e))?;
    Ok(directory)
}
