//! Slot A: the image, and the trailer that makes it bootable.

use std::{fs::File, io::Read};

use aegis_core::{crypto::Sha256, hex::Digest, install::Role};
use aegis_hw::{tables::Region, target::Target};

use crate::{error::Error, plan::InstallPlan, progress::Meter, source::Source};

const CHUNK: usize = 1 << 20;

/// Copies the image and compares its digest with the manifest.
pub(super) fn write_image(
    plan: &InstallPlan,
    source: &Source,
    target: &dyn Target,
    meter: &mut Meter<'_>,
) -> Result<(), Error> {
    let path = source.paths.medium.join(plan.image.from);
    let mut file = File::open(&path).map_err(Error::io("open", &path))?;
    let (start, _) = plan.partitions.place(Role::RootA);
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut done = 0;
    while done < plan.image.size {
        let length = usize::try_from(plan.image.size - done).unwrap_or(CHUNK).min(CHUNK);
        let chunk = &mut buffer[..length];
        file.read_exact(chunk).map_err(Error::io("read", &path))?;
        hasher.update(chunk);
        target.write_at(start + done, chunk)?;
        done += length as u64;
        meter.add(length)?;
    }
    let (found, expected) = (hasher.finish(), plan.image.sha256);
    if found != expected {
        let path = plan.image.from.into();
        return Err(Error::Medium { path, expected: expected.to_string(), found: found.to_string() });
    }
    Ok(())
}

/// Reads the image back from the disk.
pub(super) fn verify_image(
    plan: &InstallPlan,
    target: &dyn Target,
    meter: &mut Meter<'_>,
) -> Result<(), Error> {
    let (start, _) = plan.partitions.place(Role::RootA);
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut done = 0;
    while done < plan.image.size {
        let length = usize::try_from(plan.image.size - done).unwrap_or(CHUNK).min(CHUNK);
        let chunk = &mut buffer[..length];
        target.read_at(start + done, chunk)?;
        hasher.update(chunk);
        done += length as u64;
        meter.add(length)?;
    }
    compare_digests("the system image", plan.image.sha256, hasher.finish())
}

/// Writes the trailer and reads it back.
pub(super) fn write_trailer(plan: &InstallPlan, target: &dyn Target) -> Result<(), Error> {
    let (start, size) = plan.partitions.place(Role::RootA);
    let offset = start + size.0 - plan.trailer.len() as u64;
    Ok(Region { name: "slot trailer", offset, bytes: plan.trailer.clone() }.write_to(target)?)
}

pub(super) fn compare_digests(what: &str, expected: Digest, found: Digest) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(Error::ReadBack { what: what.into(), expected: expected.to_string(), found: found.to_string() })
}
