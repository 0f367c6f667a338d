//! The directories of the boot and the new root.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use crate::{
    block::BlockDevice,
    error::Error,
    sys::mount::{self, Flags},
};

/// Where the live medium is mounted; stays in the running system.
pub(crate) const MEDIUM: &str = "/run/aegis/medium";
/// Where the image of a live system is mounted; stays in the running system.
pub(crate) const IMAGE: &str = "/run/aegis/image";
/// Where the data partition is mounted; stays in the running system.
pub(crate) const DATA: &str = "/run/aegis/data";
/// The writable layer of a live system: memory, or a partition of the medium's stick.
pub(crate) const LAYER: &str = "/run/aegis/layer";
/// Where the new root grows. Not below `/run`, which moves into it.
pub(crate) const NEW_ROOT: &str = "/sysroot";
/// What has to be in every image.
const MOUNT_POINTS: [&str; 4] = ["dev", "proc", "sys", "run"];
/// Directories of the data partition, and what they replace.
const DATA_DIRECTORIES: [&str; 5] = ["etc/upper", "etc/work", "var", "home", "root"];

/// A mount that was made, so that it can be undone before another attempt.
#[derive(Debug)]
pub(crate) enum Undo {
    /// Unmount this directory.
    Unmount(&'static str),
    /// Remove the verity device.
    RemoveVerity,
}

/// Mounts the kernel's file systems; those that are mounted already are left alone.
pub(crate) fn mount_basics() -> Result<(), Error> {
    const RUN_OPTIONS: &str = "mode=0755,size=20%";
    mount_once("devtmpfs", "/dev", "devtmpfs", Flags::NO_SUID, "mode=0755")?;
    mount_once("proc", "/proc", "proc", Flags::DATA_ONLY, "")?;
    mount_once("sysfs", "/sys", "sysfs", Flags::DATA_ONLY, "")?;
    mount_once("tmpfs", "/run", "tmpfs", Flags::NO_DEV, RUN_OPTIONS)?;
    for directory in ["/run/aegis", NEW_ROOT] {
        make_directory(directory)?;
    }
    Ok(())
}

fn mount_once(source: &str, target: &str, kind: &str, flags: Flags, data: &str) -> Result<(), Error> {
    make_directory(target)?;
    // Before /proc is mounted there is no list, and on a first attempt nothing is mounted.
    let mounted = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    if is_mounted(&mounted, target) {
        return Ok(());
    }
    mount::mount(source, Path::new(target), kind, flags, data).map_err(|e| Error::os("mount", target, e))
}

/// Whether the text of `/proc/self/mounts` has a mount at the directory.
fn is_mounted(mounts: &str, directory: &str) -> bool {
    mounts.lines().any(|line| line.split(' ').nth(1) == Some(directory))
}

/// Makes a directory and those above it; one that is there is left alone.
pub(crate) fn make_directory(path: &str) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(|e| Error::os("make the directory", path, e))
}

/// Puts a writable layer over the image, which is mounted at [`IMAGE`]: the directory that is kept, which is mounted at
/// [`LAYER`] already, or memory. The layer may take half of the memory.
pub(crate) fn assemble_live(kept: Option<String>, undo: &mut Vec<Undo>) -> Result<(), Error> {
    let layer = match kept {
        Some(directory) => directory,
        None => {
            make_directory(LAYER)?;
            mount::mount("aegis-layer", Path::new(LAYER), "tmpfs", Flags::NONE, "mode=0755,size=50%")
                .map_err(|e| Error::os("mount", LAYER, e))?;
            LAYER.into()
        }
    };
    undo.push(Undo::Unmount(LAYER));
    let (upper, work) = (format!("{layer}/upper"), format!("{layer}/work"));
    make_directory(&upper)?;
    make_directory(&work)?;
    let options = format!("lowerdir={IMAGE},upperdir={upper},workdir={work}");
    mount::mount("aegis", Path::new(NEW_ROOT), "overlay", Flags::NONE, &options)
        .map_err(|e| Error::os("mount the overlay at", NEW_ROOT, e))?;
    undo.push(Undo::Unmount(NEW_ROOT));
    require_mount_points(&MOUNT_POINTS)
}

/// Completes the image, which is mounted at [`NEW_ROOT`], with the data partition.
pub(crate) fn assemble_installed(data: &BlockDevice, undo: &mut Vec<Undo>) -> Result<(), Error> {
    make_directory(DATA)?;
    let source = data.node().display().to_string();
    mount::mount(&source, Path::new(DATA), "ext4", Flags::NONE, "")
        .map_err(|e| Error::DataMount { device: source.clone(), source: e })?;
    undo.push(Undo::Unmount(DATA));
    for directory in DATA_DIRECTORIES {
        if !Path::new(DATA).join(directory).is_dir() {
            return Err(Error::DataDirectory { device: source, directory: directory.to_string() });
        }
    }
    require_mount_points(&MOUNT_POINTS)?;
    require_mount_points(&["etc", "var", "home", "root"])?;
    let etc = format!("{NEW_ROOT}/etc");
    let options = format!("lowerdir={etc},upperdir={DATA}/etc/upper,workdir={DATA}/etc/work");
    mount::mount("aegis-etc", Path::new(&etc), "overlay", Flags::NONE, &options)
        .map_err(|e| Error::os("mount the overlay at", &etc, e))?;
    undo.push(Undo::Unmount("/sysroot/etc"));
    for (directory, target) in [("var", "/sysroot/var"), ("home", "/sysroot/home"), ("root", "/sysroot/root")]
    {
        mount::bind(&Path::new(DATA).join(directory), Path::new(target))
            .map_err(|e| Error::os("mount the data partition's directory at", target, e))?;
        undo.push(Undo::Unmount(target));
    }
    Ok(())
}

fn require_mount_points(names: &[&str]) -> Result<(), Error> {
    match names.iter().find(|name| !Path::new(NEW_ROOT).join(name).is_dir()) {
        Some(missing) => Err(Error::ImageLacks { path: format!("/{missing}") }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_compared_as_whole_words() {
        let mounts = "none / rootfs rw 0 0\ndevtmpfs /dev devtmpfs rw 0 0\n";
        assert!(is_mounted(mounts, "/dev"));
        assert!(!is_mounted(mounts, "/de"));
        assert!(!is_mounted(mounts, "devtmpfs"));
    }
}
