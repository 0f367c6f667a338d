//! What a release promises of its kernel: every request of its layers, how hardened it is.
//!
//! The file lies in the image, which the signed manifest of the medium covers. A running kernel is compared with it.

use std::collections::BTreeMap;

use aegis_core::edition::Edition;
use serde::{Deserialize, Serialize};

use crate::{DotConfig, KernelVersion, Merged, Value, layer::Request};

/// Where an image has it.
pub const PATH: &str = "usr/lib/aegis/kernel.json";

/// The promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Always [`Contract::FORMAT`].
    pub format: u32,
    /// The edition whose layers were merged.
    pub edition: Edition,
    /// Version of the kernel's source, such as `6.12.118`.
    pub source: String,
    /// What was asked for, by symbol without `CONFIG_`.
    pub requests: BTreeMap<String, Promise>,
    /// Wishes of the hardening checker that are fulfilled, of how many.
    pub hardening: (usize, usize),
    /// The least number of wishes that must be fulfilled; the layers of some editions have none.
    pub floor: Option<u16>,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promise {
    /// The value that the kernel has.
    pub value: Value,
    /// The layer that asks for it. Without the line: a shift of lines would make the kernel another.
    pub layer: String,
}

/// A promise that a kernel does not keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken<'a> {
    /// The symbol, without `CONFIG_`.
    pub symbol: &'a str,
    /// What was promised.
    pub promised: &'a Promise,
    /// What the kernel has.
    pub found: Value,
}

impl Contract {
    /// The format that this program writes and reads.
    pub const FORMAT: u32 = 1;

    /// Of what was asked for and the configuration that passed its check; escapes promise nothing.
    pub fn new(
        edition: Edition,
        source: KernelVersion,
        merged: &Merged,
        config: &DotConfig,
        hardening: (usize, usize),
    ) -> Self {
        let checked = merged.requests.values().filter(|request| request.rules.unchecked_until.is_none());
        let promise =
            |one: &Request| Promise { value: config.get(&one.symbol).clone(), layer: one.at.layer.clone() };
        Self {
            format: Self::FORMAT,
            edition,
            source: source.to_string(),
            requests: checked.map(|one| (one.symbol.clone(), promise(one))).collect(),
            hardening,
            floor: merged.floor.map(|floor| floor.fulfilled),
        }
    }

    /// The promises that a kernel of this configuration does not keep.
    pub fn broken_by(&self, config: &DotConfig) -> Vec<Broken<'_>> {
        let broken = |(symbol, promised): (&'_ String, &'_ Promise)| !promised.value.same(config.get(symbol));
        let broken = self.requests.iter().filter(|(symbol, promised)| broken((symbol, promised)));
        broken
            .map(|(symbol, promised)| Broken { symbol, promised, found: config.get(symbol).clone() })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layer, merge};

    #[test]
    fn a_changed_kernel_breaks_its_promises() {
        let version = "6.12.118".parse().unwrap();
        let text =
            "CONFIG_A=y # w\nCONFIG_B=m # or y: w\nCONFIG_C=n # w\nCONFIG_D=y # unchecked until 6.13: w\n";
        let merged = merge(&[Layer::parse("l", text).unwrap()], version).unwrap();
        let config = DotConfig::parse("CONFIG_A=y\nCONFIG_B=y\n");
        let contract = Contract::new(Edition::Server, version, &merged, &config, (170, 250));
        assert!(contract.broken_by(&config).is_empty());
        let broken = contract.broken_by(&DotConfig::parse("CONFIG_A=y\nCONFIG_C=m\n"));
        let broken: Vec<_> = broken.iter().map(|one| (one.symbol, one.found.to_string())).collect();
        assert_eq!(broken, [("B", "n".to_owned()), ("C", "m".to_owned())]);
    }
}
