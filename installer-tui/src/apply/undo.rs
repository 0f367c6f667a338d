//! What the wipe is about to remove, in a file, for as long as it can be put back.

use std::{fs, io, path::Path};

use aegis_core::crypto::Ring;
use aegis_hw::{
    Error as DiskError, tables,
    target::Target,
    undo::{DiskMark, Undo},
    units::SectorSize,
};

use super::table;
use crate::{error::Error, plan::InstallPlan};

/// Writes the undo file; false where the disk cannot be read, which is a reason to install it anew and none against.
pub(super) fn keep(plan: &InstallPlan, target: &dyn Target, path: &Path) -> Result<bool, Error> {
    let disk = DiskMark {
        token: plan.target.token.clone(),
        description: plan.target.description.clone(),
        size: target.size(),
        sector_size: SectorSize::try_from(target.sector_size())?,
    };
    let written = table::wipes(plan, target);
    // After a wipe that was stopped, the file of that one holds what was there before both.
    if let Ok(former) = Undo::load::<Ring>(path)
        && former.is_for(&disk, &written)
        && former.restore(target).is_ok()
    {
        return Ok(true);
    }
    let undo = tables::read(target).and_then(|reading| Undo::collect(target, &reading, disk, written));
    match undo {
        Ok(undo) => undo.save::<Ring>(path, false)?,
        Err(DiskError::Io { operation: "read", .. }) => {
            forget(path)?;
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(true)
}

/// Removes the undo file: from now on it would restore a table whose partitions hold something else.
pub(super) fn forget(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}
