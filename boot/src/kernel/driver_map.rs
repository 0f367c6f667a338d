//! From devices to the symbols whose drivers claim them: modalias -> module -> `CONFIG_` symbol.
//!
//! Debian's kernel of the same source has nearly every driver: its aliases also name those that an edition leaves out. The
//! boot archive carries the map for devices on the way to a disk, so that a failed boot can say which symbol is missing.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use aegis_kernel_configs::kconfig::objects::Objects;

use crate::{
    cache::{Cache, Key},
    error::{Error, Result},
    host,
    kernel::{
        release_in,
        workshop::{Room, Workshop},
    },
    lock::Use,
    store::Store,
    tools,
};

/// Directories of modules without which a disk or a keyboard is not found.
const WANTED: [&str; 14] = [
    "ata",
    "block",
    "hid",
    "hv",
    "input",
    "message",
    "mmc",
    "nvme",
    "pci",
    "scsi",
    "usb/host",
    "usb/storage",
    "virtio",
    "xen",
];

/// The map as a file in the format of `modules.alias`, with `module/CONFIG_SYMBOL` for the module; or finds it made.
pub fn make(cache: &Cache, workshop: &Workshop) -> Result<PathBuf> {
    let key = workshop
        .lock
        .uses(Use::Reference)
        .fold(Key::new("driver-map"), |key, package| key.with(package.sha256.0));
    let (path, _) = cache.stage("driver-map", key.with(workshop.key.0), |result| {
        let work = tempfile::tempdir().map_err(Error::io("creating", "a directory for Debian's kernel"))?;
        tools::unpack(&Store::open(cache)?, workshop.lock.uses(Use::Reference), work.path())?;
        let release = release_in(work.path())?;
        let mut depmod = workshop.command(Room::empty(work.path()), "depmod");
        depmod.args(["-b", "/build", "-m", "/usr/lib/modules"]).arg(&release);
        host::output(&mut depmod, "indexing Debian's kernel modules")?;
        let modules = work.path().join("usr/lib/modules").join(release);
        let objects = Objects::read(&workshop.source).map_err(Error::Kconfig)?;
        let read = |name: &str| read(&modules.join(name));
        let text = map(&read("modules.dep")?, &read("modules.alias")?, &objects);
        fs::write(result, text).map_err(Error::io("writing", result))
    })?;
    Ok(path)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(Error::io("reading", path))
}

fn map(dep: &str, alias: &str, objects: &Objects) -> String {
    let name = |path: &str| {
        let file = path.rsplit('/').next().unwrap_or_default();
        file.split(".ko").next().unwrap_or_default().replace('-', "_")
    };
    let paths: BTreeMap<String, &str> =
        dep.lines().filter_map(|line| line.split_once(':')).map(|(path, _)| (name(path), path)).collect();
    let is_wanted = |module: &str| {
        let below = paths.get(module).and_then(|path| path.strip_prefix("kernel/drivers/"));
        below.is_some_and(|below| WANTED.iter().any(|directory| below.starts_with(&format!("{directory}/"))))
    };
    let line = |line: &str| {
        let (rest, module) = line.strip_prefix("alias ")?.rsplit_once(' ')?;
        let symbol = objects.symbol(module)?;
        is_wanted(module).then(|| format!("alias {rest} {module}/CONFIG_{symbol}\n"))
    };
    alias.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_drivers_on_the_way_to_a_disk_are_named() {
        let dep = "kernel/drivers/scsi/hpsa.ko.xz: a\nkernel/drivers/gpu/x/amdgpu.ko.xz:\nkernel/drivers/usb/storage/uas.ko.xz:\n";
        let alias = "# Aliases\nalias pci:v0000103Cd* hpsa\nalias pci:v00001002d* amdgpu\nalias usb:v*p*ic08* uas\nalias x y\n";
        let source = tempfile::tempdir().unwrap();
        let scsi = source.path().join("drivers/scsi");
        fs::create_dir_all(&scsi).unwrap();
        fs::write(
            scsi.join("Makefile"),
            "obj-$(CONFIG_SCSI_HPSA) += hpsa.o\nobj-$(CONFIG_DRM_AMDGPU) += amdgpu.o\n",
        )
        .unwrap();
        let objects = Objects::read(source.path()).unwrap();
        assert_eq!(map(dep, alias, &objects), "alias pci:v0000103Cd* hpsa/CONFIG_SCSI_HPSA\n");
    }
}
