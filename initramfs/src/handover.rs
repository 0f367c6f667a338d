//! The last step: the new root becomes `/` and its init takes over.
//!
//! Invariant: nothing is deleted before the new root is in place, and only what is in memory, on the file system that
//! this program was started from.

use std::{
    convert::Infallible,
    env,
    fs::{self, File},
    os::{
        fd::AsRawFd,
        unix::{fs::MetadataExt, process::CommandExt},
    },
    path::Path,
    process::Command,
};

use crate::{
    error::Error,
    image::INIT,
    log,
    root::NEW_ROOT,
    sys::{mount, path},
};

/// Moves the kernel's file systems, switches the root, frees the initramfs and starts the system.
pub(crate) fn hand_over() -> Result<Infallible, Error> {
    let init = find_init()?;
    let old_root = File::open("/").map_err(|e| Error::os("open", "/", e))?;
    for name in ["run", "dev", "sys", "proc"] {
        let (from, to) = (Path::new("/").join(name), Path::new(NEW_ROOT).join(name));
        mount::relocate(&from, &to).map_err(|e| Error::os("move", from.display(), e))?;
    }
    enter(Path::new(NEW_ROOT)).map_err(|e| Error::os("switch the root to", NEW_ROOT, e))?;
    match free_initramfs(&old_root) {
        Ok(()) => {}
        Err(error) => log::warning(&format!("the initramfs stays in memory: {error}")),
    }
    drop(old_root);
    log::info(&format!("switch_root after {} ms", log::since_start().as_millis()));
    Err(Error::os("start", init, Command::new(init).exec()))
}

/// The first program of the list that the new root has.
fn find_init() -> Result<&'static str, Error> {
    let root = File::open(NEW_ROOT).map_err(|e| Error::os("open", NEW_ROOT, e))?;
    let exists = |init: &&str| path::open_in_root(&root, Path::new(init)).is_ok();
    INIT.into_iter().find(exists).ok_or_else(|| Error::ImageLacks { path: INIT[0].to_string() })
}

fn enter(new_root: &Path) -> std::io::Result<()> {
    env::set_current_dir(new_root)?;
    mount::relocate(Path::new("."), Path::new("/"))?;
    std::os::unix::fs::chroot(".")?;
    env::set_current_dir("/")
}

/// Deletes what the kernel unpacked. `old_root` reaches the files below the new root.
fn free_initramfs(old_root: &File) -> std::io::Result<()> {
    let device = old_root.metadata()?.dev();
    let is_ours = path::is_memory_file_system(old_root)? && device != fs::metadata("/")?.dev();
    let base = format!("/proc/self/fd/{}", old_root.as_raw_fd());
    if !is_ours || !fs::exists(format!("{base}/aegis/keys.json"))? {
        return Err(std::io::Error::other("the old root is not an initramfs of ours"));
    }
    delete_content(Path::new(&base), device);
    Ok(())
}

/// Deletes everything below a directory that is on the same device. What cannot be deleted stays.
fn delete_content(directory: &Path, device: u64) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.dev() != device => {}
            Ok(metadata) if metadata.is_dir() => {
                delete_content(&path, device);
                let _ = fs::remove_dir(&path);
            }
            Ok(_) => _ = fs::remove_file(&path),
            Err(_gone) => {}
        }
    }
}
