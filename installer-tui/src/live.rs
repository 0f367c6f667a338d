//! The live system around the installer: the pristine image, and what follows an installation.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use aegis_core::manifest::{ImageKind, Manifest};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::error::Error;
pub use crate::tui::screen::Afterwards;

/// Name that the initramfs gives the device of the verified image.
pub const IMAGE_DEVICE: &str = "aegis-root";

/// The device node: below /dev/mapper where udev makes links there, otherwise found by its name in sysfs.
fn image_node() -> PathBuf {
    let linked = Path::new("/dev/mapper").join(IMAGE_DEVICE);
    let named = |block: &Path| {
        fs::read_to_string(block.join("dm/name")).is_ok_and(|name| name.trim_end() == IMAGE_DEVICE)
    };
    let blocks = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let found = blocks.map(|entry| entry.path()).find(|block| named(block));
    match found.as_deref().and_then(Path::file_name) {
        Some(name) if !linked.exists() => Path::new("/dev").join(name),
        _ => linked,
    }
}

/// A directory that shows the image as it was built, without what the live system changed.
#[derive(Debug)]
pub enum ImageRoot {
    /// A directory that somebody else provides.
    Given(PathBuf),
    /// Mounted by [`ImageRoot::mount`]; unmounted when dropped.
    Mounted(tempfile::TempDir),
}

impl ImageRoot {
    /// Mounts the image of the running live system read-only below `state`.
    pub fn mount(state: &Path) -> Result<Self, Error> {
        let manifest = state.join("manifest.json");
        let bytes = fs::read(&manifest).map_err(Error::io("read", manifest))?;
        let kind: ImageKind = Manifest::from_verified(&bytes).map_err(Error::Manifest)?.image.kind;
        let directory = tempfile::Builder::new().prefix("image-").tempdir_in(state);
        let directory = directory.map_err(Error::io("make a directory in", state))?;
        let flags = MsFlags::MS_RDONLY | MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        let node = image_node();
        mount(Some(&node), directory.path(), Some(kind.id()), flags, None::<&str>)
            .map_err(|error| Error::io("mount", node)(error.into()))?;
        Ok(Self::Mounted(directory))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Mounted(directory) => directory.path(),
        }
    }
}

impl Drop for ImageRoot {
    fn drop(&mut self) {
        if let Self::Mounted(directory) = self {
            // A lazy unmount works even while a file is open; a mount that stays is removed by the restart.
            let _ = umount2(directory.path(), MntFlags::MNT_DETACH);
        }
    }
}

/// Does it; returns only when it cannot be done, or when the service manager took the request.
pub fn leave(afterwards: Afterwards) -> Result<(), Error> {
    let (name, argument) = match afterwards {
        Afterwards::Reboot => ("systemctl", "reboot"),
        Afterwards::PowerOff => ("systemctl", "poweroff"),
        Afterwards::Shell => {
            return Err(Error::io("run", "/bin/bash")(Command::new("/bin/bash").arg("-l").exec()));
        }
    };
    let status = Command::new(name).arg(argument).status().map_err(Error::io("run", name))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Program { name, status, output: format!("{name} {argument}") })
}

/// Whether this process may use disks, and runs in a live system.
pub fn is_live(state: &Path) -> bool {
    nix::unistd::geteuid().is_root() && state.join("boot.json").exists()
}
