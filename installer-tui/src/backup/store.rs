//! Image files on their way to the disk: raw with holes, or compressed.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
    thread,
};

use flate2::{Compression, write::GzEncoder};
use liblzma::{
    stream::{Check, MtStreamBuilder},
    write::XzEncoder,
};

use crate::flash::format::Format;

/// Zeros of this length, at multiples of it, become a hole: the block of most file systems.
const BLOCK: usize = 4096;
/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;
/// A preset whose blocks of 12 MiB are written, and later read, side by side.
const XZ_PRESET: u32 = 3;
/// Threads of a compressor; each takes memory.
const THREADS: usize = 8;

/// What takes the bytes of a device, in order.
pub(super) enum Store {
    Raw { file: File, length: u64 },
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
    Gzip(GzEncoder<BufWriter<File>>),
    Xz(XzEncoder<BufWriter<File>>),
}

impl Store {
    /// Begins a file of `size` decoded bytes.
    pub(super) fn new(format: Format, file: File, size: u64) -> io::Result<Self> {
        let threads = thread::available_parallelism().map_or(1, |n| n.get().min(THREADS));
        let threads = u32::try_from(threads).unwrap_or(1);
        let output = |file| BufWriter::with_capacity(1 << 20, file);
        Ok(match format {
            Format::Zstd => {
                let mut encoder = zstd::Encoder::new(output(file), ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                encoder.set_pledged_src_size(Some(size))?;
                encoder.multithread(threads)?;
                Self::Zstd(encoder)
            }
            Format::Gzip => Self::Gzip(GzEncoder::new(output(file), Compression::default())),
            Format::Xz => {
                let mut builder = MtStreamBuilder::new();
                builder.threads(threads).preset(XZ_PRESET).check(Check::Crc64);
                let stream = builder.encoder().map_err(io::Error::from)?;
                Self::Xz(XzEncoder::new_stream(output(file), stream))
            }
            Format::Raw | Format::Bzip2 | Format::Lz4 => Self::Raw { file, length: 0 },
        })
    }

    /// Takes the next bytes.
    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Raw { file, length } => {
                put_with_holes(file, *length, bytes)?;
                *length += bytes.len() as u64;
                Ok(())
            }
            Self::Zstd(encoder) => encoder.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Xz(encoder) => encoder.write_all(bytes),
        }
    }

    /// Completes the file, and returns when it is on the disk.
    pub(super) fn finish(self) -> io::Result<()> {
        let file = match self {
            Self::Raw { file, length } => {
                // The last bytes may be a hole.
                file.set_len(length)?;
                file
            }
            Self::Zstd(encoder) => encoder.finish()?.into_inner()?,
            Self::Gzip(encoder) => encoder.finish()?.into_inner()?,
            Self::Xz(encoder) => encoder.finish()?.into_inner()?,
        };
        file.sync_all()
    }
}

/// Writes everything but the blocks of zeros; the file is empty there.
fn put_with_holes(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    const ZEROS: [u8; BLOCK] = [0; BLOCK];
    let is_hole = |block: &&[u8]| **block == ZEROS[..block.len()];
    let mut at = 0;
    while at < bytes.len() {
        let zeros: usize = bytes[at..].chunks(BLOCK).take_while(is_hole).map(<[u8]>::len).sum();
        at += zeros;
        let data: usize =
            bytes[at..].chunks(BLOCK).take_while(|block| !is_hole(block)).map(<[u8]>::len).sum();
        file.write_all_at(&bytes[at..at + data], offset + at as u64)?;
        at += data;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt};

    use super::*;

    #[test]
    fn zeros_become_holes_and_nothing_else_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        let mut data = vec![0; 3 << 20];
        data[5000] = 1;
        data[1 << 20] = 2;
        let mut store = Store::new(Format::Raw, File::create(&path).unwrap(), data.len() as u64).unwrap();
        for part in data.chunks(1 << 20) {
            store.put(part).unwrap();
        }
        store.put(&[0; 700]).unwrap();
        store.finish().unwrap();
        data.resize(data.len() + 700, 0);
        assert!(fs::read(&path).unwrap() == data);
        assert!(path.metadata().unwrap().blocks() * 512 <= 64 << 10, "{}", path.metadata().unwrap().blocks());
    }
}
