//! What will be copied where, as data.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use aegis_hw::{
    Bytes, Tree,
    inventory::{self, Disk, Partition, Use},
    target::Identity,
    text::Shown,
};
use nix::sys::statvfs::statvfs;
use serde::Serialize;

use super::problem::FileProblem;
use crate::{error::Error, files::directory_of, flash::format::Format};

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceDevice {
    /// Device node or file.
    pub path: PathBuf,
    /// Model, size and serial for people.
    pub description: String,
    /// What must still be true when it is opened.
    pub identity: Identity,
    /// Nothing uses it, and nothing shall while it is read.
    pub alone: bool,
}

/// One copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackupPlan {
    /// The disk or partition.
    pub device: SourceDevice,
    /// The image file.
    pub file: PathBuf,
    /// How it is stored.
    pub format: Format,
    /// A file of this name is replaced.
    pub overwrite: bool,
    /// What cannot be read becomes zeros.
    pub skip_errors: bool,
    /// Room where the file will be.
    pub free: Bytes,
}

/// How a copy is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// The format, where the file's name does not say it.
    pub format: Option<Format>,
    /// A file of this name is replaced.
    pub overwrite: bool,
    /// What cannot be read becomes zeros.
    pub skip_errors: bool,
}

/// The format that the name of a file asks for; without an ending that is known, raw.
///
/// # Errors
/// [`FileProblem::Ending`] for formats that are not written.
pub fn format_of(file: &Path) -> Result<Format, FileProblem> {
    let ending = file.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    match ending.as_deref().unwrap_or_default() {
        "zst" | "zstd" => Ok(Format::Zstd),
        "gz" | "gzip" => Ok(Format::Gzip),
        "xz" => Ok(Format::Xz),
        "bz2" | "lz4" | "lzma" | "lz" | "lzo" | "z" | "zip" | "7z" | "rar" | "qcow2" | "vmdk" | "vhd"
        | "vhdx" | "vdi" => Err(FileProblem::Ending),
        _ => Ok(Format::Raw),
    }
}

impl BackupPlan {
    /// Looks at the device and at the place of the file.
    ///
    /// # Errors
    /// When the device does not exist or is in use, or the file cannot be made.
    pub fn new(tree: &Tree, device: &Path, file: &Path, wishes: Wishes) -> Result<Self, Error> {
        let problem = |problem| Error::Output { path: file.into(), problem };
        let format = match wishes.format {
            Some(format) => format,
            None => format_of(file).map_err(problem)?,
        };
        check_name(file, format).map_err(problem)?;
        let directory = directory_of(file);
        let place = directory.canonicalize().map_err(Error::io("look at", directory))?;
        let (real, data) = match tree.is_recorded() {
            true => (device.to_owned(), None),
            false => {
                let real = device.canonicalize().map_err(Error::io("look at", device))?;
                let data = real.metadata().map_err(Error::io("look at", device))?;
                (real, Some(data))
            }
        };
        let device = match data.as_ref().filter(|data| data.is_file()) {
            Some(data) if data.len() == 0 => return Err(aegis_hw::Error::NoSectors(real).into()),
            Some(data) => of_file(&real, data.len()),
            None => of_device(tree, &real, &place, file)?,
        };
        check_existing(file, data.as_ref(), wishes.overwrite)?;
        let system = statvfs(&place).map_err(|code| Error::io("look at", &place)(code.into()))?;
        let free = Bytes(system.blocks_available().saturating_mul(system.fragment_size()));
        let Wishes { overwrite, skip_errors, .. } = wishes;
        Ok(Self { device, file: file.into(), format, overwrite, skip_errors, free })
    }

    /// The name that the file of sums gives to what is in the image, as `flash` and `verify` look for it.
    pub fn name_of_content(&self) -> String {
        let name = match self.format {
            Format::Raw => self.file.file_name(),
            _ => self.file.file_stem(),
        };
        name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Where the digest of the content is put.
    pub fn sums(&self) -> PathBuf {
        let mut name = self.file.as_os_str().to_owned();
        name.push(".sha256");
        name.into()
    }
}

fn check_name(file: &Path, format: Format) -> Result<(), FileProblem> {
    let name = file.file_name().and_then(|name| name.to_str()).ok_or(FileProblem::Name)?;
    let odd = |c: char| c.is_control() || c == '\\';
    if name.contains(odd) || name.trim() != name || name.starts_with('*') {
        return Err(FileProblem::Name);
    }
    match (format, file.extension()) {
        (Format::Raw, _) | (_, Some(_)) => Ok(()),
        _ => Err(FileProblem::NoEnding),
    }
}

/// What is there already must be a file that may be replaced, and not the one that is read.
fn check_existing(file: &Path, device: Option<&fs::Metadata>, overwrite: bool) -> Result<(), Error> {
    let mut sums = file.as_os_str().to_owned();
    sums.push(".sha256");
    for path in [file, Path::new(&sums)] {
        let problem = |problem| Err(Error::Output { path: path.into(), problem });
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::io("look at", path)(source)),
            Ok(data) if device.is_some_and(|own| (data.dev(), data.ino()) == (own.dev(), own.ino())) => {
                return problem(FileProblem::OnTheDevice);
            }
            Ok(data) if !data.is_file() => return problem(FileProblem::NotAFile),
            Ok(_) if !overwrite => return problem(FileProblem::Exists),
            Ok(_) => {}
        }
    }
    Ok(())
}

fn of_file(path: &Path, size: u64) -> SourceDevice {
    let description = format!("file {}, {}", Shown(&path.to_string_lossy()), Bytes(size));
    let identity = Identity::of_file(Bytes(size), 512);
    SourceDevice { path: path.into(), description, identity, alone: false }
}

fn of_device(tree: &Tree, real: &Path, place: &Path, file: &Path) -> Result<SourceDevice, Error> {
    let name = real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let disk = inventory::disk_of(tree, &name)?;
    let partition = disk.partitions.iter().find(|partition| partition.name == name);
    let uses: Vec<&Use> = disk.uses.iter().filter(|one| concerns(one, &disk, partition)).collect();
    let directory = place.metadata().map_err(Error::io("look at", place))?.dev();
    let mut reasons = Vec::new();
    for one in &uses {
        match one {
            Use::Mount { at, .. } if fs::metadata(at).is_ok_and(|data| data.dev() == directory) => {
                return Err(Error::Output { path: file.into(), problem: FileProblem::OnTheDevice });
            }
            Use::Mount { at, .. } if inventory::is_read_only_at(tree, at)? => {}
            _ => reasons.push(format!("{one}, so that the copy would be of several moments")),
        }
    }
    if !disk.uses_known {
        reasons.push("what is mounted cannot be read, it may be in use".into());
    }
    let size = partition.map_or(disk.size, |partition| partition.size);
    if size == Bytes(0) {
        reasons.push("there is no medium in it".into());
    }
    let description = match partition {
        None => disk.summary(),
        Some(partition) => format!("{}, {size}, of {}", Shown(&partition.name), disk.summary()),
    };
    if !reasons.is_empty() {
        let next = "unmount what is on it, or make those mounts read-only";
        return Err(Error::Refused { disk: description, reasons, next });
    }
    let identity = Identity { size, ..disk.identity() };
    Ok(SourceDevice { path: real.into(), description, identity, alone: uses.is_empty() })
}

/// Whether what is read changes by a use: of a partition those of it and of the whole disk, of a disk all of them.
fn concerns(one: &Use, disk: &Disk, partition: Option<&Partition>) -> bool {
    let (Use::Mount { device, .. } | Use::Swap { device, .. } | Use::Holder { device, .. }) = one;
    partition.is_none_or(|partition| *device == partition.name || *device == disk.name)
}

impl fmt::Display for BackupPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SourceDevice { path, description, identity, alone } = &self.device;
        writeln!(f, "Read       {}: {description}", path.display())?;
        if !alone && identity.diskseq.is_some() {
            writeln!(f, "           mounted read-only meanwhile")?;
        }
        let how = match self.format {
            Format::Raw => "raw, zeros as holes".into(),
            format => format!("compressed by {format}"),
        };
        writeln!(f, "Written    {} ({how}, {} are free there)", self.file.display(), self.free)?;
        writeln!(f, "           and its SHA-256 to {}", self.sums().display())?;
        if self.overwrite {
            writeln!(f, "           in place of files of these names")?;
        }
        match self.skip_errors {
            false => writeln!(f, "What cannot be read ends the copy. The file is read back."),
            true => writeln!(f, "What cannot be read becomes zeros and is told. The file is read back."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_say_the_format() {
        let of = |name: &str| format_of(Path::new(name));
        assert_eq!([of("a.img"), of("a"), of(".zst"), of("a.zst.img")], [Ok(Format::Raw); 4]);
        assert_eq!(of("a.img.ZST"), Ok(Format::Zstd));
        assert_eq!((of("a.gz"), of("a.xz")), (Ok(Format::Gzip), Ok(Format::Xz)));
        assert_eq!([of("a.bz2"), of("a.7z")], [Err(FileProblem::Ending); 2]);
    }

    /// A disk whose second partition is mounted, and read-only only if that is said.
    fn tree(dir: &Path, options: &str) -> Tree {
        let block = dir.join("sys/block/sdq");
        for (file, text) in [
            ("size", "131072"),
            ("diskseq", "9"),
            ("queue/logical_block_size", "512"),
            ("queue/physical_block_size", "512"),
            ("device/state", "running"),
            ("sdq1/partition", "1"),
            ("sdq1/start", "2048"),
            ("sdq1/size", "4096"),
            ("sdq1/dev", "65:1"),
            ("sdq2/partition", "2"),
            ("sdq2/start", "8192"),
            ("sdq2/size", "8192"),
            ("sdq2/dev", "65:2"),
        ] {
            fs::create_dir_all(block.join(file).parent().unwrap()).unwrap();
            fs::write(block.join(file), text).unwrap();
        }
        fs::create_dir_all(dir.join("proc/self")).unwrap();
        let mounts = format!("1 0 65:2 / /mnt/there rw - ext4 /dev/sdq2 {options}\n");
        fs::write(dir.join("proc/self/mountinfo"), mounts).unwrap();
        let roots = aegis_hw::tree::Roots {
            sysfs: dir.join("sys"),
            proc: dir.join("proc"),
            ..aegis_hw::tree::Roots::default()
        };
        Tree::live(roots)
    }

    fn device(options: &str, name: &str) -> Result<SourceDevice, Error> {
        let dir = tempfile::tempdir().unwrap();
        let node = Path::new("/dev").join(name);
        of_device(&tree(dir.path(), options), &node, dir.path(), Path::new("a.img"))
    }

    #[test]
    fn what_can_change_is_not_copied() {
        for name in ["sdq", "sdq2"] {
            let Err(Error::Refused { reasons, .. }) = device("rw", name) else { panic!("{name}") };
            assert_eq!(
                reasons,
                ["sdq2 is mounted at /mnt/there, so that the copy would be of several moments"]
            );
            let source = device("ro", name).unwrap();
            assert!(!source.alone, "the mount holds it");
        }
        let source = device("rw", "sdq1").unwrap();
        assert!(source.alone, "another partition is of no concern");
        let identity = Identity { diskseq: Some(9), ..Identity::of_file(Bytes(4096 * 512), 512) };
        assert_eq!(source.identity, identity);
        assert!(source.description.starts_with("sdq1, 2.0 MiB, of "), "{}", source.description);
        assert!(matches!(device("ro", "sdz"), Err(Error::Disk(aegis_hw::Error::NoSuchDisk(_)))));
    }

    #[test]
    fn names_that_a_file_of_sums_can_hold() {
        let check = |name: &str, format| check_name(Path::new(name), format);
        assert_eq!(check("dir/stick 1.img", Format::Raw), Ok(()));
        for name in ["a\nb", "a\\b", " a", "a ", "*a", "..", "\u{7f}"] {
            assert_eq!(check(name, Format::Raw), Err(FileProblem::Name), "{name:?}");
        }
        assert_eq!(check("stick", Format::Raw), Ok(()));
        assert_eq!(check("stick", Format::Zstd), Err(FileProblem::NoEnding));
    }
}
