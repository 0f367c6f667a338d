//! The formats of the root image over the server edition's content: size, time to make, time to read.

use std::{
    fs::{self, File},
    io::{BufWriter, Read, Write},
    path::Path,
    process::Command,
};

use aegis_boot::{image, overlay, rootfs};
use aegis_core::version::Version;

use super::{Bench, measure, report};
use crate::error::Error;

/// A build that takes less than this many seconds is made three times.
const SHORT: f64 = 30.0;
/// Readings of each image.
const READINGS: usize = 3;

struct Format {
    name: String,
    kind: &'static str,
    arguments: Vec<String>,
}

/// The table's rows, the format that the editions use among them.
fn formats() -> Vec<Format> {
    let format = |name: String, kind, arguments: &str| Format {
        name,
        kind,
        arguments: arguments.split(' ').map(str::to_owned).collect(),
    };
    let mut all = Vec::new();
    for (level, block) in [(3, "256K"), (15, "128K"), (15, "256K"), (15, "1M")] {
        let arguments = format!("-comp zstd -Xcompression-level {level} -b {block}");
        all.push(format(format!("SquashFS zstd {level}, {block}"), "squashfs", &arguments));
    }
    all.push(format("SquashFS xz, 256K".into(), "squashfs", "-comp xz -b 256K"));
    all.push(format("SquashFS lz4 hc, 256K".into(), "squashfs", "-comp lz4 -Xhc -b 256K"));
    for (name, compression) in [("zstd 3", "zstd,level=3"), ("zstd 15", "zstd,level=15"), ("lz4hc", "lz4hc")]
    {
        let arguments = format!("-z{compression} -C65536 -Eall-fragments");
        all.push(format(format!("EROFS {name}, 64K"), "erofs", &arguments));
    }
    all
}

/// Measures and reports.
pub fn measure(bench: &Bench) -> Result<String, Error> {
    let directory = bench.empty("image")?;
    let archive = directory.join("content.tar");
    write_archive(bench, &archive)?;
    let file = directory.join("image");
    let mount_point = directory.join("mounted");
    fs::create_dir(&mount_point).map_err(Error::io("create", &mount_point))?;
    let mut rows = Vec::new();
    for format in formats() {
        let build = measure::repeated(SHORT, || make(bench, &format, &archive, &file))?;
        let size = fs::metadata(&file).map_err(Error::io("read", &file))?.len();
        let read = read_time(format.kind, &file, &mount_point);
        eprintln!("{}: {}, {build:.1} s", format.name, report::megabytes(size));
        let read = read.unwrap_or_else(|reason| format!("not measured: {reason}"));
        rows.push(vec![format.name, report::megabytes(size), report::seconds(build), read]);
    }
    let content = fs::metadata(&archive).map_err(Error::io("read", &archive))?.len();
    fs::remove_dir_all(&directory).map_err(Error::io("remove", &directory))?;
    Ok(format!(
        "## Image\n\nThe server edition's content as an archive: {}. Built by the builder's tools of Debian {}; builds of less\n\
         than {SHORT} s are medians of 3. Read: mount by this machine's kernel, then every byte of every file by one thread,\n\
         the image itself in memory; median of {READINGS}.\n\n{}",
        report::megabytes(content),
        bench.lock.suite,
        report::table(&["format", "size", "build", "mount and read"], &rows),
    ))
}

/// The archive that the builder would feed to the image program.
fn write_archive(bench: &Bench, path: &Path) -> Result<(), Error> {
    let (base, _) = rootfs::make(&bench.cache, &bench.store, &bench.lock, &bench.packages)?;
    let layer =
        overlay::layer(&bench.spec, Version::CURRENT, &bench.workspace, &bench.binaries, &bench.kernel)?;
    let mut file = BufWriter::new(File::create(path).map_err(Error::io("create", path))?);
    image::archive(&base, &layer, bench.lock.epoch, &mut file, |_| ())?;
    file.flush().map_err(Error::io("write", path))
}

fn make(bench: &Bench, format: &Format, archive: &Path, image: &Path) -> Result<(), Error> {
    if image.exists() {
        fs::remove_file(image).map_err(Error::io("remove", image))?;
    }
    let mut shell = Command::new("sh");
    // sqfstar reads its standard input; mkfs.erofs seeks in the archive.
    let script = if format.kind == "squashfs" {
        "archive=$1; shift; exec \"$@\" <\"$archive\""
    } else {
        "shift; exec \"$@\""
    };
    shell.args(["-c", script, "sh"]).arg(archive);
    let mut tool = if format.kind == "squashfs" {
        let mut tool = bench.tools.command("usr/bin/sqfstar");
        tool.args(["-quiet", "-no-progress"]).args(&format.arguments).arg(image);
        tool
    } else {
        let mut tool = bench.tools.command("usr/bin/mkfs.erofs");
        tool.args(["--quiet", "--tar=f"]).args(&format.arguments).arg(image).arg(archive);
        tool
    };
    tool.env("SOURCE_DATE_EPOCH", bench.lock.epoch.to_string());
    shell.env("SOURCE_DATE_EPOCH", bench.lock.epoch.to_string());
    shell.arg(tool.get_program()).args(tool.get_args());
    measure::run("the image program", &mut shell).map(drop)
}

/// Median of mounting and reading everything, or why it could not be done.
fn read_time(kind: &str, image: &Path, mount_point: &Path) -> Result<String, String> {
    let mut times = Vec::new();
    for _ in 0..READINGS {
        let (outcome, time) = measure::timed(|| {
            let mut mount = Command::new("mount");
            mount.args(["-t", kind, "-o", "loop,ro"]).arg(image).arg(mount_point);
            measure::run("mount", &mut mount)?;
            Ok(read_all(mount_point))
        })
        .map_err(|error| error.to_string().replace('\n', " "))?;
        measure::run("umount", Command::new("umount").arg(mount_point)).map_err(|error| error.to_string())?;
        outcome.map_err(|error| error.to_string())?;
        times.push(time);
    }
    Ok(report::seconds(measure::median(&times)))
}

/// Reads every file and returns the number of bytes.
fn read_all(directory: &Path) -> Result<u64, Error> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory).map_err(Error::io("read", directory))? {
        let entry = entry.map_err(Error::io("read", directory))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(Error::io("read", &path))?;
        if kind.is_dir() {
            bytes += read_all(&path)?;
        } else if kind.is_file() {
            let mut file = File::open(&path).map_err(Error::io("open", &path))?;
            let mut buffer = vec![0; 1 << 20];
            loop {
                match file.read(&mut buffer).map_err(Error::io("read", &path))? {
                    0 => break,
                    length => bytes += length as u64,
                }
            }
        }
    }
    Ok(bytes)
}
