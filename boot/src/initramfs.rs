//! The initramfs archive: aegis-init, the modules that it may need, the public keys; nothing else.
//!
//! Format: cpio `newc` (the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`), compressed by zstd.
//! Modules are stored unpacked: one zstd stream over all of them is smaller than many small xz ones.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use aegis_core::key::PublicKey;

use crate::{
    cache::{Cache, Key},
    error::{Error, Result},
    host,
    kernel::Kernel,
    tools::Tools,
};

/// Which modules enter the archive; see the comments in the file.
const MODULES: &str = include_str!("../../initramfs/modules.list");

/// Makes `initrd.img`, or finds it made. `drivers` is the map from devices to symbols; Debian's kernel has none.
pub fn make(
    cache: &Cache,
    tools: &Tools,
    kernel: &Kernel,
    init: &Path,
    keys: &[PublicKey],
    drivers: Option<&Path>,
) -> Result<(PathBuf, bool)> {
    let keys = serde_json::to_string_pretty(keys).unwrap_or_default();
    let drivers = drivers
        .map(|path| fs::read(path).map_err(Error::io("reading", path)))
        .transpose()?
        .unwrap_or_default();
    let key =
        Key::new("initramfs").with(kernel.key.0).with_file(init)?.with(&keys).with(MODULES).with(&drivers);
    cache.stage("initramfs", key, |result| {
        let archive = archive(tools, kernel, init, &keys, &drivers)?;
        let mut command = tools.command("usr/bin/zstd");
        command.args(["-19", "--quiet", "--stdout", "-"]);
        let write = |pipe: &mut dyn Write| pipe.write_all(&archive).map_err(Error::io("writing to", "zstd"));
        let bytes = host::feed(&mut command, "compressing the initramfs", write)?;
        fs::write(result, bytes).map_err(Error::io("writing", result))
    })
}

fn archive(tools: &Tools, kernel: &Kernel, init: &Path, keys: &str, drivers: &[u8]) -> Result<Vec<u8>> {
    let selection = Selection::read(kernel)?;
    let directory = format!("lib/modules/{}", kernel.release);
    let mut cpio = Cpio::default();
    cpio.file("init", &fs::read(init).map_err(Error::io("reading", init))?, 0o755);
    cpio.file("aegis/keys.json", keys.as_bytes(), 0o644);
    cpio.file("aegis/release", format!("{}\n", kernel.release).as_bytes(), 0o644);
    cpio.file("aegis/modules.load", selection.load.as_bytes(), 0o644);
    if !drivers.is_empty() {
        cpio.file("aegis/drivers.alias", drivers, 0o644);
    }
    cpio.file(&format!("{directory}/modules.dep"), selection.dep().as_bytes(), 0o644);
    cpio.file(&format!("{directory}/modules.alias"), selection.aliases(kernel)?.as_bytes(), 0o644);
    for (name, bytes) in unpacked(tools, kernel, selection.paths())? {
        cpio.file(&format!("{directory}/{name}"), &bytes, 0o644);
    }
    for name in ["dev", "proc", "sys", "run"] {
        cpio.directory(name);
    }
    Ok(cpio.finish())
}

/// Modules of the list that a kernel has as modules; a kernel of an edition has none of them, so that it finds its root file
/// system also where loading fails.
pub fn loadable(kernel: &Kernel) -> Result<Vec<String>> {
    Ok(Selection::read(kernel)?.paths().map(module_name).collect())
}

/// The modules of the list and everything that they depend on.
struct Selection {
    /// Path of each module and the paths it depends on, all below the modules' directory.
    dep: BTreeMap<String, Vec<String>>,
    load: String,
}

impl Selection {
    fn read(kernel: &Kernel) -> Result<Self> {
        let file = kernel.modules().join("modules.dep");
        let text = fs::read_to_string(&file).map_err(Error::io("reading", file))?;
        let builtin = fs::read_to_string(kernel.modules().join("modules.builtin")).unwrap_or_default();
        let all: BTreeMap<String, Vec<String>> = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(path, needs)| (path.to_owned(), needs.split_whitespace().map(str::to_owned).collect()))
            .collect();
        let mut selection = Self { dep: BTreeMap::new(), load: String::new() };
        for line in MODULES.lines() {
            let entry = line.split('#').next().unwrap_or_default().trim();
            let (entry, load) = entry.strip_prefix('+').map_or((entry, false), |rest| (rest.trim(), true));
            let (entry, optional) =
                entry.strip_prefix('?').map_or((entry, false), |rest| (rest.trim(), true));
            if entry.is_empty() {
                continue;
            }
            let matches = |path: &str| match entry.strip_suffix('/') {
                Some(directory) => path.starts_with(&format!("{directory}/")),
                None => module_name(path) == entry.replace('-', "_"),
            };
            let found: Vec<&String> = all.keys().filter(|path| matches(path)).collect();
            if found.is_empty() && !optional && !builtin.lines().any(matches) {
                return Err(Error::MissingModule { module: entry.into(), release: kernel.release.clone() });
            }
            if load && !found.is_empty() {
                selection.load.push_str(&format!("{entry}\n"));
            }
            found.into_iter().for_each(|path| selection.add(path, &all));
        }
        Ok(selection)
    }

    fn add(&mut self, path: &str, all: &BTreeMap<String, Vec<String>>) {
        let Some(needs) = all.get(path) else { return };
        if self.dep.insert(path.to_owned(), needs.clone()).is_none() {
            needs.iter().for_each(|need| self.add(need, all));
        }
    }

    fn paths(&self) -> impl Iterator<Item = &str> {
        self.dep.keys().map(String::as_str)
    }

    /// modules.dep with the names that the modules have in the archive.
    fn dep(&self) -> String {
        let line = |(path, needs): (&String, &Vec<String>)| {
            let needs: String = needs.iter().map(|need| format!(" {}", plain(need))).collect();
            format!("{}:{needs}\n", plain(path))
        };
        self.dep.iter().map(line).collect()
    }

    /// The aliases of the modules in the archive.
    fn aliases(&self, kernel: &Kernel) -> Result<String> {
        let names: BTreeSet<String> = self.paths().map(module_name).collect();
        let file = kernel.modules().join("modules.alias");
        let text = fs::read_to_string(&file).map_err(Error::io("reading", file))?;
        let wanted = |line: &&str| line.rsplit(' ').next().is_some_and(|name| names.contains(name));
        Ok(text.lines().filter(wanted).map(|line| format!("{line}\n")).collect())
    }
}

/// `kernel/drivers/usb/storage/usb-storage.ko.xz` is the module `usb_storage`.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or_default();
    file.split(".ko").next().unwrap_or_default().replace('-', "_")
}

/// A module's path without the suffix of its compression.
fn plain(path: &str) -> &str {
    path.strip_suffix(".xz").or_else(|| path.strip_suffix(".zst")).unwrap_or(path)
}

/// The modules without compression; their signatures are at the end and stay. One process unpacks all of them:
/// starting hundreds took most of the stage's time.
fn unpacked<'p>(
    tools: &Tools,
    kernel: &Kernel,
    paths: impl Iterator<Item = &'p str>,
) -> Result<BTreeMap<&'p str, Vec<u8>>> {
    let directory = tempfile::tempdir().map_err(Error::io("creating", "a directory for kernel modules"))?;
    let mut commands = BTreeMap::new();
    let mut files = Vec::new();
    for (number, path) in paths.enumerate() {
        let file = directory.path().join(number.to_string());
        let packed = path.strip_prefix(plain(path)).unwrap_or_default();
        let copy = directory.path().join(format!("{number}{packed}"));
        let source = kernel.modules().join(path);
        fs::copy(&source, &copy).map_err(Error::io("copying", source))?;
        match packed {
            ".xz" => commands.entry("usr/bin/xz").or_insert_with(Vec::new).push(copy),
            ".zst" => commands.entry("usr/bin/zstd").or_insert_with(Vec::new).push(copy),
            _ => {}
        }
        files.push((plain(path), file));
    }
    for (program, packed) in commands {
        let mut command = tools.command(program);
        command.args(["--decompress", "--quiet"]).args(packed);
        host::output(&mut command, "unpacking kernel modules")?;
    }
    let read = |(name, file): (&'p str, PathBuf)| {
        fs::read(&file).map(|bytes| (name, bytes)).map_err(Error::io("reading", file))
    };
    files.into_iter().map(read).collect()
}

/// Writes a `newc` archive without owners, time stamps or inode numbers of the building machine.
#[derive(Default)]
struct Cpio {
    bytes: Vec<u8>,
    inode: u32,
    directories: BTreeSet<String>,
}

impl Cpio {
    fn directory(&mut self, path: &str) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent);
        }
        if self.directories.insert(path.to_owned()) {
            self.entry(path, 0o040_755, &[]);
        }
    }

    fn file(&mut self, path: &str, content: &[u8], mode: u32) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent);
        }
        self.entry(path, 0o100_000 | mode, content);
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.inode += 1;
        let links = if mode & 0o040_000 == 0 { 1 } else { 2 };
        let fields =
            [self.inode, mode, 0, 0, links, 0, length(content), 0, 0, 0, 0, length(path.as_bytes()) + 1, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }
}

/// The format has no larger files; neither has an initramfs.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
