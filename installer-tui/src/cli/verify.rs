//! `aegis-installer verify`: an image, and a device that should hold it.

use std::{path::PathBuf, time::Instant};

use aegis_core::hex::Digest;
use aegis_hw::{Bytes, target};
use serde_json::json;

use super::{flash::authority, lines};
use crate::{
    error::Error,
    flash::{Failure, image::ImageFile, verify},
};

#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// The image: raw, or as .gz, .xz, .bz2, .zst or .lz4.
    image: PathBuf,

    /// Device that should hold the image; it is only read.
    #[arg(long, value_name = "DEVICE")]
    device: Option<PathBuf>,

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

pub(super) fn run(args: &VerifyArgs) -> Result<(), Error> {
    let image = ImageFile::look(&args.image, &authority(args.sha256, args.sums.as_ref()))?;
    let failed = |path: &PathBuf| {
        let path = path.clone();
        move |failure: Failure| Error::Check { path, source: Box::new(failure) }
    };
    let mut meter = Meter::new(args.json);
    let known = crate::flash::Image::length(&image);
    let summary = verify::image(&image, &mut |bytes| meter.tick("reading the image", bytes, known))
        .map_err(failed(&args.image))?;
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
    lines::out(&format!("{}: {length}, SHA-256 of the content {sha256}\n", args.image.display()));
    lines::out(&match by {
        Some(by) => format!("  it is the image that {by} names\n"),
        None => "  nothing beside it says what it must be; it was read to its end without an error\n".into(),
    });
    if let Some(device) = &args.device {
        lines::out(&format!("{}: holds this image\n", device.display()));
    }
    Ok(())
}

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
