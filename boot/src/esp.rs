//! FAT images for the EFI system partition of a medium.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
};

use crate::error::{Error, Result};

/// Makes a FAT image of `files` (path with `/`, content) at `out`; the same files give the same bytes.
pub fn make(files: &[(&str, &[u8])], volume_id: u32, out: &Path) -> Result<()> {
    let content: usize = files.iter().map(|(_, bytes)| bytes.len().next_multiple_of(4096)).sum();
    // FAT and directories of so few files need far less than a MiB.
    let size = (content as u64 + (1 << 20)).next_multiple_of(1 << 20);
    let failed = |source| Error::Io { doing: "making the EFI system partition", path: out.into(), source };
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create(true).truncate(true).open(out).map_err(failed)?;
    file.set_len(size).map_err(failed)?;
    let format = fatfs::FormatVolumeOptions::new().volume_id(volume_id).volume_label(*b"AEGIS EFI  ");
    fatfs::format_volume(&mut file, format).map_err(failed)?;
    let mount = fatfs::FsOptions::new().update_accessed_date(false);
    let volume = fatfs::FileSystem::new(file, mount).map_err(failed)?;
    for (path, bytes) in files {
        let mut directory = volume.root_dir();
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_some() {
                directory = directory.create_dir(part).map_err(failed)?;
            } else {
                let mut file = directory.create_file(part).map_err(failed)?;
                file.write_all(bytes).map_err(failed)?;
                file.flush().map_err(failed)?;
            }
        }
    }
    volume.unmount().map_err(failed)
}

/// Reads a file that enters the partition.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(Error::io("reading", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_files_same_bytes_and_they_can_be_read() {
        let directory = tempfile::tempdir().unwrap();
        let files: [(&str, &[u8]); 2] =
            [("EFI/BOOT/BOOTX64.EFI", b"shim"), ("boot/grub/grub.cfg", b"search")];
        let images = ["a", "b"].map(|name| {
            let path = directory.path().join(name);
            make(&files, 7, &path).unwrap();
            fs::read(path).unwrap()
        });
        assert_eq!(images[0], images[1]);
        let volume =
            fatfs::FileSystem::new(std::io::Cursor::new(images[0].clone()), fatfs::FsOptions::new()).unwrap();
        let mut text = String::new();
        let mut file = volume.root_dir().open_file("boot/grub/grub.cfg").unwrap();
        std::io::Read::read_to_string(&mut file, &mut text).unwrap();
        assert_eq!(text, "search");
    }
}
