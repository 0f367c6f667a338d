//! The ends of the disk: the old tables go first, the new ones come last.

use aegis_core::{install::Role, manifest::path, slot::TRAILER_SIZE};
use aegis_hw::{
    tables::{self, boot_code, patch_core},
    target::Target,
};

use crate::{error::Error, plan::InstallPlan, source::Source};

static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// Removes both old partition tables and every signature at the start of a partition.
pub(super) fn wipe(plan: &InstallPlan, target: &dyn Target) -> Result<(), Error> {
    target.write_at(0, &ZEROS)?;
    target.write_at(target.size().0 - ZEROS.len() as u64, &ZEROS)?;
    for role in Role::ALL {
        let (start, size) = plan.partitions.place(role);
        target.write_at(start, &ZEROS)?;
        if matches!(role, Role::RootA | Role::RootB) {
            // A trailer of a former installation would make the slot look complete.
            target.write_at(start + size.0 - TRAILER_SIZE as u64, &ZEROS[..TRAILER_SIZE])?;
        }
    }
    Ok(target.sync()?)
}

/// Writes the loader for a BIOS, then the partition table, the boot sector last.
pub(super) fn write(plan: &InstallPlan, source: &Source, target: &dyn Target) -> Result<(), Error> {
    let code = if plan.bios_loader { Some(write_bios_loader(plan, source, target)?) } else { None };
    let table = tables::encode(&plan.partitions, code)?;
    for region in &table.regions {
        target.write_at(region.offset, &region.bytes)?;
        // Each part is on the disk before the next one, so that a power cut leaves no boot sector without a table.
        target.sync()?;
    }
    target.forget_cache()?;
    for region in &table.regions {
        let mut found = vec![0; region.bytes.len()];
        target.read_at(region.offset, &mut found)?;
        super::slot::compare(region.name, &region.bytes, &found)?;
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
    target.write_at(start, &core)?;
    target.sync()?;
    target.forget_cache()?;
    let mut found = vec![0; core.len()];
    target.read_at(start, &mut found)?;
    super::slot::compare("GRUB's core image", &core, &found)?;
    Ok(boot_code(&source.read_verified(path::BIOS_BOOT_SECTOR)?, lba)?)
}
