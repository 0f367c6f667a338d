//! Writing images: against dd, bmaptool and caligula, in turns on the same targets; archives; holes; four slow devices at
//! once; memory; SHA-256 against OpenSSL.

mod digest;
mod images;
mod places;
mod programs;

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Bench, hardware, measure::median, report};
use crate::error::Error;
use images::{Images, SIZE, SPARSE};
use places::Place;
use programs::Flashed;

/// Rounds on devices of full speed, in turns.
const ROUNDS: usize = 7;
/// Rounds on limited devices, whose times hardly differ.
const SLOW_ROUNDS: usize = 3;
/// Bytes a second of a limited device: a good stick.
const STICK: u64 = 64 << 20;
const MIB: f64 = 1_048_576.0;

/// The section of the report.
pub fn measure(bench: &Bench) -> Result<String, Error> {
    let what = Workplace {
        installer: hardware::installer(bench)?,
        caligula: programs::caligula(&bench.work)?,
        images: Images::make(bench)?,
        directory: bench.empty("flash-targets")?,
    };
    let mut text = String::from("## Flash\n\n");
    text.push_str(&format!(
        "The first {} of the server edition's content, {SIZE} bytes, from the page cache. Everything is written past the\n\
         cache and flushed; the targets' files have all their blocks before. Medians, in turns.\n\n",
        report::megabytes(SIZE)
    ));
    text.push_str(&what.raw("file", &what.file()?)?);
    text.push_str(&what.raw("loop device", &what.device("loop", SIZE * 2)?)?);
    text.push_str(&what.archives()?);
    text.push_str(&what.slow()?);
    text.push_str(&what.holes()?);
    text.push_str(&what.four()?);
    text.push_str(&what.memory()?);
    text.push_str(&digest::measure()?);
    fs::remove_dir_all(&what.directory).map_err(Error::io("remove", &what.directory))?;
    Ok(text)
}

struct Workplace {
    installer: PathBuf,
    caligula: PathBuf,
    images: Images,
    directory: PathBuf,
}

/// A row of a table: name, seconds until everything was written, seconds until it was read back too, in each round.
struct Row {
    name: &'static str,
    written: Vec<f64>,
    whole: Vec<f64>,
}

impl Row {
    const fn new(name: &'static str) -> Self {
        Self { name, written: Vec::new(), whole: Vec::new() }
    }

    fn cells(&self) -> Vec<String> {
        let cell = |times: &[f64]| match times {
            [] => "-".to_owned(),
            times => report::seconds(median(times)),
        };
        vec![self.name.to_owned(), cell(&self.written), cell(&self.whole)]
    }
}

/// The median of what the quotients of the rounds are; rounds are compared, because a machine's speed changes with time.
fn ratio(above: &[f64], below: &[f64]) -> f64 {
    median(&above.iter().zip(below).map(|(a, b)| a / b).collect::<Vec<_>>())
}

fn rows(rows: &[&Row]) -> String {
    let cells: Vec<_> = rows.iter().map(|row| row.cells()).collect();
    report::table(&["program", "written", "and read back"], &cells)
}

impl Workplace {
    fn file(&self) -> Result<Place, Error> {
        Place::file(self.directory.join("file.img"), SIZE * 2)
    }

    fn device(&self, name: &str, size: u64) -> Result<Place, Error> {
        Place::device(&self.directory.join(format!("{name}.img")), size)
    }

    fn ours(&self, image: &Path, to: &Place, options: &[&str]) -> Result<(f64, f64), Error> {
        let Flashed { devices, .. } = programs::ours(&self.installer, image, &[to], options)?;
        Ok(devices.first().copied().unwrap_or((f64::NAN, f64::NAN)))
    }

    /// A raw image, by everyone.
    fn raw(&self, name: &str, to: &Place) -> Result<String, Error> {
        let image = &self.images.raw;
        let (mut ours, mut dd) = (Row::new("aegis-installer flash"), Row::new("dd bs=4M, direct; then read"));
        let (mut bmaptool, mut caligula) = (Row::new("bmaptool"), Row::new("caligula"));
        for _ in 0..ROUNDS {
            dd.written.push(programs::dd_write(image, to)?);
            dd.whole.push(dd.written.last().unwrap_or(&0.0) + programs::dd_read(to, SIZE)?);
            let (written, whole) = self.ours(image, to, &[])?;
            ours.written.push(written);
            ours.whole.push(whole);
            programs::compare(image, to)?;
            bmaptool.written.push(programs::bmaptool(image, None, to)?);
            caligula.whole.push(programs::caligula_burn(&self.caligula, image, to)?);
            programs::compare(image, to)?;
        }
        let mut text =
            format!("On a {name}, {ROUNDS} rounds:\n\n{}\n", rows(&[&ours, &dd, &bmaptool, &caligula]));
        text.push_str(&report::at_least("speed of dd", ratio(&dd.written, &ours.written), 0.98));
        text.push_str(&report::at_most("time of dd, write and read", ratio(&ours.whole, &dd.whole), 1.05));
        text.push('\n');
        Ok(text)
    }

    /// Archives on a device that is faster than most decoders.
    fn archives(&self) -> Result<String, Error> {
        let to = self.device("archives", SIZE * 2)?;
        let mut cells = Vec::new();
        let mut verdict = String::new();
        for (name, image) in [
            ("zstd -3", &self.images.zstd),
            ("xz -6, blocks of 16 MiB", &self.images.xz),
            ("gzip -6", &self.images.gzip),
        ] {
            let (mut ours, mut theirs) = (Row::new("ours"), Vec::new());
            for _ in 0..SLOW_ROUNDS {
                let (written, whole) = self.ours(image, &to, &[])?;
                ours.written.push(written);
                ours.whole.push(whole);
                programs::compare(&self.images.raw, &to)?;
                theirs.push(programs::caligula_burn(&self.caligula, image, &to)?);
                programs::compare(&self.images.raw, &to)?;
            }
            cells.push(vec![
                name.to_owned(),
                report::seconds(median(&ours.written)),
                report::seconds(median(&ours.whole)),
                report::seconds(median(&theirs)),
            ]);
            if name.starts_with("xz") {
                let ratio = ratio(&theirs, &ours.whole);
                verdict.push_str(&report::at_least(
                    "xz of several blocks, times as fast as caligula",
                    ratio,
                    1.8,
                ));
            }
        }
        let table =
            report::table(&["archive", "written", "and read back", "caligula, read back too"], &cells);
        Ok(format!(
            "Archives of the same content on a loop device, {SLOW_ROUNDS} rounds:\n\n{table}\n{verdict}\n"
        ))
    }

    /// A device as slow as a stick.
    fn slow(&self) -> Result<String, Error> {
        let to = self.device("slow", SIZE * 2)?.limited(STICK)?;
        let (mut dd, mut raw) =
            (Row::new("dd bs=4M, direct; then read"), Row::new("aegis-installer flash, raw"));
        let mut zstd = Row::new("aegis-installer flash, zstd");
        for _ in 0..SLOW_ROUNDS {
            dd.written.push(programs::dd_write(&self.images.raw, &to)?);
            dd.whole.push(dd.written.last().unwrap_or(&0.0) + programs::dd_read(&to, SIZE)?);
            for (row, image) in [(&mut raw, &self.images.raw), (&mut zstd, &self.images.zstd)] {
                let (written, whole) = self.ours(image, &to, &[])?;
                row.written.push(written);
                row.whole.push(whole);
            }
        }
        let mut text = format!(
            "On a loop device with {} MiB/s, {SLOW_ROUNDS} rounds:\n\n{}\n",
            STICK >> 20,
            rows(&[&dd, &raw, &zstd])
        );
        text.push_str(&report::at_least("raw, speed of dd", ratio(&dd.written, &raw.written), 0.98));
        text.push_str(&report::at_least(
            "zstd, speed of the device",
            ratio(&dd.written, &zstd.written),
            0.98,
        ));
        text.push_str(&report::at_most(
            "raw, time of dd, write and read",
            ratio(&raw.whole, &dd.whole),
            1.05,
        ));
        text.push('\n');
        Ok(text)
    }

    /// An image with holes.
    fn holes(&self) -> Result<String, Error> {
        let Images { sparse, bmap, .. } = &self.images;
        let to = self.device("holes", SPARSE)?;
        let (mut ours, mut theirs) = (Row::new("aegis-installer flash"), Row::new("bmaptool"));
        for _ in 0..SLOW_ROUNDS {
            let (written, whole) = self.ours(sparse, &to, &["--bmap", &bmap.display().to_string()])?;
            ours.written.push(written);
            ours.whole.push(whole);
            theirs.written.push(programs::bmaptool(sparse, Some(bmap), &to)?);
        }
        let mut text = format!(
            "An image of {} of which a quarter is data, on a loop device, {SLOW_ROUNDS} rounds:\n\n{}\n",
            report::megabytes(SPARSE),
            rows(&[&ours, &theirs])
        );
        text.push_str(&report::at_most(
            "time of bmaptool, read back too",
            ratio(&ours.whole, &theirs.written),
            1.0,
        ));
        text.push('\n');
        Ok(text)
    }

    /// Four limited devices at once, one of them at half the speed.
    fn four(&self) -> Result<String, Error> {
        let image = &self.images.zstd;
        let slowest = self.device("four-0", SIZE * 2)?.limited(STICK / 2)?;
        let mut places = vec![slowest];
        for number in 1..4 {
            places.push(self.device(&format!("four-{number}"), SIZE * 2)?.limited(STICK)?);
        }
        let all: Vec<&Place> = places.iter().collect();
        let (mut alone, mut together, mut fast) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..SLOW_ROUNDS {
            alone.push(self.ours(image, all[0], &[])?.1);
            let flashed = programs::ours(&self.installer, image, &all, &[])?;
            let ends: Vec<f64> = flashed.devices.iter().map(|(_, whole)| *whole).collect();
            together.push(ends.iter().copied().fold(0.0, f64::max));
            fast.push(ends[1..].iter().copied().fold(0.0, f64::max));
        }
        let mut text = format!(
            "Four devices at once, three with {} MiB/s and one with half of it: all complete after {}, the fast ones after {}; the\n\
             slow one alone takes {}.\n",
            STICK >> 20,
            report::seconds(median(&together)),
            report::seconds(median(&fast)),
            report::seconds(median(&alone))
        );
        text.push_str(&report::at_most("time of the slowest alone", ratio(&together, &alone), 1.1));
        text.push('\n');
        Ok(text)
    }

    /// Peaks of memory.
    fn memory(&self) -> Result<String, Error> {
        let mut places = Vec::new();
        for number in 0..4 {
            let place = self.device(&format!("memory-{number}"), SIZE * 2)?;
            // Devices of different speed fall behind each other, which takes the most.
            places.push(if number == 0 { place } else { place.limited(STICK << number)? });
        }
        let all: Vec<&Place> = places.iter().collect();
        let peak = |image: &Path, count: usize| {
            Ok::<_, Error>(programs::ours(&self.installer, image, &all[..count], &[])?.memory as f64 / MIB)
        };
        let (one, four) = (peak(&self.images.raw, 1)?, peak(&self.images.zstd, 4)?);
        let (zstd, xz) = (peak(&self.images.zstd, 1)?, peak(&self.images.xz, 1)?);
        let further = (four - zstd) / 3.0;
        let mut text = format!(
            "Peak of memory: raw {one:.1} MiB, zstd {zstd:.1} MiB, xz of several blocks {xz:.1} MiB; zstd on four devices of different\n\
             speed {four:.1} MiB, which is {further:.1} MiB for each further one.\n"
        );
        text.push_str(&report::at_most("MiB for one device, raw", one, 64.0));
        text.push_str(&report::at_most("MiB for one device, zstd", zstd, 64.0));
        text.push_str(&report::at_most("MiB for one device, xz of several blocks", xz, 64.0));
        text.push_str(&report::at_most("MiB for each further device", further, 16.0));
        text.push('\n');
        Ok(text)
    }
}
