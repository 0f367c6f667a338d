//! Debian packages of a directory tree, by `dpkg-deb`, with the same bytes for the same tree.

use std::{fs, path::Path, process::Command};

use crate::{
    error::{Error, Result},
    host,
};

/// The control fields of a package.
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// `name (= version)`, or empty.
    pub(super) depends: String,
    pub(super) description: String,
    /// The date of everything in it, Unix time.
    pub(super) epoch: u64,
}

impl Package {
    /// Writes the package of `tree` into `directory` and returns the file's name.
    pub(super) fn write(&self, tree: &Path, directory: &Path) -> Result<String> {
        let control = tree.join("DEBIAN");
        fs::create_dir_all(&control).map_err(Error::io("creating", &control))?;
        let depends =
            if self.depends.is_empty() { String::new() } else { format!("Depends: {}\n", self.depends) };
        let text = format!(
            "Package: {}\nVersion: {}\nArchitecture: amd64\nMaintainer: Aegis OS builders\nSection: kernel\n\
             Priority: optional\n{depends}Description: {}\n",
            self.name, self.version, self.description
        );
        let path = control.join("control");
        fs::write(&path, text).map_err(Error::io("writing", path))?;
        let file = format!("{}_{}_amd64.deb", self.name, self.version);
        let mut command = Command::new("dpkg-deb");
        command.args(["--build", "--root-owner-group", "-Zzstd", "-z6"]);
        command.arg(tree).arg(directory.join(&file)).env("SOURCE_DATE_EPOCH", self.epoch.to_string());
        host::output(&mut command, "writing a package").map(|_| file)
    }
}

/// Kernel modules below a directory: how many, and bytes of their files.
pub(super) fn count_modules(directory: &Path) -> Result<(usize, u64)> {
    let mut found = (0, 0);
    for entry in fs::read_dir(directory).map_err(Error::io("reading", directory))?.flatten() {
        let path = entry.path();
        let kind = entry.file_type().map_err(Error::io("reading", &path))?;
        if kind.is_dir() {
            let (count, bytes) = count_modules(&path)?;
            found = (found.0 + count, found.1 + bytes);
        } else if kind.is_file() && entry.file_name().to_string_lossy().contains(".ko") {
            found = (found.0 + 1, found.1 + entry.metadata().map_err(Error::io("reading", &path))?.len());
        }
    }
    Ok(found)
}
