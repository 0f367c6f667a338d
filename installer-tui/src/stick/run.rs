//! From a plan to a stick.

use std::time::Instant;

use aegis_hw::{
    tables::{self, Region},
    target::{self, Target},
    units::MIB,
};
use serde::Serialize;

use super::{
    plan::StickPlan,
    volume::{Extent, Volume},
};
use crate::{
    error::{DiskState, Error},
    flash::Failure,
    mounts,
    reports::{Observer, Reports},
};

static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// What a stick is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The file system is written.
    Write,
    /// It is read back.
    Verify,
}

/// A finished stick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Bytes that were written and read back.
    pub bytes: u64,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// Opens the device of the plan, proves that it is the chosen one, and makes the stick.
///
/// # Errors
/// With what is on the device then: it was not changed, or it is empty.
pub fn run<'a>(plan: &StickPlan, observer: &'a mut Observer<'a, Phase>) -> Result<Done, Error> {
    mounts::unmount(&plan.unmount)?;
    let target = target::open(&plan.target.path, &plan.target.identity)?;
    apply(plan, target.as_ref(), observer)
}

/// Makes a stick of an open device.
///
/// # Errors
/// As [`run`].
pub fn apply<'a>(
    plan: &StickPlan,
    target: &dyn Target,
    observer: &'a mut Observer<'a, Phase>,
) -> Result<Done, Error> {
    let started = Instant::now();
    let volume = plan.volume()?;
    let table = tables::encode(&plan.table, None)?;
    let bytes = volume.written();
    let sector = plan.table.disk.sector_size.length();
    let mut work =
        Work { target, start: plan.partition().0, reports: Reports::start(observer, Phase::Write, bytes) };
    let failed = |disk| {
        move |source| Error::Flash { device: plan.target.path.clone(), disk, source: Box::new(source) }
    };
    // A device that cannot be read is not touched.
    work.read(0, &mut vec![0; sector]).map_err(failed(DiskState::Untouched))?;
    work.clear(plan)
        .and_then(|()| work.write(&volume))
        .and_then(|()| work.verify(&volume, bytes))
        .and_then(|()| work.complete(&table.regions, sector))
        .map_err(failed(DiskState::NotInstalled))?;
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Done { bytes, ms })
}

struct Work<'t, 'a> {
    target: &'t dyn Target,
    /// First byte of the partition.
    start: u64,
    reports: Reports<'a, Phase>,
}

impl Work<'_, '_> {
    /// Removes tables and signatures: at both ends of the disk, and where the partition will begin.
    fn clear(&self, plan: &StickPlan) -> Result<(), Failure> {
        let size = plan.target.identity.size.0;
        let (start, length) = plan.partition();
        let ends =
            [(0, start), (size.saturating_sub(MIB).max(start), size), (start, start + length.min(MIB))];
        for (mut at, end) in ends {
            while at < end {
                let length = usize::try_from(end - at).unwrap_or(ZEROS.len()).min(ZEROS.len());
                self.put(at, &ZEROS[..length])?;
                at += length as u64;
            }
            self.sync()?;
        }
        Ok(())
    }

    fn write(&mut self, volume: &Volume) -> Result<(), Failure> {
        let mut written = 0;
        for extent in volume.extents() {
            let bytes = match extent {
                Extent::Bytes(_, bytes) => bytes,
                Extent::Zeros(_, length) => &ZEROS[..length],
            };
            self.put(self.start + extent.offset(), bytes)?;
            written += bytes.len() as u64;
            if !self.reports.tick(written) {
                return Err(Failure::Cancelled);
            }
        }
        self.sync()
    }

    fn verify(&mut self, volume: &Volume, total: u64) -> Result<(), Failure> {
        self.reports.enter(Phase::Verify, total);
        let forget = self.target.forget_cache();
        forget.map_err(|source| Failure::Device { operation: "read", offset: 0, source })?;
        let mut found = vec![0; ZEROS.len()];
        let mut read = 0;
        for extent in volume.extents() {
            let found = &mut found[..extent.length()];
            let offset = self.start + extent.offset();
            self.read(offset, found)?;
            let same = match extent {
                Extent::Bytes(_, bytes) => *found == *bytes,
                Extent::Zeros(_, length) => *found == ZEROS[..length],
            };
            if !same {
                return Err(Failure::ReadBack { offset });
            }
            read += extent.length() as u64;
            if !self.reports.tick(read) {
                return Err(Failure::Cancelled);
            }
        }
        Ok(())
    }

    /// Writes the table, its first sector last; without that the device is still an empty one.
    fn complete(&self, regions: &[Region], sector: usize) -> Result<(), Failure> {
        for region in regions {
            let Region { offset, .. } = region;
            let failed = |source| match source {
                aegis_hw::Error::ReadBack { .. } => Failure::ReadBack { offset: *offset },
                source => Failure::Device { operation: "write", offset: *offset, source },
            };
            if let Err(error) = region.write_to(self.target) {
                // As far as the device still takes it, it must not look complete.
                let _ = self.target.write_at(0, &ZEROS[..sector]);
                let _ = self.target.sync();
                return Err(failed(error));
            }
        }
        // A kernel that is busy with the disk reads the table later.
        let _ = self.target.reread_table();
        Ok(())
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Failure> {
        let read = self.target.read_at(offset, buffer);
        read.map_err(|source| Failure::Device { operation: "read", offset, source })
    }

    fn put(&self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.target.write_at(offset, bytes);
        written.map_err(|source| Failure::Device { operation: "write", offset, source })
    }

    fn sync(&self) -> Result<(), Failure> {
        self.target.sync().map_err(|source| Failure::Device { operation: "write", offset: 0, source })
    }
}
