//! Says whether an image is what it must be, and whether a device holds it. Nothing is written.

use std::ops::Range;

use aegis_core::crypto::Sha256;
use aegis_hw::Bytes;
use ring::digest;

use super::{
    buffer::{CHUNK, Pool},
    engine::{Image, Target},
    feed,
    image::ImageFile,
    map::Map,
    outcome::{Failure, Summary, Tally},
    readback::{self, Chunks},
};

/// Reads an image to its end. `done` is told how many decoded bytes were read, and stops the work by returning false.
///
/// # Errors
/// [`Failure::Image`] and [`Failure::Digest`].
pub fn image(image: &ImageFile, done: &mut dyn FnMut(u64) -> bool) -> Result<Summary, Failure> {
    let pool = Pool::new(1);
    let mut reader = image.open_all().map_err(|source| Failure::Image { offset: 0, source })?;
    let mut tally = Tally::new(true);
    loop {
        let offset = tally.length();
        let part = pool
            .part(offset, !image.needs(offset), |buffer| feed::fill(&mut reader, buffer))
            .map_err(|source| Failure::Image { offset, source })?;
        if part.length == 0 {
            break;
        }
        tally.add(&part);
        if !done(tally.length()) {
            return Err(Failure::Cancelled);
        }
    }
    let summary = tally.finish();
    let expected = image.content_digest();
    match expected.and_then(|(expected, by)| Some((expected, by, summary.other_than(&expected)?))) {
        Some((expected, by, found)) => Err(Failure::Digest { by, expected, found }),
        None => Ok(summary),
    }
}

/// Reads a device and compares it with an image.
///
/// # Errors
/// [`Failure::ReadBack`], [`Failure::TooLarge`] when the device is smaller than the image, and [`Failure::Device`].
pub fn device(target: &Target, summary: &Summary, mut done: impl FnMut(u64)) -> Result<(), Failure> {
    fits(target, summary.length)?;
    let mut read_so_far = 0;
    readback::compare(summary, (0, Sha256::new()), sector(target), reader(target), |bytes| {
        read_so_far += bytes as u64;
        done(read_so_far);
    })
}

/// Reads a device and compares it with a range manifest, without the image. Returns the ranges that differ, in bytes.
///
/// # Errors
/// As [`device`], but that differences are no failure.
pub fn ranges(target: &Target, map: &Map, mut done: impl FnMut(u64)) -> Result<Vec<Range<u64>>, Failure> {
    fits(target, map.length)?;
    let wanted = |offset| map.chunk(offset).is_some();
    let chunks = Chunks { from: 0, length: map.length, sector: sector(target), wanted };
    let mut differ: Vec<Range<u64>> = Vec::new();
    chunks.read(reader(target), |offset, bytes| {
        let end = offset + bytes.len() as u64;
        let sum = map.chunk(offset);
        if sum.is_none_or(|(algorithm, sum)| digest::digest(algorithm, bytes).as_ref() != sum) {
            match differ.last_mut().filter(|last| last.end == offset) {
                Some(last) => last.end = end,
                None => differ.push(offset..end),
            }
        }
        done(end);
    })?;
    Ok(differ)
}

fn fits(target: &Target, length: u64) -> Result<(), Failure> {
    if target.size().0 >= length {
        return Ok(());
    }
    Err(Failure::TooLarge { size: target.size(), needed: Bytes(length) })
}

fn reader(target: &Target) -> impl Fn(u64, &mut [u8]) -> Result<(), Failure> + Sync {
    move |offset, buffer: &mut [u8]| {
        target.read_at(offset, buffer).map_err(|source| Failure::Device { operation: "read", offset, source })
    }
}

fn sector(target: &Target) -> usize {
    usize::try_from(target.sector_size()).unwrap_or(CHUNK)
}
