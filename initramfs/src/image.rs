//! From a verified manifest to a mounted image.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use aegis_core::{
    crypto::Sha256,
    manifest::{self, Manifest},
    verity,
};

use crate::{
    block::BlockDevice,
    console::Consoles,
    error::Error,
    log,
    root::MEDIUM,
    search::{Found, Place, examine},
    sys::{
        device_mapper::{self, VerityStatus},
        loop_device::{Access, LoopDevice},
        mount::{self, Flags},
        path,
    },
};

/// Name of the verity device, also `/dev/mapper/…`.
pub(crate) const VERITY_NAME: &str = "aegis-root";
const SECTOR: u64 = 512;
/// Bytes that are hashed between two looks at the progress.
const STEP: usize = 1 << 20;
/// Programs that can take over; the first that is there.
pub(crate) const INIT: [&str; 2] = ["/sbin/init", "/usr/lib/systemd/systemd"];

/// The file or partition that holds the image.
#[derive(Debug)]
pub(crate) struct Source {
    file: File,
    /// For messages, such as `aegis/root.img on sr0`.
    place: String,
    /// The device, for messages.
    device: String,
    /// Set when the source is a block device already.
    is_partition: bool,
}

impl Source {
    /// Opens where a release's image is, and checks that all of it is there.
    pub(crate) fn open(found: &Found) -> Result<Self, Error> {
        let (path, place, device) = match &found.place {
            Place::Medium(BlockDevice { name, .. }) => {
                let path = Path::new(MEDIUM).join(manifest::path::IMAGE);
                (path, format!("{} on {name}", manifest::path::IMAGE), name)
            }
            Place::Slot { partition, slot, .. } => {
                (partition.node(), format!("slot {slot} on {}", partition.name), &partition.name)
            }
        };
        let open_error = |e| Error::os("open", &place, e);
        let mut file = File::open(path).map_err(open_error)?;
        let has = examine::length(&mut file).map_err(open_error)?;
        let needs = found.release.manifest.image.size;
        if has < needs {
            return Err(Error::ImageTruncated { place, has, needs });
        }
        let is_partition = matches!(found.place, Place::Slot { .. });
        Ok(Self { file, place, device: device.clone(), is_partition })
    }

    /// Hashes the whole image and compares it with the manifest; shows the progress on the consoles.
    pub(crate) fn check_digest(&mut self, manifest: &Manifest) -> Result<(), Error> {
        let signed = manifest.files.get(manifest::path::IMAGE).ok_or_else(|| Error::ImageLacks {
            path: format!("entry {} in its manifest", manifest::path::IMAGE),
        })?;
        let mut consoles = Consoles::open();
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; STEP];
        let (total, mut done, mut shown) = (manifest.image.size, 0u64, u64::MAX);
        let read_error = |e| Error::os("read", &self.place, e);
        let mut reader = (&self.file).take(total);
        loop {
            let count = reader.read(&mut buffer).map_err(read_error)?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            done += count as u64;
            let percent = done * 100 / total;
            if percent != shown {
                shown = percent;
                consoles.write(&format!("\raegis-init: checking {}: {percent} %", self.place));
            }
        }
        consoles.write("\n");
        let found = hasher.finish();
        if found != signed.sha256 {
            return Err(Error::ImageDigest { place: self.place.clone(), expected: signed.sha256, found });
        }
        log::info(&format!("{} is whole: SHA-256 {found}", self.place));
        Ok(())
    }

    /// Puts dm-verity over the image. The device refuses every block that is not as signed.
    pub(crate) fn open_verity(&self, manifest: &Manifest) -> Result<Verity, Error> {
        let image = &manifest.image;
        let os = |e| Error::os("set up a loop device for", &self.place, e);
        let (numbers, _loop) = if self.is_partition {
            (path::split_device(self.file.metadata().map_err(os)?.rdev()), None)
        } else {
            let device = LoopDevice::attach(&self.file, image.size, Access::Read).map_err(os)?;
            log::debug(&format!("{} is {}", self.place, device.path()));
            (device.device().map_err(os)?, Some(device))
        };
        let table = verity::table(image, &format!("{}:{}", numbers.0, numbers.1));
        let verity_error = |e| Error::os("set up dm-verity for", &self.place, e);
        let (_, minor) =
            device_mapper::create(VERITY_NAME, image.data_size / SECTOR, &table).map_err(verity_error)?;
        let node = PathBuf::from(format!("/dev/dm-{minor}"));
        let link = Path::new("/dev/mapper").join(VERITY_NAME);
        // udev keeps such a link in the running system; until then it gives mount(2) the better name.
        let node = match std::os::unix::fs::symlink(format!("../dm-{minor}"), &link) {
            Ok(()) => link,
            Err(_exists) if fs::canonicalize(&link).is_ok_and(|target| target == node) => link,
            Err(_) => node,
        };
        Ok(Verity { node, device: self.device.clone() })
    }
}

/// The verity device.
#[derive(Debug)]
pub(crate) struct Verity {
    node: PathBuf,
    device: String,
}

impl Verity {
    /// Mounts the image read-only, then reads what the system starts with and asks dm-verity for its verdict.
    /// `mounted` is called as soon as there is something to undo.
    pub(crate) fn mount(
        &self,
        manifest: &Manifest,
        target: &Path,
        mounted: impl FnOnce(),
    ) -> Result<(), Error> {
        let node = self.node.display().to_string();
        let kind = manifest.image.kind.id();
        let result = mount::mount(&node, target, kind, Flags::READ_ONLY, "").and_then(|()| {
            mounted();
            read_first(target)
        });
        // dm-verity tells a changed block from a drive that cannot read and from a file that is not there.
        match (device_mapper::status(VERITY_NAME), result) {
            (Ok(VerityStatus::Corrupted), result) => Err(Error::ImageDamaged {
                device: self.device.clone(),
                source: result.err().unwrap_or_else(|| io::Error::other("a block differs from its hash")),
            }),
            (Err(error), _) => Err(Error::os("ask the state of", VERITY_NAME, error)),
            (Ok(VerityStatus::Valid), Ok(())) => Ok(()),
            (Ok(VerityStatus::Valid), Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::ImageLacks { path: INIT[0].to_string() })
            }
            (Ok(VerityStatus::Valid), Err(error)) => {
                Err(Error::os("read", format!("the {kind} image on {}", self.device), error))
            }
        }
    }
}

/// Reads the start of the program that takes over.
fn read_first(root: &Path) -> io::Result<()> {
    let root = File::open(root)?;
    let mut init = INIT
        .iter()
        .find_map(|path| path::open_in_root(&root, Path::new(path)).ok())
        .map_or_else(|| path::open_in_root(&root, Path::new(INIT[0])), Ok)?;
    init.read_exact(&mut [0; 64])
}
