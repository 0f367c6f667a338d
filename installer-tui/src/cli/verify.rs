//! `aegis-installer verify`: an image, and a device that should hold it.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use aegis_core::hex::Digest;
use aegis_hw::{Bytes, target, text::Shown};
use serde_json::json;

use super::{PathArgs, flash::authority, lines, map::MapArgs};
use crate::{
    error::Error,
    flash::{
        Failure,
        image::ImageFile,
        map::Map,
        ranges::{self, KeyFile, Wanted},
        receipt, verify,
    },
};

#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// The image: raw, or as .gz, .xz, .bz2, .zst or .lz4.
    #[arg(required_unless_present_any = ["ranges", "receipt"])]
    image: Option<PathBuf>,

    /// Receipt of a written stick, signed by one of --keys; nothing else is
    /// looked at.
    #[arg(
        long,
        value_name = "FILE",
        requires = "keys",
        conflicts_with_all = ["image", "device", "ranges", "sha256", "sums", "bmap"]
    )]
    receipt: Option<PathBuf>,

    /// Device that should hold the image; it is only read.
    #[arg(long, value_name = "DEVICE")]
    device: Option<PathBuf>,

    /// Range manifest to compare the device with, in place of the image.
    #[arg(long, value_name = "FILE", requires = "device", conflicts_with_all = ["image", "sha256", "sums", "bmap"])]
    ranges: Option<PathBuf>,

    #[command(flatten)]
    map: MapArgs,

    /// SHA-256 that the image file must have.
    ///
    /// Without it, files such as SHA256SUMS beside the image are used.
    #[arg(long, value_name = "HEX", conflicts_with = "sums", value_parser = super::flash::parse_digest)]
    sha256: Option<Digest>,

    /// File of digests that must name the image.
    #[arg(long, value_name = "FILE")]
    sums: Option<PathBuf>,

    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(paths: &PathArgs, args: &VerifyArgs) -> Result<(), Error> {
    let wanted = args.map.wanted(&paths.state);
    if let Some(file) = &args.receipt {
        return of_receipt(file, &wanted.keys, args.json);
    }
    match (&args.ranges, &args.device, &args.image) {
        (Some(file), Some(device), _) => without_image(file, device, &wanted, args.json),
        (_, _, Some(image)) => with_image(image, args, &wanted),
        // The command line does not allow it.
        _ => Ok(()),
    }
}

fn of_receipt(file: &Path, keys: &KeyFile, json: bool) -> Result<(), Error> {
    let receipt = receipt::verify(file, &keys.read()?.unwrap_or_default())?;
    if json {
        lines::out(&format!("{}\n", json!({ "receipt": receipt, "signed": true })));
        return Ok(());
    }
    lines::out(&format!("{}: the signature is right\n", file.display()));
    lines::out(&format!("  {}\n", receipt.label));
    let length = receipt.verified.map(|length| format!(", {} read back", Bytes(length))).unwrap_or_default();
    let checked = receipt.image.checked_against.map(|checked| format!(", checked against {}", checked.by));
    lines::out(&format!("  {}{length}{}\n", receipt.date, Shown(&checked.unwrap_or_default())));
    let error = receipt.error.unwrap_or_default();
    error.lines().for_each(|line| lines::out(&format!("  {}\n", Shown(line))));
    Ok(())
}

fn failed(path: &Path) -> impl FnOnce(Failure) -> Error {
    let path = path.to_owned();
    move |failure| Error::Check { path, source: Box::new(failure) }
}

/// A device by a range manifest.
fn without_image(file: &Path, device: &Path, wanted: &Wanted, json: bool) -> Result<(), Error> {
    let map = ranges::of_device(file, wanted)?;
    let target = target::open_read(device, 512)?;
    let mut meter = Meter::new(json);
    let differ = verify::ranges(target.as_ref(), &map, |bytes| {
        meter.tick("reading the device", bytes, Some(map.length));
    })
    .map_err(failed(device))?;
    let bytes: u64 = differ.iter().map(|range| range.end - range.start).sum();
    if json {
        let same = differ.is_empty();
        let value = json!({ "map": map, "device": device, "same": same, "bytes": bytes, "differ": differ });
        lines::out(&format!("{value}\n"));
    } else {
        lines::out(&format!("{}: {} of it\n", device.display(), Bytes(map.length)));
        told(&map);
        for range in differ.iter().take(LISTED) {
            lines::out(&format!("  bytes {} to {} differ\n", range.start, range.end - 1));
        }
        if differ.len() > LISTED {
            lines::out(&format!("  and {} more ranges\n", differ.len() - LISTED));
        }
    }
    match differ.first() {
        Some(first) => Err(failed(device)(Failure::Ranges { bytes: Bytes(bytes), offset: first.start })),
        None if json => Ok(()),
        None => {
            lines::out("  every chunk that is needed is right\n");
            Ok(())
        }
    }
}

fn told(map: &Map) {
    for line in map.to_string().lines() {
        lines::out(&format!("  {line}\n"));
    }
}

fn with_image(path: &Path, args: &VerifyArgs, wanted: &Wanted) -> Result<(), Error> {
    let image = ImageFile::look(path, &authority(args.sha256, args.sums.as_ref()))?;
    let image = ranges::find(image, wanted)?;
    let mut meter = Meter::new(args.json);
    let known = crate::flash::Image::length(&image);
    let summary = verify::image(&image, &mut |bytes| meter.tick("reading the image", bytes, known))
        .map_err(failed(path))?;
    if let Some(device) = &args.device {
        let target = target::open_read(device, 512)?;
        let mut meter = Meter::new(args.json);
        verify::device(target.as_ref(), &summary, |bytes| {
            meter.tick("reading the device", bytes, Some(summary.length));
        })
        .map_err(failed(device))?;
    }
    let by = image.expected.as_ref().map(|expected| &expected.by);
    if args.json {
        let value = json!({ "image": image, "content": summary, "device": args.device, "same": true });
        lines::out(&format!("{value}\n"));
        return Ok(());
    }
    let (length, sha256) = (Bytes(summary.length), summary.sha256);
    lines::out(&format!("{}: {length}, SHA-256 of the content {sha256}\n", path.display()));
    match (by, &image.map) {
        (Some(by), _) => lines::out(&format!("  it is the image that {by} names\n")),
        (None, Some(_)) => {}
        (None, None) => {
            lines::out("  nothing beside it says what it must be; it was read to its end without an error\n");
        }
    }
    if let Some(map) = &image.map {
        told(map);
    }
    if let Some(device) = &args.device {
        lines::out(&format!("{}: holds this image\n", device.display()));
    }
    Ok(())
}

/// Ranges that are listed for people.
const LISTED: usize = 20;

/// A line for each tenth, once it takes longer than two seconds.
struct Meter {
    begun: Instant,
    told: u64,
    silent: bool,
}

impl Meter {
    fn new(silent: bool) -> Self {
        Self { begun: Instant::now(), told: 0, silent }
    }

    fn tick(&mut self, what: &str, bytes: u64, total: Option<u64>) -> bool {
        let step = total.map_or(bytes >> 30, |total| bytes.saturating_mul(10) / total.max(1));
        let ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        if step > self.told && ms > 2000 && !self.silent {
            self.told = step;
            let rate = bytes.saturating_mul(1000) / ms;
            let done = total.map_or_else(|| Bytes(bytes).to_string(), |_total| format!("{step}0 %"));
            let left = total.map(|total| total.saturating_sub(bytes).div_ceil(rate.max(1)));
            let left = left.map(|seconds| format!(", {seconds} s left")).unwrap_or_default();
            lines::out(&format!("{what}: {done}, {}/s{left}\n", Bytes(rate)));
        }
        true
    }
}
