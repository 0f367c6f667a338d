//! Says whether an image is what it must be, and whether a device holds it. Nothing is written.

use aegis_core::crypto::Sha256;
use aegis_hw::Bytes;

use super::{
    buffer::{CHUNK, Pool},
    engine::{Image, Target},
    feed,
    image::ImageFile,
    outcome::{Failure, Summary},
    readback,
};

/// Reads an image to its end. `done` is told how many decoded bytes were read, and stops the work by returning false.
///
/// # Errors
/// [`Failure::Image`] and [`Failure::Digest`].
pub fn image(image: &ImageFile, done: &mut dyn FnMut(u64) -> bool) -> Result<Summary, Failure> {
    let pool = Pool::new(1);
    let mut reader = image.open().map_err(|source| Failure::Image { offset: 0, source })?;
    let mut hasher = Sha256::new();
    let mut summary = Summary { length: 0, sha256: Sha256::of(b""), parts: Vec::new() };
    loop {
        let offset = summary.length;
        let part = pool
            .chunk(offset, |buffer| feed::fill(&mut reader, buffer))
            .map_err(|source| Failure::Image { offset, source })?;
        if part.length == 0 {
            break;
        }
        hasher.update(part.bytes());
        summary.parts.push(crc32fast::hash(part.bytes()));
        summary.length += part.length as u64;
        if !done(summary.length) {
            return Err(Failure::Cancelled);
        }
    }
    summary.sha256 = hasher.finish();
    match image.content_digest() {
        Some((expected, by)) if expected != summary.sha256 => {
            Err(Failure::Digest { by, expected, found: summary.sha256 })
        }
        _ => Ok(summary),
    }
}

/// Reads a device and compares it with an image.
///
/// # Errors
/// [`Failure::ReadBack`], [`Failure::TooLarge`] when the device is smaller than the image, and [`Failure::Device`].
pub fn device(target: &Target, summary: &Summary, mut done: impl FnMut(u64)) -> Result<(), Failure> {
    if target.size().0 < summary.length {
        return Err(Failure::TooLarge { size: target.size(), needed: Bytes(summary.length) });
    }
    let read = |offset, buffer: &mut [u8]| {
        target.read_at(offset, buffer).map_err(|source| Failure::Device { operation: "read", offset, source })
    };
    let sector = usize::try_from(target.sector_size()).unwrap_or(CHUNK);
    let mut read_so_far = 0;
    readback::compare(summary, (0, Sha256::new()), sector, read, |bytes| {
        read_so_far += bytes as u64;
        done(read_so_far);
    })
}
