//! The machine around the disks: maker, processor, memory and firmware.

use serde::Serialize;

use crate::tree::Tree;

/// What a machine is. Text of its firmware is raw: show it through [`Shown`](crate::text::Shown).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Maker of the system.
    pub vendor: Option<String>,
    /// Its product.
    pub product: Option<String>,
    /// Version of the product.
    pub version: Option<String>,
    /// Maker and model of the main board.
    pub board: Option<String>,
    /// Form by SMBIOS 3.7, 7.4.1, such as `notebook`.
    pub chassis: Option<&'static str>,
    /// Model of the first processor.
    pub processor: Option<String>,
    /// Threads that are online.
    pub threads: Option<u64>,
    /// Bytes of memory that the kernel has.
    pub memory: Option<u64>,
    /// How it was started.
    pub firmware: Firmware,
}

/// How a machine was started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Firmware {
    /// By UEFI; otherwise by a BIOS, or by a hypervisor.
    pub uefi: bool,
    /// Bits of the UEFI.
    pub bits: Option<u64>,
    /// Secure Boot is on; `None` when the machine does not say.
    pub secure_boot: Option<bool>,
    /// Keys can be enrolled without a signature.
    pub setup_mode: Option<bool>,
    /// Maker, version and date.
    pub version: Option<String>,
}

/// Vendor GUID of the global variables: UEFI Specification 2.10, 3.3.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

impl Machine {
    /// Reads what can be read; the rest is left out.
    pub fn read(tree: &Tree) -> Self {
        let dmi =
            |file: &str| tree.text(&format!("/sys/class/dmi/id/{file}")).filter(|text| says_something(text));
        let joined = |files: &[&str]| {
            let words: Vec<String> = files.iter().filter_map(|file| dmi(file)).collect();
            (!words.is_empty()).then(|| words.join(" "))
        };
        Self {
            vendor: dmi("sys_vendor"),
            product: dmi("product_name"),
            version: dmi("product_version"),
            board: joined(&["board_vendor", "board_name"]),
            chassis: dmi("chassis_type").and_then(|number| chassis(number.parse().ok()?)),
            processor: processor(tree),
            threads: tree.text("/sys/devices/system/cpu/online").and_then(|ranges| count(&ranges)),
            memory: memory(tree),
            firmware: Firmware {
                uefi: tree.exists("/sys/firmware/efi"),
                bits: tree.number("/sys/firmware/efi/fw_platform_size"),
                secure_boot: flag(tree, "SecureBoot"),
                setup_mode: flag(tree, "SetupMode"),
                version: joined(&["bios_vendor", "bios_version", "bios_date"]),
            },
        }
    }
}

/// Whether firmware filled a field in.
fn says_something(text: &str) -> bool {
    const EMPTY: &[&str] = &[
        "default string",
        "none",
        "not specified",
        "system manufacturer",
        "system product name",
        "system version",
    ];
    let text = text.to_ascii_lowercase();
    !EMPTY.contains(&text.as_str()) && !text.starts_with("to be filled")
}

/// A variable of one byte: four bytes of attributes, then the value (Linux `Documentation/filesystems/efivarfs.rst`).
fn flag(tree: &Tree, name: &str) -> Option<bool> {
    let bytes = tree.read(&format!("/sys/firmware/efi/efivars/{name}-{GLOBAL}")).ok()?;
    match bytes.as_slice() {
        [_, _, _, _, value] => Some(*value == 1),
        _ => None,
    }
}

fn processor(tree: &Tree) -> Option<String> {
    let text = tree.read("/proc/cpuinfo").ok()?;
    let text = String::from_utf8_lossy(&text);
    let value = |key: &str| {
        let line = text.lines().find(|line| line.split(':').next().is_some_and(|name| name.trim() == key))?;
        crate::text::reported(line.split_once(':')?.1.as_bytes())
    };
    value("model name").or_else(|| value("Model")).or_else(|| value("cpu model"))
}

fn memory(tree: &Tree) -> Option<u64> {
    let text = tree.read("/proc/meminfo").ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Numbers in `0-3,8,10-11`.
fn count(ranges: &str) -> Option<u64> {
    ranges.split(',').try_fold(0u64, |sum, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        sum.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

fn chassis(number: u8) -> Option<&'static str> {
    Some(match number {
        3 | 4 | 6 | 7 => "desktop",
        8 | 9 | 10 | 14 => "notebook",
        11 => "handheld",
        13 => "all-in-one",
        17 | 23 | 25 | 28 => "server",
        30 => "tablet",
        31 => "convertible",
        32 => "detachable",
        34 => "embedded",
        35 => "mini PC",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_processors() {
        assert_eq!(count("0-3,8,10-11"), Some(7));
        assert_eq!(
            (count("0"), count(""), count("3-1"), count("0-18446744073709551615")),
            (Some(1), None, None, None)
        );
    }

    #[test]
    fn fields_that_nobody_filled_in() {
        assert!(!says_something("To be filled by O.E.M.") && !says_something("Default string"));
        assert!(says_something("ThinkPad"));
    }
}
