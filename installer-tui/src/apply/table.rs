//! The ends of the disk: the old tables go first, the new ones come last.

use aegis_core::{install::Role, manifest::path, slot::TRAILER_SIZE};
use aegis_hw::{
    tables::{self, Region, boot_code, patch_core},
    target::Target,
    undo::{Content, Written},
};

use crate::{error::Error, plan::InstallPlan, source::Source};

static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// The places where zeros remove both old partition tables and every signature at the start of a partition.
pub(super) fn wipes(plan: &InstallPlan, target: &dyn Target) -> Vec<Written> {
    let whole = ZEROS.len() as u64;
    let mut places = vec![(0, whole), (target.size().0 - whole, whole)];
    for role in Role::ALL {
        let (start, size) = plan.partitions.place(role);
        places.push((start, whole));
        if matches!(role, Role::RootA | Role::RootB) {
            // A trailer of a former installation would make the slot look complete.
            let length = TRAILER_SIZE as u64;
            places.push((start + size.0 - length, length));
        }
    }
    let zeros = |(offset, length)| Written { offset, content: Content::Zeros(length) };
    places.into_iter().map(zeros).collect()
}

/// Removes what [`wipes`] says.
pub(super) fn wipe(plan: &InstallPlan, target: &dyn Target) -> Result<(), Error> {
    for Written { offset, content } in wipes(plan, target) {
        let Content::Zeros(length) = content else { continue };
        let length = usize::try_from(length).unwrap_or(ZEROS.len()).min(ZEROS.len());
        target.write_at(offset, &ZEROS[..length])?;
    }
    Ok(target.sync()?)
}

/// Writes the loader for a BIOS, then the partition table, the boot sector last.
pub(super) fn write(plan: &InstallPlan, source: &Source, target: &dyn Target) -> Result<(), Error> {
    let code = if plan.bios_loader { Some(write_bios_loader(plan, source, target)?) } else { None };
    let table = tables::encode(&plan.partitions.table()?, code)?;
    let Some((boot_sector, tables)) = table.regions.split_last() else { return Ok(()) };
    // Each part is on the disk before the next one, so that a power cut leaves no boot sector without a table.
    tables.iter().try_for_each(|region| region.write_to(target))?;
    if let Err(error) = boot_sector.write_to(target) {
        // The first error is the one to tell; a disk that fails here can refuse this as well.
        let _ = target.write_at(boot_sector.offset, &ZEROS[..boot_sector.bytes.len()]);
        let _ = target.sync();
        return Err(error.into());
    }
    // Without it the kernel shows the old partitions until the restart that follows anyway.
    let _ = target.reread_table();
    Ok(())
}

fn write_bios_loader(plan: &InstallPlan, source: &Source, target: &dyn Target) -> Result<[u8; 440], Error> {
    let (start, _) = plan.partitions.place(Role::BiosBoot);
    let lba = start / u64::from(plan.partitions.sector_size);
    let core = patch_core(&source.read_verified(path::BIOS_CORE)?, lba)?;
    plan.partitions.check_fits(Role::BiosBoot, aegis_hw::Bytes(core.len() as u64))?;
    Region { name: "GRUB core image", offset: start, bytes: core }.write_to(target)?;
    Ok(boot_code(&source.read_verified(path::BIOS_BOOT_SECTOR)?, lba)?)
}
