//! From a plan to an image file.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Instant,
};

use aegis_core::{crypto::Sha256, hex::Digest};
use aegis_hw::target::{self, Source};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use serde::Serialize;
use tempfile::NamedTempFile;

use super::{
    plan::BackupPlan,
    problem::FileProblem,
    read::{Bad, Reader},
    store::Store,
};
use crate::{
    error::Error,
    files::{self, directory_of},
    flash::{
        Failure,
        buffer::{CHUNK, Chunk, Pool},
        image::ImageFile,
        verify,
    },
    reports::{Observer, Reports},
};

/// Parts between the reader and those who hash and store; one more is being read, and one is with each of them.
const DEPTH: usize = 4;

/// What a copy is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The device is read, and the file written.
    Copy,
    /// The file is read back.
    Verify,
}

/// A finished copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Bytes of the device.
    pub bytes: u64,
    /// SHA-256 of what was read.
    pub sha256: Digest,
    /// Bytes that the file takes on its disk.
    pub stored: u64,
    /// What could not be read and is zero in the file.
    pub bad: Vec<Bad>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// Opens the device of the plan, proves that it is the chosen one, and copies it.
///
/// # Errors
/// When the device cannot be opened, is another one, or cannot be read, and when the file cannot be written or reads back
/// differently. No file of the wanted name was made then, and one that is to be replaced is unchanged.
pub fn run<'a>(plan: &BackupPlan, observer: &'a mut Observer<'a, Phase>) -> Result<Done, Error> {
    let source = target::open_source(&plan.device.path, &plan.device.identity, plan.device.alone)?;
    copy(plan, source.as_ref(), observer)
}

/// Copies an open device.
///
/// # Errors
/// As [`run`].
pub fn copy<'a>(
    plan: &BackupPlan,
    source: &(dyn Source + Send + Sync),
    observer: &'a mut Observer<'a, Phase>,
) -> Result<Done, Error> {
    let started = Instant::now();
    let directory = directory_of(&plan.file);
    let prefix = format!(".{}.", plan.name_of_content());
    let part = tempfile::Builder::new().prefix(&prefix).suffix(".partial").tempfile_in(directory);
    let part = part.map_err(Error::io("make a file in", directory))?;
    let mut report = Reports::start(observer, Phase::Copy, source.size().0);
    let (sha256, bad) = read_and_store(plan, source, part.as_file(), &mut report)?;
    read_back(plan, &part, sha256, &mut report)?;
    publish(plan, part, sha256)?;
    let stored = fs::metadata(&plan.file).map_err(Error::io("look at", &plan.file))?.blocks() * 512;
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Done { bytes: source.size().0, sha256, stored, bad, ms })
}

fn failed(plan: &BackupPlan) -> impl Fn(Failure) -> Error + use<'_> {
    |failure| Error::Backup { device: plan.device.path.clone(), source: Box::new(failure) }
}

/// Reads the device once; its parts are hashed and stored side by side.
fn read_and_store(
    plan: &BackupPlan,
    source: &(dyn Source + Send + Sync),
    file: &File,
    reports: &mut Reports<'_, Phase>,
) -> Result<(Digest, Vec<Bad>), Error> {
    let write = || Error::io("write", &plan.file);
    let file = file.try_clone().map_err(write())?;
    let mut store = Store::new(plan.format, file, source.size().0).map_err(write())?;
    let stop = AtomicBool::new(false);
    let (digest, bad) = thread::scope(|scope| {
        let (to_hash, hashing) = sync_channel(DEPTH);
        let (to_store, storing) = sync_channel(DEPTH);
        let mut reader = Reader { source, skip: plan.skip_errors, bad: Vec::new() };
        let stop = &stop;
        let reading = scope.spawn(move || read(&mut reader, &[to_hash, to_store], stop).map(|()| reader.bad));
        let hashing = scope.spawn(move || hash(&hashing));
        let stored = store_parts(&mut store, &storing, reports, plan);
        // What still comes wakes the reader, which then sees that nobody wants more.
        stop.store(stored.is_err(), Ordering::Relaxed);
        drop(storing);
        let gone = || failed(plan)(Failure::Cancelled);
        let bad = reading.join().map_err(|_panic| gone())?;
        let digest = hashing.join().map_err(|_panic| gone())?;
        stored?;
        bad.map(|bad| (digest, bad)).map_err(failed(plan))
    })?;
    store.finish().map_err(write())?;
    Ok((digest, bad))
}

fn read(reader: &mut Reader<'_>, to: &[SyncSender<Arc<Chunk>>; 2], stop: &AtomicBool) -> Result<(), Failure> {
    let pool = Pool::new(2 * DEPTH + 3);
    let size = reader.source.size().0;
    let mut offset = 0;
    while offset < size && !stop.load(Ordering::Relaxed) {
        let length = usize::try_from(size - offset).unwrap_or(CHUNK).min(CHUNK);
        let part =
            pool.chunk(offset, |buffer| reader.fill(offset, &mut buffer[..length]).map(|()| length))?;
        if to.iter().any(|one| one.send(part.clone()).is_err()) {
            break;
        }
        offset += length as u64;
    }
    Ok(())
}

fn hash(parts: &Receiver<Arc<Chunk>>) -> Digest {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part.bytes()));
    hasher.finish()
}

fn store_parts(
    store: &mut Store,
    parts: &Receiver<Arc<Chunk>>,
    reports: &mut Reports<'_, Phase>,
    plan: &BackupPlan,
) -> Result<(), Error> {
    for part in parts {
        store.put(part.bytes()).map_err(Error::io("write", &plan.file))?;
        if !reports.tick(part.offset + part.length as u64) {
            return Err(failed(plan)(Failure::Cancelled));
        }
    }
    Ok(())
}

/// Reads the file from its disk and compares what it holds with what was read from the device.
fn read_back(
    plan: &BackupPlan,
    part: &NamedTempFile,
    sha256: Digest,
    reports: &mut Reports<'_, Phase>,
) -> Result<(), Error> {
    let look = || Error::io("read back", &plan.file);
    let forget = PosixFadviseAdvice::POSIX_FADV_DONTNEED;
    posix_fadvise(part.as_file().as_fd(), 0, 0, forget).map_err(|code| look()(code.into()))?;
    let total = plan.device.identity.size.0;
    let size = part.as_file().metadata().map_err(look())?.len();
    let image = ImageFile {
        path: part.path().into(),
        format: plan.format,
        size,
        expected: None,
        map: None,
        head: Vec::new(),
        stream: None,
    };
    reports.enter(Phase::Verify, total);
    let summary =
        verify::image(&image, &mut |bytes| reports.tick(bytes)).map_err(|failure| match failure {
            Failure::Image { source, .. } => look()(source),
            other => failed(plan)(other),
        })?;
    if (summary.sha256, summary.length) == (sha256, total) {
        return Ok(());
    }
    let what = plan.file.display().to_string();
    Err(Error::ReadBack { what, expected: sha256.to_string(), found: summary.sha256.to_string() })
}

/// Gives the file its name, and puts the digest beside it.
fn publish(plan: &BackupPlan, part: NamedTempFile, sha256: Digest) -> Result<(), Error> {
    let sums = plan.sums();
    if plan.overwrite {
        // A digest of the former file would speak against the new one.
        match fs::remove_file(&sums) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &sums)(error));
            }
            _ => {}
        }
    }
    name(part, &plan.file, plan.overwrite)?;
    let directory = directory_of(&plan.file);
    let mut text = NamedTempFile::new_in(directory).map_err(Error::io("make a file in", directory))?;
    let line = format!("{sha256}  {}\n", plan.name_of_content());
    text.write_all(line.as_bytes()).map_err(Error::io("write", &sums))?;
    text.as_file().sync_all().map_err(Error::io("write", &sums))?;
    name(text, &sums, plan.overwrite)?;
    files::sync_directory(directory).map_err(Error::io("write", directory))
}

fn name(file: NamedTempFile, path: &Path, overwrite: bool) -> Result<(), Error> {
    let named = if overwrite { file.persist(path) } else { file.persist_noclobber(path) };
    match named {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Error::Output { path: path.into(), problem: FileProblem::Exists })
        }
        Err(error) => Err(Error::io("rename a file to", path)(error.error)),
    }
}
