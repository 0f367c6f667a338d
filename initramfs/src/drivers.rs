//! Loads kernel modules.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    error::Error,
    log,
    modules::{alias::Aliases, dep::Dependencies},
    sys::process,
};

/// The modules of the archive, and which of them are loaded.
#[derive(Debug)]
pub(crate) struct Drivers {
    directory: PathBuf,
    dependencies: Dependencies,
    aliases: Aliases,
    loaded: Mutex<BTreeSet<String>>,
}

impl Drivers {
    /// Reads the indexes in `/lib/modules/<release>`.
    pub(crate) fn open(release: &str) -> Result<Self, Error> {
        let directory = Path::new("/lib/modules").join(release);
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).map_err(|e| Error::os("read", path.display(), e))
        };
        let dependencies = Dependencies::parse(&read("modules.dep")?);
        let aliases = Aliases::parse(&read("modules.alias")?);
        Ok(Self { directory, dependencies, aliases, loaded: Mutex::default() })
    }

    /// Loads what claims a device. A device that nothing claims is no error: most devices are not for a boot.
    pub(crate) fn load_for(&self, modalias: &str) {
        self.aliases.modules_for(modalias).for_each(|module| self.load(module));
    }

    /// Loads a module and what it needs. Failures are logged: whether the boot can go on shows later, and better.
    pub(crate) fn load(&self, name: &str) {
        if !self.dependencies.contains(name) {
            log::info(&format!("module {name} is not in the archive; it may be built in"));
            return;
        }
        for (name, path) in self.dependencies.load_order(name) {
            if !self.loaded().contains(name) {
                self.insert(name, path);
                // Only now: another thread that needs the module must not go on before it is there. When both insert
                // it, the kernel makes the second wait for the first.
                self.loaded().insert(name.to_string());
            }
        }
    }

    fn loaded(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, name: &str, path: &str) {
        let compressed = !path.ends_with(".ko");
        let result =
            File::open(self.directory.join(path)).and_then(|file| process::load_module(&file, compressed));
        match result.map_err(|e| (e.raw_os_error(), e)) {
            Ok(()) => log::debug(&format!("loaded {name}")),
            Err((Some(libc::EEXIST), _)) => {}
            // Said by drivers whose hardware, such as an instruction, is missing.
            Err((Some(libc::ENODEV), _)) => log::debug(&format!("{name}: no such device")),
            Err((_, error)) => log::warning(&format!("cannot load module {name}: {error}")),
        }
    }
}

/// Calls `found` with the content of every `modalias` file below `sys`/devices, and the directory it is in.
pub(crate) fn each_modalias(sys: &Path, found: &mut dyn FnMut(&str, &Path)) {
    let mut pending = vec![sys.join("devices")];
    while let Some(directory) = pending.pop() {
        // Devices come and go during the walk.
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => pending.push(entry.path()),
                Ok(kind) if kind.is_file() && entry.file_name() == "modalias" => {
                    if let Ok(text) = fs::read_to_string(entry.path()) {
                        found(text.trim(), &directory);
                    }
                }
                _ => {}
            }
        }
    }
}

/// Modaliases of devices that matter for finding a disk and have no driver.
pub(crate) fn without_driver(sys: &Path) -> Vec<String> {
    let mut all = BTreeSet::new();
    each_modalias(sys, &mut |modalias, directory| {
        if crate::uevent::is_on_the_way_to_a_disk(modalias) && !has_driver(directory) {
            all.insert(modalias.to_string());
        }
    });
    all.into_iter().collect()
}

fn has_driver(device: &Path) -> bool {
    fs::symlink_metadata(device.join("driver")).is_ok()
}

/// One module name a line; `#` starts a comment.
pub(crate) fn parse_load_list(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.split('#').next()).map(str::trim).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_list_has_comments() {
        let names: Vec<&str> = parse_load_list("# file systems\nloop\n  overlay # live\n\n").collect();
        assert_eq!(names, ["loop", "overlay"]);
    }
}
