//! From modules to the symbols that make them, by the kernel's Kbuild files (Documentation/kbuild/makefiles.rst).

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::Error;

/// Directories of the source whose Kbuild files make modules for x86.
const ROOTS: [&str; 14] = [
    "arch/x86", "block", "certs", "crypto", "drivers", "fs", "init", "ipc", "kernel", "lib", "mm", "net",
    "security", "sound",
];

/// The symbol that makes each module, by the module's name with `_` for `-`.
#[derive(Clone, Debug, Default)]
pub struct Objects(BTreeMap<String, String>);

impl Objects {
    /// Reads every `Makefile` and `Kbuild` below the source.
    ///
    /// # Errors
    /// When a directory or file cannot be read.
    pub fn read(source: &Path) -> Result<Self, Error> {
        let mut objects = Self::default();
        let mut pending: Vec<PathBuf> =
            ROOTS.iter().map(|root| source.join(root)).filter(|root| root.is_dir()).collect();
        while let Some(directory) = pending.pop() {
            let failed = |source: io::Error| Error::Read { path: directory.clone(), source };
            for entry in fs::read_dir(&directory).map_err(failed)? {
                let entry = entry.map_err(|source| Error::Read { path: directory.clone(), source })?;
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    pending.push(path);
                } else if ["Makefile", "Kbuild"].iter().any(|name| entry.file_name() == *name) {
                    let text = fs::read(&path).map_err(|source| Error::Read { path, source })?;
                    objects.text(&String::from_utf8_lossy(&text));
                }
            }
        }
        Ok(objects)
    }

    fn text(&mut self, text: &str) {
        let joined = text.replace("\\\n", " ");
        for line in joined.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let Some((goal, objects)) = line.split_once('=') else { continue };
            let goal = goal.trim_end_matches(['+', ':', ' ', '\t']).trim();
            let Some(symbol) = goal.strip_prefix("obj-$(CONFIG_").and_then(|rest| rest.strip_suffix(')'))
            else {
                continue;
            };
            for object in objects.split_whitespace() {
                if let Some(module) = object.strip_suffix(".o") {
                    let name = module.rsplit('/').next().unwrap_or(module).replace('-', "_");
                    self.0.entry(name).or_insert_with(|| symbol.to_owned());
                }
            }
        }
    }

    /// The symbol, without `CONFIG_`, that makes a module.
    pub fn symbol(&self, module: &str) -> Option<&str> {
        self.0.get(&module.replace('-', "_")).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_and_continued_lines() {
        let mut objects = Objects::default();
        objects.text(
            "obj-$(CONFIG_USB_UAS)\t+= uas.o # UAS\nobj-$(CONFIG_NVME) += nvme.o \\\n\tnvme-fabrics.o sub/\n\
             uas-y := a.o\nobj-y += always.o\nobj-$(CONFIG_X):=x/deep-er.o\n",
        );
        let symbols =
            ["uas", "nvme", "nvme_fabrics", "deep-er", "a", "always", "sub"].map(|name| objects.symbol(name));
        assert_eq!(symbols, [Some("USB_UAS"), Some("NVME"), Some("NVME"), Some("X"), None, None, None]);
    }
}
