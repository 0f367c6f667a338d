//! Makes an ordinary stick again: one partition with an empty FAT32 or exFAT file system.
//!
//! Invariant: what makes a device look like something goes first and its new table comes last, when everything else was read
//! back; a stick that was not completed is an empty one. The file system is made in memory, so that what cannot be made is
//! known before the device is touched.

mod exfat;
mod fat;
mod plan;
mod run;
mod upcase;
mod volume;

pub use plan::{FileSystem, LabelProblem, StickPlan, Wishes};
pub use run::{Done, Phase, apply, run};

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{fs::File, os::unix::fs::FileExt, process::Command};

    use super::{
        exfat::{self, Wanted},
        fat,
        volume::Extent,
    };

    /// Needs fsck.fat (dosfstools) and fsck.exfat (exfatprogs). Holes of the file stand for the zeros.
    #[test]
    fn volumes_of_every_size_are_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let gib = |gib: u64| gib << 30;
        let fat_sizes = [fat::least(512), 260 << 20, 261 << 20, gib(8), gib(16), gib(40)];
        let fat = |sector, size| (sector, size, "fsck.fat");
        let exfat = |sector, size| (sector, size, "fsck.exfat");
        let exfat_sizes = [exfat::LEAST, 63 << 20, 64 << 20, (257 << 20) - 512, gib(32), gib(200)];
        let large = [
            fat(4096, fat::least(4096)),
            fat(4096, gib(20)),
            exfat(4096, exfat::LEAST),
            exfat(4096, gib(40)),
        ];
        let all =
            fat_sizes.map(|size| fat(512, size)).into_iter().chain(exfat_sizes.map(|size| exfat(512, size)));
        for (sector, size, checker) in all.chain(large) {
            let wanted = Wanted { size, partition: 1 << 20, sector, serial: 0x1234_5678, label: "LABEL" };
            let volume =
                if checker == "fsck.fat" { fat::format(&wanted) } else { exfat::format(&wanted) }.unwrap();
            let path = dir.path().join("volume");
            let file = File::create(&path).unwrap();
            file.set_len(size).unwrap();
            for extent in volume.extents() {
                if let Extent::Bytes(offset, bytes) = extent {
                    file.write_all_at(bytes, offset).unwrap();
                }
            }
            let output =
                Command::new(format!("/usr/sbin/{checker}")).args(["-n", "-v"]).arg(&path).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{checker} {sector} {size}: {text}");
        }
    }
}
