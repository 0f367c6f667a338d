//! The USB as a tree of ports: Linux `Documentation/ABI/testing/sysfs-bus-usb` and `drivers/usb/core/sysfs.c`.

use std::fmt;

use serde::Serialize;

use crate::tree::Tree;

/// Speed from which a connection is called SuperSpeed, in Mb/s: Universal Serial Bus 3.2 Specification.
pub const SUPER_SPEED: u32 = 5000;

/// Where on the USB a disk is, and how fast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsbPlace {
    /// The kernel's name of the port path: bus, then ports of hubs, such as `2-1.4`.
    pub port: String,
    /// Hubs between the bus and the device, the nearest to the bus first.
    pub hubs: Vec<String>,
    /// Speed of the connection in Mb/s.
    pub speed: Option<u32>,
    /// Version of the USB that the device says it has, such as `3.20`.
    pub version: Option<String>,
    /// `uas` or `usb-storage`.
    pub driver: Option<String>,
    /// Serial number of the device.
    pub serial: Option<String>,
    /// Why it is slower than it could be.
    pub slow: Option<Slow>,
}

/// Why a connection is slower than the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Slow {
    /// The device says so itself; otherwise only its version hints at it.
    pub certain: bool,
    /// The hub that is the reason; `None` when it is the port itself.
    pub hub: Option<String>,
    /// Speed of the connection in Mb/s.
    pub speed: u32,
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.certain { "can" } else { "may" };
        write!(f, "{verb} be faster than its {} Mb/s: ", self.speed)?;
        match &self.hub {
            Some(hub) => write!(f, "hub {hub} is slow, use another port"),
            None => f.write_str("use a port for USB 3"),
        }
    }
}

/// A device on the USB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsbDevice {
    /// As in [`UsbPlace`]; `usb1` for the root hub of a bus.
    pub port: String,
    /// How many hubs are above it.
    pub depth: usize,
    /// Vendor, four hexadecimal digits.
    pub vendor: Option<String>,
    /// Product, four hexadecimal digits.
    pub product: Option<String>,
    /// Names that the device gives itself.
    pub name: Option<String>,
    /// Speed of the connection in Mb/s.
    pub speed: Option<u32>,
    /// Version of the USB that the device says it has.
    pub version: Option<String>,
    /// Ports, when it is a hub.
    pub ports: Option<u32>,
}

/// The place of the disk whose directory this is; `None` when no USB device is above it.
pub(super) fn place(tree: &Tree, directory: &str) -> Option<UsbPlace> {
    // The interface, such as 2-1.4:1.0, is the lowest one above the disk.
    let mut above =
        std::iter::successors(Some(directory), |path| path.rsplit_once('/').map(|(above, _)| above));
    let interface = above.find(|path| port_of(last(path)).is_some_and(|port| port != last(path)))?;
    let (device, _) = interface.rsplit_once('/')?;
    let port = last(device);
    let hubs = hubs(port);
    let text = |file: &str| tree.text(&format!("{device}/{file}"));
    let (speed, version) = (text("speed").as_deref().and_then(speed), text("version"));
    Some(UsbPlace {
        slow: slow(tree, device, &hubs, speed, version.as_deref()),
        driver: tree.link_name(&format!("{interface}/driver")),
        serial: text("serial"),
        port: port.into(),
        hubs,
        speed,
        version,
    })
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// `2-1.4` of `2-1.4` and of the interface `2-1.4:1.0`; `None` for other names.
fn port_of(name: &str) -> Option<&str> {
    let port = name.split_once(':').map_or(name, |(port, _)| port);
    let (bus, ports) = port.split_once('-')?;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (number(bus) && ports.split('.').all(number)).then_some(port)
}

/// The hubs above a port: `2-1` and `2-1.4` of `2-1.4.3`.
fn hubs(port: &str) -> Vec<String> {
    port.match_indices('.').filter_map(|(at, _)| port.get(..at)).map(Into::into).collect()
}

/// Whole Mb/s; the slowest devices have 1.5.
fn speed(text: &str) -> Option<u32> {
    text.split('.').next()?.parse().ok()
}

fn slow(
    tree: &Tree,
    device: &str,
    hubs: &[String],
    speed: Option<u32>,
    version: Option<&str>,
) -> Option<Slow> {
    let now = speed.filter(|speed| *speed < SUPER_SPEED)?;
    // On a slow port a USB 3 device calls itself 2.10 and lists its speeds: Universal Serial Bus 3.2, 9.6.2.
    let able = tree.read(&format!("{device}/bos_descriptors")).ok().map(|bos| can_super_speed(&bos));
    let (major, minor) = version?.split_once('.')?;
    let certain = match (able, major, minor) {
        (Some(true), ..) => true,
        (Some(false), ..) => false,
        (None, "3" | "4", _) => true,
        (None, "2", "10") => false,
        (None, "2", _) if now < 480 => true,
        _ => return None,
    };
    if able == Some(false) {
        return None;
    }
    let hub_speed = |hub: &String| {
        // Directories of hubs lie above the device's.
        let end = device.find(&format!("/{hub}/"))? + hub.len() + 1;
        tree.text(&format!("{}/speed", device.get(..end)?)).as_deref().and_then(self::speed)
    };
    let wanted = if now < 480 { 480 } else { SUPER_SPEED };
    let hub = hubs.iter().find(|hub| hub_speed(hub).is_some_and(|speed| speed < wanted)).cloned();
    Some(Slow { certain, hub, speed: now })
}

/// Whether the Binary Device Object Store has a SuperSpeed capability: Universal Serial Bus 3.2, 9.6.2.2.
fn can_super_speed(bos: &[u8]) -> bool {
    const DEVICE_CAPABILITY: u8 = 0x10;
    const SUPERSPEED_USB: u8 = 0x03;
    let mut rest = bos;
    while let [length, kind, capability, ..] = rest {
        if (*kind, *capability) == (DEVICE_CAPABILITY, SUPERSPEED_USB) {
            return true;
        }
        match rest.get(usize::from(*length)..) {
            Some(next) if *length > 0 => rest = next,
            _ => return false,
        }
    }
    false
}

/// Every device on the USB, hubs before what is on them. Devices that vanish meanwhile are left out.
pub(super) fn devices(tree: &Tree) -> Vec<UsbDevice> {
    let device = |name: &str| !name.contains(':');
    let names = tree.list_named("/sys/bus/usb/devices", &device).unwrap_or_default();
    let mut found: Vec<UsbDevice> = names.into_iter().filter_map(|port| read(tree, port)).collect();
    found.sort_by_cached_key(|device| order(&device.port));
    found
}

fn read(tree: &Tree, port: String) -> Option<UsbDevice> {
    let directory = tree.real(&format!("/sys/bus/usb/devices/{port}")).ok()?;
    let text = |file: &str| tree.text(&format!("{directory}/{file}"));
    let names: Vec<String> = ["manufacturer", "product"].into_iter().filter_map(text).collect();
    let ports = text("maxchild").and_then(|text| text.parse().ok()).filter(|ports| *ports > 0);
    Some(UsbDevice {
        depth: if port.contains('-') { 1 + port.matches('.').count() } else { 0 },
        vendor: Some(text("idVendor")?),
        product: text("idProduct"),
        name: (!names.is_empty()).then(|| names.join(" ")),
        speed: text("speed").as_deref().and_then(speed),
        version: text("version"),
        ports,
        port,
    })
}

/// `usb2`, `2-1`, `2-1.4`, `2-1.10`.
fn order(port: &str) -> Vec<u32> {
    let port = port.strip_prefix("usb").unwrap_or(port);
    port.split(['-', '.']).map(|number| number.parse().unwrap_or(u32::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_hubs_by_name() {
        assert_eq!(port_of("2-1.4:1.0"), Some("2-1.4"));
        assert_eq!(port_of("10-2"), Some("10-2"));
        for other in ["usb2", "0000:00:14.0", "target6:0:0", "6:0:0:0", "2-", "a-1", "2-1.", "mmc0:0001"] {
            assert_eq!(port_of(other), None, "{other}");
        }
        assert_eq!(hubs("2-1.4.3"), ["2-1", "2-1.4"]);
        assert!(hubs("2-1").is_empty());
        assert!(
            order("usb2") < order("2-1") && order("2-1.9") < order("2-1.10") && order("2-2") < order("10-1")
        );
    }

    #[test]
    fn capabilities_of_a_device() {
        let bos = [5, 0x0f, 22, 0, 2, 7, 0x10, 2, 6, 0, 0, 0, 10, 0x10, 3, 0, 0x0e, 0, 1, 10, 0xff, 7];
        assert!(can_super_speed(&bos));
        assert!(!can_super_speed(&bos[..12]));
        assert!(!can_super_speed(&[0, 0, 0]), "a length of zero ends it");
        assert!(!can_super_speed(&[]));
    }
}
