//! ISO media as files: made from a directory, and the place of a file inside one.

use std::{ffi::OsString, fs::File, io, os::unix::fs::FileExt, path::Path};

use crate::{error::Error, host};

/// Bytes of a block of ISO 9660.
const BLOCK: u64 = 2048;

/// Where the content of a file lies in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Offset of the first byte in the image.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
}

/// Finds a file, named by its path from the root of the medium, in an ISO 9660 image.
pub fn extent(iso: &Path, file: &str) -> Result<Extent, Error> {
    let path = format!("/{}", file.trim_start_matches('/'));
    let arguments = ["-indev".into(), iso.as_os_str().to_owned()]
        .into_iter()
        .chain(["-find", path.as_str(), "-exec", "report_lba", "--"].into_iter().map(OsString::from));
    let report = host::output_of("xorriso", arguments)?;
    parse_report(&report).ok_or_else(|| Error::Format {
        what: iso.display().to_string(),
        problem: format!("no file {path} in it"),
    })
}

/// The content of a file in an image.
pub fn read(iso: &Path, file: &str) -> Result<Vec<u8>, Error> {
    let Extent { offset, size } = extent(iso, file)?;
    let too_large = || Error::io("read", iso)(io::Error::from(io::ErrorKind::FileTooLarge));
    let mut bytes = vec![0; usize::try_from(size).map_err(|_too_large| too_large())?];
    let image = File::open(iso).map_err(Error::io("open", iso))?;
    image.read_exact_at(&mut bytes, offset).map_err(Error::io("read", iso))?;
    Ok(bytes)
}

/// Reads `File data lba:  0 , 1234 , 56 , 112233 , '/path'`.
fn parse_report(report: &str) -> Option<Extent> {
    let line = report.lines().find_map(|line| line.strip_prefix("File data lba:"))?;
    let mut fields = line.split(',').map(str::trim);
    let (start, size) = (fields.nth(1)?.parse::<u64>().ok()?, fields.nth(1)?.parse().ok()?);
    Some(Extent { offset: start * BLOCK, size })
}

/// Makes an ISO image with Rock Ridge names from a directory; the volume is called `label`.
pub fn make(directory: &Path, label: &str, iso: &Path, extra: &[&str]) -> Result<(), Error> {
    let mut arguments: Vec<OsString> =
        ["-as", "mkisofs", "-quiet", "-R", "-V", label].into_iter().map(OsString::from).collect();
    arguments.extend(extra.iter().map(OsString::from));
    arguments.extend(["-o".into(), iso.as_os_str().to_owned(), directory.as_os_str().to_owned()]);
    host::output_of("xorriso", arguments).map(|_nothing| ())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_extent_of_a_file_holds_its_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let (tree, iso) = (directory.path().join("tree"), directory.path().join("a.iso"));
        fs::create_dir_all(tree.join("aegis")).unwrap();
        fs::write(tree.join("aegis/a-long-name.json.sig"), "content").unwrap();
        make(&tree, "TEST", &iso, &[]).unwrap();
        let found = extent(&iso, "aegis/a-long-name.json.sig").unwrap();
        assert_eq!(found.size, 7);
        assert_eq!(read(&iso, "/aegis/a-long-name.json.sig").unwrap(), b"content");
        assert!(extent(&iso, "aegis/absent").is_err());
    }
}
