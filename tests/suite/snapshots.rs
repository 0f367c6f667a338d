//! Pictures for the documentation, written only when `UPDATE_SNAPSHOTS=1`.

use std::{env, fs, path::PathBuf};

use aegis_tests::{Error, Failure, TestResult, screen::Picture};

/// A picture of a text screen or a plain desktop is far smaller; the repository keeps them all.
const LARGEST: u64 = 60 << 10;

/// Whether pictures are wanted.
pub(crate) fn wanted() -> bool {
    env::var_os("UPDATE_SNAPSHOTS").is_some_and(|value| value == "1")
}

/// Writes `tests/screens/NAME.png` if pictures are wanted.
pub(crate) fn keep(picture: &Picture, name: &str) -> TestResult {
    if !wanted() {
        return Ok(());
    }
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/screens"));
    fs::create_dir_all(&directory).map_err(Error::io("create", &directory))?;
    let file = directory.join(format!("{name}.png"));
    picture.save_png(&file)?;
    let size = fs::metadata(&file).map_err(Error::io("read", &file))?.len();
    println!("{}: {size} bytes", file.display());
    if size <= LARGEST { Ok(()) } else { Err(Failure::new(format!("{} is too large", file.display()))) }
}
