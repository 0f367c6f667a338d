//! `modules.alias`: the modules that claim a device.

use std::collections::BTreeMap;

use super::glob;

/// The parsed index. Patterns are grouped by their bus, the text before the first colon, which never holds a wildcard:
/// a scan asks for hundreds of devices, and nearly every pattern belongs to another bus.
#[derive(Debug, Default)]
pub(crate) struct Aliases(BTreeMap<String, Vec<(String, String)>>);

impl Aliases {
    /// Parses lines `alias PATTERN MODULE`; other lines, and names that are not of devices, are ignored.
    pub(crate) fn parse(text: &str) -> Self {
        let mut index = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some("alias"), Some(pattern), Some(module)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let Some((bus, _)) = pattern.split_once(':') else { continue };
            let entry = (pattern.to_string(), module.to_string());
            index.0.entry(bus.to_string()).or_default().push(entry);
        }
        index
    }

    /// The modules that claim a device's modalias, in the order of the index.
    pub(crate) fn modules_for<'s>(&'s self, modalias: &'s str) -> impl Iterator<Item = &'s str> {
        let bus = modalias.split_once(':').map_or("", |(bus, _)| bus);
        let patterns = self.0.get(bus).map(Vec::as_slice).unwrap_or_default();
        patterns
            .iter()
            .filter(|(pattern, _)| glob::matches(pattern.as_bytes(), modalias.as_bytes()))
            .map(|(_, module)| module.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# Aliases extracted from modules themselves.
alias usb:v*p*d*dc*dsc*dp*ic08isc06ip50in* usb_storage
alias usb:v*p*d*dc*dsc*dp*ic08isc06ip62in* uas
alias usb:v*p*d*dc*dsc*dp*ic08isc06ip62in* usb_storage
alias fs-ext4 ext4
alias cpu:type:x86,ven*fam*mod*:feature:*0089* sha256_ssse3
alias pci:v*d*sv*sd*bc01sc08i02* nvme
";

    fn claims(modalias: &str) -> Vec<String> {
        Aliases::parse(TEXT).modules_for(modalias).map(str::to_string).collect()
    }

    #[test]
    fn a_device_may_have_several_modules() {
        assert_eq!(claims("usb:v0781p5581d0100dc00dsc00dp00ic08isc06ip62in00"), ["uas", "usb_storage"]);
        assert_eq!(claims("pci:v0000144Dd0000A808sv0000144Dsd0000A801bc01sc08i02"), ["nvme"]);
        assert_eq!(claims("cpu:type:x86,ven0000fam0006mod0055:feature:,0000,0089,008B"), ["sha256_ssse3"]);
    }

    #[test]
    fn other_names_claim_nothing() {
        assert!(claims("fs-ext4").is_empty());
        assert!(claims("").is_empty());
        assert!(claims("acpi:PNP0103:").is_empty());
    }
}
