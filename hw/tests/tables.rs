//! Partition tables: what is planned is what is read, by this crate and by others; damage is found and repaired; and a
//! disk that loses its power while its table is changed has the old table or the new one.
//!
//! Needs sgdisk, sfdisk and parted.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "tables/cuts.rs"]
mod cuts;
#[path = "tables/damage.rs"]
mod damage;
#[path = "tables/disk.rs"]
mod disk;
#[path = "tables/layouts.rs"]
mod layouts;
#[path = "tables/linux.rs"]
mod linux;
#[path = "tables/programs.rs"]
mod programs;
#[path = "tables/random.rs"]
mod random;
#[path = "tables/repairs.rs"]
mod repairs;
#[path = "tables/undo.rs"]
mod undo;
