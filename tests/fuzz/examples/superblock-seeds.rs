//! Encodes images of devices as inputs of the fuzz target `superblocks`: what a probe reads of them, and is not zero.
//!
//!     cargo run --release --example superblock-seeds -- IMAGE...

use std::{
    collections::BTreeSet,
    env,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use aegis_core::probe::{Source, probe};
use aegis_fuzz::disk;

/// An image, and the sectors that were read.
struct Image {
    file: File,
    size: u64,
    read: BTreeSet<u64>,
}

impl Source for Image {
    type Error = io::Error;

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = offset + buffer.len() as u64;
        self.read.extend(offset / disk::SECTOR..end.div_ceil(disk::SECTOR));
        self.file.read_exact_at(buffer, offset)
    }
}

fn encode(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut image = Image { file, size, read: BTreeSet::new() };
    probe(&mut image).map_err(|error| error.source)?;
    let mut runs: Vec<(u64, Vec<u8>)> = Vec::new();
    for sector in image.read {
        let mut data = vec![0; disk::SECTOR as usize];
        let length = (size - sector * disk::SECTOR).min(disk::SECTOR);
        data.truncate(length as usize);
        image.file.read_exact_at(&mut data, sector * disk::SECTOR)?;
        if data.iter().all(|byte| *byte == 0) {
            continue;
        }
        match runs.last_mut() {
            Some((start, run))
                if *start * disk::SECTOR + run.len() as u64 == sector * disk::SECTOR
                    && run.len() < disk::RUN =>
            {
                run.extend(data);
            }
            _ => runs.push((sector, data)),
        }
    }
    for (_, run) in &mut runs {
        run.truncate(run.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    }
    Ok(disk::encode(size, &runs))
}

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/superblocks");
    fs::create_dir_all(&corpus)?;
    for path in env::args_os().skip(1).map(PathBuf::from) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        fs::write(corpus.join(format!("seed-{name}")), encode(&path)?)?;
    }
    Ok(())
}
