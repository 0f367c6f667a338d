//! Blank sticks that are written as they are plugged in.
//!
//! Nobody types the serial numbers of twenty sticks, and a switch that takes any device would one day take the wrong one.
//! So only a device is taken that has nothing to lose: it hangs on the USB, its size is within the limits that were given,
//! it has no partition table and no file system, and both its ends and places between read as blank on the descriptor that is
//! then written. What is typed is `20 blank`: it cannot be left over in a script that means other devices, and the number is
//! also where it stops. Devices that are there at the start are left alone unless a model was named: what is plugged in
//! afterwards was plugged in for this.

use std::{collections::BTreeSet, fmt};

use aegis_hw::{
    Bytes, Error,
    inventory::{Disk, Transport},
    target::Source,
    text::Shown,
};
use serde::Serialize;

use super::{
    buffer::{Aligned, CHUNK},
    risk,
};

/// Which sticks are taken, and how many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Auto {
    /// It ends when so many are complete.
    pub count: u32,
    /// Smallest and largest size.
    pub size: SizeRange,
    /// Text that the model has to contain, in either case.
    pub model: Option<String>,
}

/// Sizes of sticks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SizeRange {
    /// Smallest.
    pub min: Bytes,
    /// Largest.
    pub max: Bytes,
}

/// Places between the ends of a stick that have to be blank.
const SAMPLES: u64 = 62;

/// Why a stick is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pass {
    /// It is no stick.
    NotUsb,
    /// It is there since the start.
    WasThere,
    /// It is smaller or larger than the limits.
    Size(Bytes),
    /// It is of another model.
    Model,
    /// It must not be used.
    Refused(String),
    /// There is something on it.
    NotBlank(String),
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUsb => f.write_str("it is no USB stick"),
            Self::WasThere => f.write_str("it was there at the start"),
            Self::Size(size) => write!(f, "its size, {size}, is not within the limits"),
            Self::Model => f.write_str("it is of another model"),
            Self::Refused(why) => f.write_str(why),
            Self::NotBlank(what) => write!(f, "it is not blank: {what}"),
        }
    }
}

impl Auto {
    /// What is typed to allow it.
    pub fn consent(&self) -> String {
        format!("{} blank", self.count)
    }

    /// Whether a disk would be taken by what is known of it; [`find_content`] has to be asked when it is held.
    ///
    /// # Errors
    /// Why not.
    pub fn judge(&self, disk: &Disk, was_there: bool, medium: &BTreeSet<String>) -> Result<(), Pass> {
        if disk.transport != Transport::Usb || !disk.removable {
            return Err(Pass::NotUsb);
        }
        if was_there && self.model.is_none() {
            return Err(Pass::WasThere);
        }
        if disk.size < self.size.min || disk.size > self.size.max {
            return Err(Pass::Size(disk.size));
        }
        if let Some(wanted) = &self.model {
            let model = disk.model.as_deref().unwrap_or_default().to_lowercase();
            if !model.contains(&wanted.to_lowercase()) {
                return Err(Pass::Model);
            }
        }
        if let Some(refusal) = disk.refusals(medium, self.size.min).first() {
            return Err(Pass::Refused(refusal.to_string()));
        }
        if !risk::is_blank(disk) {
            let holds = risk::holds(disk);
            return Err(Pass::NotBlank(if holds.is_empty() {
                "it is in use".into()
            } else {
                holds.join(", ")
            }));
        }
        Ok(())
    }
}

/// The first place, in bytes, where a device is not blank: both its ends in full, and samples between. Blank is what flash
/// memory reads as when nothing was written, zeros or ones throughout.
///
/// # Errors
/// When the device cannot be read.
pub fn find_content(device: &dyn Source) -> Result<Option<u64>, Error> {
    let sector = u64::from(device.sector_size());
    let end = device.size().0 - device.size().0 % sector;
    let whole = end.min(CHUNK as u64);
    let between = (1..=SAMPLES).map(|i| {
        let place = u128::from(end) * u128::from(i) / u128::from(SAMPLES + 1);
        let place = u64::try_from(place).unwrap_or(0);
        (place - place % sector, sector)
    });
    let mut places = vec![(0, whole), (end - whole, whole)];
    places.extend(between);
    let mut blank = None;
    let mut buffer = Aligned::new(CHUNK);
    for (offset, length) in places {
        let part = &mut buffer[..usize::try_from(length).unwrap_or(CHUNK)];
        device.read_at(offset, part)?;
        for byte in part.iter() {
            if !matches!(byte, 0 | 0xff) || *blank.get_or_insert(*byte) != *byte {
                return Ok(Some(offset));
            }
        }
    }
    Ok(None)
}

impl SizeRange {
    /// Reads `14GiB..16GB`: powers of 1024 as `KiB`, `MiB`, `GiB`, `TiB`, powers of 1000 as `kB`, `MB`, `GB`, `TB`, bytes
    /// without a unit.
    ///
    /// # Errors
    /// What is wrong with it, as a clause.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (min, max) = text.split_once("..").ok_or("expected two sizes, such as 14GiB..16GB")?;
        let range = Self { min: size(min)?, max: size(max)? };
        if range.min > range.max || range.min == Bytes(0) {
            return Err("the first size has to be more than zero and not more than the second".into());
        }
        Ok(range)
    }
}

fn size(text: &str) -> Result<Bytes, String> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match text[digits..].trim_start() {
        "" | "B" => Some(1),
        "kB" => Some(1000),
        "MB" => Some(1_000_000),
        "GB" => Some(1_000_000_000),
        "TB" => Some(1_000_000_000_000),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        "TiB" => Some(1 << 40),
        _ => None,
    };
    let number: Option<u64> = text[..digits].parse().ok();
    let size = number.zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    size.map(Bytes).ok_or_else(|| format!("`{text}` is no size; write it as 16GB or 14GiB"))
}

impl fmt::Display for SizeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.min, self.max)
    }
}

impl fmt::Display for Auto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the next {} blank USB sticks of {}", self.count, self.size)?;
        match &self.model {
            Some(model) => write!(f, " whose model has `{}`", Shown(model)),
            None => Ok(()),
        }
    }
}
