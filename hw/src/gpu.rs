//! Graphics devices, what drives them, and which videos they encode.
//!
//! A device's ids are looked up in `data/video-engines.txt`: the table says what a chip may have. The driver that is bound
//! says what it has, when it is asked: NVML and NVENC, the kernel, VA-API. A device that is not in the table is
//! unknown, not without an encoder.

pub mod answer;
#[cfg(feature = "dynamic")]
pub mod ask;
pub mod drivers;
mod names;
mod sessions;
mod table;
mod verdict;

pub use names::{Names, PCI_IDS};
use serde::Serialize;
pub use sessions::Sessions;
pub use table::{Count, Entry};
pub use verdict::{Disagreement, Encoder, Evidence, Verdict};

use self::answer::{Asked, Source};
use crate::{error::Error, tree::Tree};

/// A graphics device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// Address on the PCI bus, such as `0000:01:00.0`.
    pub address: String,
    /// PCI vendor.
    pub vendor: u16,
    /// PCI device.
    pub device: u16,
    /// Name by the system's pci.ids.
    pub name: Option<String>,
    /// The kernel's driver that is bound to it.
    pub driver: Option<String>,
    /// Version of that driver, where it has one of its own.
    pub driver_version: Option<String>,
    /// Its render node below `/dev/dri`.
    pub node: Option<String>,
    /// The firmware shows its messages on it.
    pub boot_display: bool,
    /// What the table knows of its chip.
    pub chip: Option<Entry>,
    /// Who was asked about it, and what came of it.
    pub asked: Vec<Asked>,
    /// Whether its encoder can be used.
    pub encoder: Verdict,
    /// How many encoders programs may open at once; `None` where nobody has said.
    pub sessions: Option<Sessions>,
}

const NVIDIA: u16 = 0x10de;

/// First byte of the class of display controllers (PCI Code and ID Assignment Specification, base class 03h): VGA, 3D
/// and other ones alike. NVIDIA's sound and USB-C functions have other classes.
const DISPLAY: u64 = 0x03;

/// Every graphics device, in the order of their addresses.
///
/// # Errors
/// When the directory of the devices cannot be read. Files of a device that vanishes meanwhile leave the device out.
pub fn gpus(tree: &Tree, names: &Names) -> Result<Vec<Gpu>, Error> {
    let mut found = tree.list("/sys/bus/pci/devices")?;
    // Their digits are hexadecimal.
    found.sort();
    Ok(found.into_iter().filter_map(|address| read(tree, address, names)).collect())
}

fn read(tree: &Tree, address: String, names: &Names) -> Option<Gpu> {
    let directory = format!("/sys/bus/pci/devices/{address}");
    let number = |file: &str| {
        let text = tree.text(&format!("{directory}/{file}"))?;
        u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
    };
    if number("class")? >> 16 != DISPLAY {
        return None;
    }
    let (vendor, device) = (u16::try_from(number("vendor")?).ok()?, u16::try_from(number("device")?).ok()?);
    let driver = tree.link_name(&format!("{directory}/driver"));
    let version = driver.as_ref().and_then(|driver| tree.text(&format!("/sys/module/{driver}/version")));
    let nodes = tree.list(&format!("{directory}/drm")).unwrap_or_default();
    let chip = table::find(vendor, device);
    let mut gpu = Gpu {
        encoder: verdict::judge(chip.as_ref(), driver.as_deref(), &[]),
        name: names.of(vendor, device),
        boot_display: tree.number(&format!("{directory}/boot_vga")) == Some(1),
        node: nodes.into_iter().find(|name| is_render_node(name)),
        address,
        vendor,
        device,
        driver,
        driver_version: version,
        chip,
        asked: Vec::new(),
        sessions: None,
    };
    gpu.judge();
    Some(gpu)
}

fn is_render_node(name: &str) -> bool {
    name.strip_prefix("renderD").is_some_and(|number| number.parse::<u32>().is_ok())
}

impl Gpu {
    /// Judges again, by everything that is known now.
    fn judge(&mut self) {
        self.encoder = verdict::judge(self.chip.as_ref(), self.driver.as_deref(), &self.asked);
        let encodes = !matches!(self.encoder.state, Encoder::None | Encoder::Disabled | Encoder::Unknown);
        self.sessions = (self.vendor == NVIDIA && encodes).then(|| self.limit()).flatten();
    }

    fn limit(&self) -> Option<Sessions> {
        let nvml = self.asked.iter().find(|asked| asked.source == Source::Nvml);
        let nvml = nvml.and_then(|asked| asked.answer.as_ref());
        let name = nvml.and_then(|nvml| nvml.name.as_deref()).or(self.name.as_deref());
        let driver = self.driver_version.as_deref().filter(|_| self.driver.as_deref() == Some("nvidia"));
        let version = nvml.and_then(|nvml| nvml.version.as_deref()).or(driver);
        sessions::sessions(name, nvml.and_then(|nvml| nvml.brand), version)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;
    use crate::tree::Roots;

    /// A PCI function: address, class, vendor, device, driver.
    type Function<'a> = (&'a str, &'a str, &'a str, &'a str, Option<&'a str>);

    fn machine(functions: &[Function<'_>]) -> Vec<Gpu> {
        let root = tempfile::tempdir().unwrap();
        for (address, class, vendor, device, driver) in functions {
            let at = root.path().join("bus/pci/devices").join(address);
            fs::create_dir_all(&at).unwrap();
            for (file, content) in [("class", class), ("vendor", vendor), ("device", device)] {
                fs::write(at.join(file), format!("{content}\n")).unwrap();
            }
            if let Some(driver) = driver {
                symlink(format!("../../../../bus/pci/drivers/{driver}"), at.join("driver")).unwrap();
            }
        }
        let tree = Tree::live(Roots { sysfs: root.path().into(), ..Roots::default() });
        gpus(&tree, &Names::parse("10de  NVIDIA Corporation\n\t2684  AD102 [GeForce RTX 4090]\n")).unwrap()
    }

    #[test]
    fn a_laptop_with_two_cards() {
        let found = machine(&[
            ("0000:00:02.0", "0x030000", "0x8086", "0x46a6", Some("i915")),
            ("0000:01:00.0", "0x030200", "0x10de", "0x2684", Some("nouveau")),
            // The sound and USB-C functions of the card are no graphics devices.
            ("0000:01:00.1", "0x040300", "0x10de", "0x22ba", Some("snd_hda_intel")),
            ("0000:01:00.2", "0x0c0330", "0x10de", "0x1ad8", None),
        ]);
        let [intel, nvidia] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((intel.encoder.state.clone(), intel.driver.as_deref()), (Encoder::Ready, Some("i915")));
        assert_eq!(nvidia.name.as_deref(), Some("NVIDIA Corporation AD102 [GeForce RTX 4090]"));
        assert_eq!(
            nvidia.encoder.state.to_string(),
            "encoder present, not usable: nouveau drives it, nvidia is needed"
        );
        let chip = nvidia.chip.as_ref().unwrap();
        assert_eq!((chip.chip.as_str(), chip.driver.as_str()), ("AD102", "open"));
        assert!(chip.codecs.contains(&"av1".into()));
    }

    #[test]
    fn compute_cards_have_no_encoder_and_others_do() {
        let encoder = |device: &str, driver| {
            machine(&[("0000:01:00.0", "0x030200", "0x10de", device, driver)])[0].encoder.state.clone()
        };
        // A100, H100, H200, B200; GP108 and GM108.
        for device in ["0x20b0", "0x2330", "0x2335", "0x2901", "0x1d01", "0x1340"] {
            assert_eq!(encoder(device, Some("nvidia")), Encoder::None, "{device}");
        }
        // P100, V100, T4, L4 have one; a card for mining had it switched off.
        for device in ["0x15f8", "0x1db4", "0x1eb8", "0x27b8"] {
            assert_eq!(encoder(device, Some("nvidia")), Encoder::Ready, "{device}");
            assert!(matches!(encoder(device, None), Encoder::Unusable { driver: None, .. }), "{device}");
            assert!(matches!(encoder(device, Some("vfio-pci")), Encoder::Unusable { .. }), "{device}");
        }
        assert_eq!(encoder("0x1c09", Some("nvidia")), Encoder::Disabled);
        assert_eq!(encoder("0xffff", Some("nvidia")), Encoder::Unknown, "what is not listed is not absent");
    }

    #[test]
    fn broken_files_leave_a_device_out() {
        for class in ["", "0x", "030000", "0xzz", "0x010000", "0x\u{202e}"] {
            assert!(machine(&[("0000:01:00.0", class, "0x10de", "0x2684", None)]).is_empty(), "{class:?}");
        }
        assert!(machine(&[("0000:01:00.0", "0x030000", "0x110de", "0x2684", None)]).is_empty());
        assert!(machine(&[]).is_empty());
    }
}
