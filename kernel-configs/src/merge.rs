//! Layers over each other: the last one wins, and says so.

use std::collections::BTreeMap;

use crate::{
    Error, KernelVersion, Layer, Problem, dotconfig,
    layer::{Floor, Note, Request},
};

/// What an edition asks of a kernel, and where each request comes from.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    /// The request that counts for each symbol.
    pub requests: BTreeMap<String, Request>,
    /// Requests that a higher layer replaced.
    pub replaced: Vec<Request>,
    /// Where the hardening checker's wish is not followed; the reason of the highest layer counts.
    pub accepted: BTreeMap<String, Note>,
    /// New symbols whose default is right.
    pub defaults: BTreeMap<String, Note>,
    /// The floor of the highest layer that has one.
    pub floor: Option<Floor>,
}

/// Merges layers in their order for a kernel. Different values of two layers need `override` in the higher one, and an
/// `override` needs something to replace: otherwise the errors name both.
pub fn merge(layers: &[Layer], version: KernelVersion) -> Result<Merged, Error> {
    let mut merged = Merged::default();
    let mut problems = Vec::new();
    for layer in layers {
        for request in layer.requests.iter().filter(|request| request.applies_to(version)) {
            let lower = merged.requests.get(&request.symbol);
            problems.extend(contradiction(request, lower));
            let replaced = merged.requests.insert(request.symbol.clone(), request.clone());
            merged.replaced.extend(replaced.filter(|lower| !lower.value.same(&request.value)));
        }
        merged.accepted.extend(layer.accepted.iter().map(|note| (note.symbol.clone(), note.clone())));
        merged.defaults.extend(layer.defaults.iter().map(|note| (note.symbol.clone(), note.clone())));
        merged.floor = layer.floor.or(merged.floor);
    }
    if problems.is_empty() { Ok(merged) } else { Err(Error::Problems(problems)) }
}

fn contradiction(request: &Request, lower: Option<&Request>) -> Option<Problem> {
    let symbol = &request.symbol;
    let (what, next) = match lower {
        Some(lower) if !lower.value.same(&request.value) && !request.rules.replaces => (
            format!("CONFIG_{symbol}={} contradicts {} of {}", request.value, lower.value, lower.at),
            "write `override: why` in the comment, or remove one of the two".to_owned(),
        ),
        Some(lower) if lower.value.same(&request.value) && request.rules.replaces => (
            format!("CONFIG_{symbol}={} replaces nothing: {} asks for the same", request.value, lower.at),
            "remove the word `override`, or the line".to_owned(),
        ),
        None if request.rules.replaces => (
            format!("CONFIG_{symbol} replaces nothing: no lower layer asks for it"),
            "remove the word `override`, or correct the symbol".to_owned(),
        ),
        _ => return None,
    };
    Some(Problem { at: request.at.clone(), what, next })
}

impl Merged {
    /// The text to hand to the kernel's `olddefconfig`: a base without the symbols that are requested, then the requests.
    /// The order matters: of two winners of a choice, the kernel takes the later one.
    pub fn over(&self, base: &str) -> String {
        let kept = |line: &&str| !self.requests.contains_key(symbol_of(line));
        let mut text: String = base.lines().filter(kept).map(|line| format!("{line}\n")).collect();
        for (symbol, request) in &self.requests {
            text.push_str(&dotconfig::line(symbol, &request.value));
        }
        text
    }
}

/// The symbol that a line of a configuration is about; empty for a comment.
fn symbol_of(line: &str) -> &str {
    let rest = line.strip_prefix("CONFIG_").or_else(|| line.strip_prefix("# CONFIG_")).unwrap_or_default();
    rest.split(['=', ' ']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    fn version() -> KernelVersion {
        "6.12.1".parse().unwrap()
    }

    fn layers(texts: &[&str]) -> Vec<Layer> {
        let parse = |(number, text): (usize, &&str)| Layer::parse(&format!("l{number}"), text).unwrap();
        texts.iter().enumerate().map(parse).collect()
    }

    #[test]
    fn the_last_layer_wins_when_it_says_so() {
        let merged = merge(
            &layers(&[
                "CONFIG_A=y # w\nCONFIG_B=m # w\n",
                "CONFIG_A=n # override: w\nCONFIG_B=m # w\nCONFIG_C=y # since 6.14: w\n",
            ]),
            version(),
        )
        .unwrap();
        assert_eq!((merged.requests["A"].value.clone(), merged.replaced.len()), (Value::No, 1));
        assert!(!merged.requests.contains_key("C"));
        let text = merged.over("# head\nCONFIG_A=y\nCONFIG_Z=y\n# CONFIG_B is not set\n");
        assert_eq!(text, "# head\nCONFIG_Z=y\n# CONFIG_A is not set\nCONFIG_B=m\n");
    }

    #[test]
    fn contradictions_name_both_places() {
        let texts = [
            "CONFIG_A=y # w\nCONFIG_B=y # w\n",
            "CONFIG_A=m # w\nCONFIG_B=y # override: w\nCONFIG_C=y # override: w\n",
        ];
        let Err(Error::Problems(problems)) = merge(&layers(&texts), version()) else { panic!("merged") };
        let text: Vec<String> = problems.iter().map(Problem::to_string).collect();
        assert_eq!(
            text,
            [
                "kernel-configs/l1.config:1: CONFIG_A=m contradicts y of kernel-configs/l0.config:1",
                "kernel-configs/l1.config:2: CONFIG_B=y replaces nothing: kernel-configs/l0.config:2 asks for the same",
                "kernel-configs/l1.config:3: CONFIG_C replaces nothing: no lower layer asks for it",
            ]
        );
    }
}
