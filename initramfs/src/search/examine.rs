//! Looks at one device.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::Path,
};

use super::Settings;
use crate::{
    block::BlockDevice,
    error::Error,
    gpt, log,
    release::Release,
    root::MEDIUM,
    sys::mount::{self, Flags},
};
use aegis_core::{
    cmdline::Target,
    install::{InstallId, Role},
    manifest::{MediumId, path},
    probe::iso9660::{self, Volume},
    slot::{Slot, TRAILER_SIZE, Trailer},
};

/// A manifest is some tens of KiB; what is larger is not read into memory.
const MANIFEST_LIMIT: u64 = 4 << 20;

/// What a device turned out to be.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// No medium, or the drive does not answer yet.
    NotReady(io::Error),
    /// Not what is being looked for; the text says why.
    Foreign(String),
    /// The same of what was not looked at further.
    Unknown(&'static str),
    /// It should be the target, but must not be used.
    Refused {
        /// The whole reason, as text.
        why: String,
        /// The reason, until it is reported.
        error: Option<Error>,
    },
    /// The medium that is being looked for; mounted at [`MEDIUM`].
    Medium(Box<Release>),
    /// The slot that is being looked for.
    Slot(Box<Release>),
    /// The data partition of the installation.
    Data,
}

impl Verdict {
    /// The reason of a refusal, once.
    pub(crate) fn take_error(&mut self) -> Option<Error> {
        if let Self::Refused { error, .. } = self { error.take() } else { None }
    }

    fn refused(error: Error) -> Self {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Self::Refused { why: format!("{error}{cause}"), error: Some(error) }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady(error) => write!(f, "not ready: {error}"),
            Self::Foreign(why) => f.write_str(why),
            Self::Unknown(why) => f.write_str(why),
            Self::Refused { why, .. } => write!(f, "refused: {why}"),
            Self::Medium(release) => {
                write!(
                    f,
                    "medium {}, {} {}",
                    release.manifest.id, release.manifest.edition, release.manifest.version
                )
            }
            Self::Slot(release) => {
                write!(f, "slot with {} {}", release.manifest.edition, release.manifest.version)
            }
            Self::Data => f.write_str("data partition"),
        }
    }
}

/// Looks at a device and says what it is.
pub(crate) fn examine(settings: &Settings, device: &BlockDevice) -> Verdict {
    match settings.params.target {
        Target::Medium(id) => examine_medium(settings, device, id),
        Target::Installed { id, slot } => examine_partition(settings, device, id, slot),
    }
}

fn examine_medium(settings: &Settings, device: &BlockDevice, id: MediumId) -> Verdict {
    let volume = match read_at(device, iso9660::POSITION, iso9660::SIZE).map(|bytes| Volume::parse(&bytes)) {
        Ok(Some(volume)) => volume,
        Ok(None) => return Verdict::Unknown("no ISO 9660 file system"),
        Err(error) if may_become_ready(device, &error) => return Verdict::NotReady(error),
        Err(error) => return Verdict::Foreign(format!("no ISO 9660 file system can be read: {error}")),
    };
    let source = device.node().display().to_string();
    if let Err(error) =
        mount::mount(&source, Path::new(MEDIUM), "iso9660", Flags::READ_ONLY | Flags::DATA_ONLY, "")
    {
        let (name, size) = (name(&volume), volume.size);
        return Verdict::Foreign(if device.size < size {
            format!("{name} is incomplete, {size} bytes are needed, and cannot be mounted: {error}")
        } else {
            format!("{name} cannot be mounted: {error}")
        });
    }
    let verdict = examine_files(settings, device, &volume, id);
    if !matches!(verdict, Verdict::Medium(_))
        && let Err(error) = mount::unmount(Path::new(MEDIUM))
    {
        log::warning(&format!("cannot unmount {source}: {error}"));
    }
    verdict
}

/// The volume's label, as far as it has one.
fn name(volume: &Volume) -> String {
    volume.label.as_ref().map_or_else(|| "it".to_string(), |label| format!("`{label}`"))
}

/// Whether asking again can help: a drive without a medium, or a disc that spins up. Asking a broken disk again would only
/// hold up the search.
fn may_become_ready(device: &BlockDevice, error: &io::Error) -> bool {
    device.size == 0 || device.name.starts_with("sr") || error.raw_os_error() == Some(libc::ENOMEDIUM)
}

/// Judges the files of a mounted medium.
fn examine_files(settings: &Settings, device: &BlockDevice, volume: &Volume, id: MediumId) -> Verdict {
    let truncated = || {
        let name = device.name.clone();
        Error::MediumTruncated { device: name, has: device.size, needs: volume.size }
    };
    let is_short = device.size < volume.size;
    let read = |name: &str| read_limited(&Path::new(MEDIUM).join(name));
    let (bytes, signature) = match (read(path::MANIFEST), read(path::SIGNATURE)) {
        (Ok(bytes), Ok(signature)) => (bytes, signature),
        (Err(e), _) | (_, Err(e)) if e.kind() == io::ErrorKind::NotFound => {
            return Verdict::Foreign(format!("{} is another medium, without a manifest", name(volume)));
        }
        // Whether it is ours cannot be known; that it is incomplete can.
        _ if is_short => return Verdict::refused(truncated()),
        (Err(error), _) | (_, Err(error)) => {
            return Verdict::refused(Error::os("read", format!("the manifest on {}", device.name), error));
        }
    };
    match Release::verify(&settings.keys, &device.name, bytes, signature) {
        Ok(release) if release.manifest.id != id => {
            Verdict::Foreign(format!("another Aegis medium, {}", release.manifest.id))
        }
        Ok(_) if is_short => Verdict::refused(truncated()),
        Ok(release) => accept(settings, &device.name, release, Verdict::Medium),
        Err((error, claimed)) if claimed.is_none_or(|claimed| claimed == id) => Verdict::refused(error),
        Err((error, _)) => Verdict::Foreign(format!("another medium: {error}")),
    }
}

fn examine_partition(settings: &Settings, device: &BlockDevice, id: InstallId, slot: Slot) -> Verdict {
    let guid = match read_partition_entry(device) {
        Ok(entry) => entry.map(|entry| entry.guid),
        Err(error) if may_become_ready(device, &error) => return Verdict::NotReady(error),
        Err(error) => return Verdict::Foreign(format!("its partition table cannot be read: {error}")),
    };
    let is = |role| guid == Some(id.partition_guid(role));
    if is(Role::Data) {
        return Verdict::Data;
    }
    if !is(slot.into()) {
        let other = Role::ALL.into_iter().find(|role| is(*role));
        return other.map_or(Verdict::Unknown("not of this installation"), |role| {
            Verdict::Foreign(format!("{} of this installation", role.name()))
        });
    }
    let position = device.size.saturating_sub(TRAILER_SIZE as u64);
    let trailer = match read_at(device, position, TRAILER_SIZE).map(|bytes| Trailer::decode(&bytes)) {
        Ok(Ok(trailer)) => trailer,
        Ok(Err(source)) => {
            return Verdict::refused(Error::Slot { device: device.name.clone(), slot, source });
        }
        Err(error) => {
            return Verdict::refused(Error::os("read", format!("the end of {}", device.name), error));
        }
    };
    match Release::verify(&settings.keys, &device.name, trailer.manifest, trailer.signature) {
        Ok(release) => accept(settings, &device.name, release, Verdict::Slot),
        Err((error, _)) => Verdict::refused(error),
    }
}

/// The partition's entry; `None` for a whole device and where there is no GUID Partition Table.
pub(crate) fn read_partition_entry(device: &BlockDevice) -> io::Result<Option<gpt::Entry>> {
    let (Some(partition), Some(disk)) = (device.partition, &device.parent) else { return Ok(None) };
    let read = |position| read_node(&Path::new("/dev").join(disk), position, gpt::Entry::SIZE as usize);
    let Some(header) = gpt::Header::parse(&read(partition.block_size)?) else { return Ok(None) };
    let Some(position) = header.entry_position(partition.number, partition.block_size) else {
        return Ok(None);
    };
    let entry = gpt::Entry::parse(&read(position)?);
    // The kernel's view of the partition decides what is read later; a table that says otherwise is not its table.
    let start = |entry: &gpt::Entry| entry.first_block.checked_mul(partition.block_size);
    Ok(entry.filter(|entry| start(entry) == Some(partition.start)))
}

/// The last check of a verified release: it must be for this kernel.
fn accept(
    settings: &Settings,
    device: &str,
    release: Release,
    verdict: fn(Box<Release>) -> Verdict,
) -> Verdict {
    if release.manifest.kernel == settings.kernel {
        return verdict(Box::new(release));
    }
    Verdict::refused(Error::Kernel {
        running: settings.kernel.clone(),
        expected: release.manifest.kernel,
        place: format!("the release on {device}"),
    })
}

fn read_at(device: &BlockDevice, position: u64, length: usize) -> io::Result<Vec<u8>> {
    read_node(&device.node(), position, length)
}

fn read_node(node: &Path, position: u64, length: usize) -> io::Result<Vec<u8>> {
    let file = File::open(node)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, position)?;
    Ok(bytes)
}

fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MANIFEST_LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Size of a block device or file, found by seeking to its end.
pub(crate) fn length(file: &mut File) -> io::Result<u64> {
    let end = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    Ok(end)
}
