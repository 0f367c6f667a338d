//! The images that are written: the content of the server edition, compressed, and with holes.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::PathBuf,
    process::Command,
};

use aegis_boot::rootfs;

use super::super::{Bench, measure::run};
use crate::{disk, error::Error};

/// Bytes of the image.
pub(super) const SIZE: u64 = 256 << 20;
/// Bytes of the image with holes.
pub(super) const SPARSE: u64 = 1 << 30;
/// Of so many bytes of the image with holes, the first [`DATA`] are data.
const STRIDE: u64 = 16 << 20;
const DATA: u64 = 4 << 20;

/// Paths of the images.
pub(super) struct Images {
    pub(super) raw: PathBuf,
    pub(super) zstd: PathBuf,
    /// Of several blocks.
    pub(super) xz: PathBuf,
    pub(super) gzip: PathBuf,
    pub(super) sparse: PathBuf,
    /// What says where the holes are.
    pub(super) bmap: PathBuf,
}

impl Images {
    /// Makes the images, or finds those of an earlier run.
    pub(super) fn make(bench: &Bench) -> Result<Self, Error> {
        let directory = bench.work.join("flash");
        fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
        let path = |name: &str| directory.join(name);
        let images = Self {
            raw: path("content.img"),
            zstd: path("content.img.zst"),
            xz: path("content.img.xz"),
            gzip: path("content.img.gz"),
            sparse: path("sparse.img"),
            // Not beside its image by the usual name, so that only those read it who are told to.
            bmap: path("holes.bmap"),
        };
        // The map is made last.
        if !images.bmap.exists() {
            images.fill(bench)?;
        }
        Ok(images)
    }

    fn fill(&self, bench: &Bench) -> Result<(), Error> {
        let (base, _) = rootfs::make(&bench.cache, &bench.store, &bench.lock, &bench.packages)?;
        let mut content = File::open(&base).map_err(Error::io("open", &base))?.take(SIZE);
        let mut raw = File::create(&self.raw).map_err(Error::io("create", &self.raw))?;
        let copied = io::copy(&mut content, &mut raw).map_err(Error::io("copy", &base))?;
        if copied != SIZE {
            let problem = format!("it has only {copied} bytes");
            return Err(Error::Format { what: base.display().to_string(), problem });
        }
        let raw = self.raw.as_os_str();
        compress("zstd", Command::new("zstd").args(["-q", "-3", "-f", "-k"]).arg(raw))?;
        // Each block can be decoded by a thread of its own.
        compress("xz", Command::new("xz").args(["-6", "-T2", "--block-size=16MiB", "-f", "-k"]).arg(raw))?;
        compress("gzip", Command::new("gzip").args(["-6", "-f", "-k"]).arg(raw))?;
        self.holes()?;
        let mut map = Command::new("bmaptool");
        compress("bmaptool", map.args(["create", "-o"]).arg(&self.bmap).arg(&self.sparse))
    }

    fn holes(&self) -> Result<(), Error> {
        let failed = || Error::io("write", &self.sparse);
        disk::set_size(&self.sparse, SPARSE)?;
        let mut raw = File::open(&self.raw).map_err(Error::io("open", &self.raw))?;
        let options = File::options().write(true).open(&self.sparse);
        let mut sparse = options.map_err(failed())?;
        for at in (0..SPARSE).step_by(usize::try_from(STRIDE).unwrap_or(1)) {
            sparse.seek(SeekFrom::Start(at)).map_err(failed())?;
            io::copy(&mut (&mut raw).take(DATA), &mut sparse).map_err(failed())?;
        }
        sparse.flush().and_then(|()| sparse.sync_all()).map_err(failed())
    }
}

fn compress(name: &'static str, command: &mut Command) -> Result<(), Error> {
    run(name, command).map(drop)
}
