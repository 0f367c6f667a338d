//! Pictures of a guest's screen: read, kept as PNG, counted and compared roughly.

use std::{
    collections::HashMap,
    fs::File,
    io::BufWriter,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{error::Error, qmp::Qmp};

/// Time between two looks at a screen that should come to rest.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A picture, 8 bits a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Red, green and blue of each pixel, row by row.
    rgb: Vec<u8>,
}

/// What can be said of a picture without knowing what it shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistics {
    /// Number of different colours.
    pub colours: usize,
    /// The part of the pixels that have the most frequent colour, 0 to 1.
    pub most_frequent: f64,
}

impl Picture {
    /// Reads a binary PPM with 8 bits a channel (netpbm's `ppm(5)`, `P6`).
    pub fn from_ppm(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |problem: &str| Error::Format { what: "picture".into(), problem: problem.into() };
        let mut rest = bytes.strip_prefix(b"P6").ok_or_else(|| wrong("not a PPM"))?;
        let mut numbers = [0; 3];
        for number in &mut numbers {
            let start = rest.iter().position(u8::is_ascii_digit).ok_or_else(|| wrong("no size"))?;
            rest = &rest[start..];
            let end = rest.iter().position(|b| !b.is_ascii_digit()).ok_or_else(|| wrong("no pixels"))?;
            let digits = std::str::from_utf8(&rest[..end]).unwrap_or_default();
            *number = digits.parse().map_err(|error| wrong(&format!("{digits}: {error}")))?;
            rest = &rest[end..];
        }
        let [width, height, maximum] = numbers;
        let rgb = rest.get(1..).unwrap_or_default().to_vec();
        if maximum != 255 || width == 0 || rgb.len() != width * height * 3 {
            return Err(wrong("the size does not fit the pixels"));
        }
        Ok(Self { width, height, rgb })
    }

    /// Writes a PNG.
    pub fn save_png(&self, path: &Path) -> Result<(), Error> {
        let file = File::create(path).map_err(Error::io("create", path))?;
        let failed = |error: png::EncodingError| Error::Io {
            operation: "write",
            path: path.to_path_buf(),
            source: error.into(),
        };
        let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
        let mut encoder = png::Encoder::new(BufWriter::new(file), side(self.width), side(self.height));
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&self.rgb).map_err(failed)?;
        writer.finish().map_err(failed)
    }

    /// Counts colours.
    pub fn statistics(&self) -> Statistics {
        let mut counts: HashMap<[u8; 3], u32> = HashMap::new();
        for pixel in self.pixels() {
            *counts.entry(pixel).or_default() += 1;
        }
        let most = counts.values().copied().max().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a screen has far fewer pixels than 2^52")]
        let all = (self.width * self.height) as f64;
        Statistics { colours: counts.len(), most_frequent: f64::from(most) / all }
    }

    /// The part of the pixels that differ, 0 to 1; pictures of different size differ wholly.
    pub fn difference(&self, other: &Self) -> f64 {
        if (self.width, self.height) != (other.width, other.height) {
            return 1.0;
        }
        let differing: u32 = self.pixels().zip(other.pixels()).map(|(a, b)| u32::from(a != b)).sum();
        #[expect(clippy::cast_precision_loss, reason = "a screen has far fewer pixels than 2^52")]
        let all = (self.width * self.height) as f64;
        f64::from(differing) / all
    }

    fn pixels(&self) -> impl Iterator<Item = [u8; 3]> {
        self.rgb.chunks_exact(3).map(|p| [p[0], p[1], p[2]])
    }
}

/// Waits until the screen is `wanted` and less than a thousandth of it has changed for `quiet`.
///
/// A clock or a blinking cursor is smaller than that.
pub fn wait_still(
    qmp: &mut Qmp,
    quiet: Duration,
    limit: Duration,
    wanted: impl Fn(&Picture) -> bool,
) -> Result<Picture, Error> {
    let begun = Instant::now();
    let mut last = qmp.picture()?;
    let mut since = Instant::now();
    while begun.elapsed() < limit {
        // The graphics card reports no event for a drawn picture.
        thread::sleep(LOOK_EVERY);
        let now = qmp.picture()?;
        if now.difference(&last) > 0.001 {
            (last, since) = (now, Instant::now());
        } else if since.elapsed() >= quiet && wanted(&now) {
            return Ok(now);
        }
    }
    let seen = last.statistics();
    Err(Error::Format {
        what: "the screen".to_owned(),
        problem: format!(
            "not as wanted after {:.0} s: {} by {} pixels, {} colours, {:.0} % of one colour",
            limit.as_secs_f64(),
            last.width,
            last.height,
            seen.colours,
            seen.most_frequent * 100.0
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ppm_to_statistics_and_png() {
        let one = Picture::from_ppm(b"P6\n2 2\n255\naaabbbaaaaaa").unwrap();
        let two = Picture::from_ppm(b"P6 2 2 255 aaabbbaaaccc").unwrap();
        assert_eq!(one.statistics(), Statistics { colours: 2, most_frequent: 0.75 });
        assert!((one.difference(&two) - 0.25).abs() < 1e-9);
        assert!(Picture::from_ppm(b"P6 2 2 255 aaa").is_err());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.png");
        one.save_png(&path).unwrap();
        let decoder = png::Decoder::new(std::io::BufReader::new(File::open(&path).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut buffer = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut buffer).unwrap();
        assert_eq!(buffer, one.rgb);
    }
}
