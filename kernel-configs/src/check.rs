//! Comparing what was asked for with what the kernel made of it.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use crate::{DotConfig, KernelVersion, Location, Merged, Value, layer::Request};

/// What the Kconfig files of a kernel say about symbols, as far as a check needs it.
pub trait Facts {
    /// There is such a symbol.
    fn knows(&self, symbol: &str) -> bool;
    /// Symbols of similar names, the nearest first.
    fn similar(&self, symbol: &str) -> Vec<String>;
    /// The choice that a symbol is a member of: a number, and what its prompt says.
    fn choice(&self, symbol: &str) -> Option<(usize, String)>;
}

/// One way in which a configuration is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Finding {
    /// The kernel gave the symbol another value.
    Lost {
        /// The symbol, without `CONFIG_`.
        symbol: String,
        /// What was asked for.
        wanted: Value,
        /// What it is.
        found: Value,
        /// Where it was asked for.
        at: Location,
    },
    /// The kernel has no such symbol.
    Unknown {
        /// The symbol, without `CONFIG_`.
        symbol: String,
        /// Symbols that it has, of similar names.
        similar: Vec<String>,
        /// Where it was asked for.
        at: Location,
    },
    /// Two members of one choice are asked for.
    TwoWinners {
        /// What the choice's prompt says.
        choice: String,
        /// The two members.
        symbols: [String; 2],
        /// Where the second was asked for.
        at: Location,
    },
    /// The kernel asks about a symbol that neither the base nor a layer answers.
    Unanswered {
        /// The symbol, without `CONFIG_`.
        symbol: String,
        /// What the kernel would take.
        default: String,
    },
    /// An escape ended with this kernel, or an earlier one.
    Expired {
        /// The symbol, without `CONFIG_`.
        symbol: String,
        /// The version at which it ended.
        ended: KernelVersion,
        /// Where it is written.
        at: Location,
    },
}

/// Everything that is not as it was asked for, in the order of the symbols.
pub fn check(
    merged: &Merged,
    found: &DotConfig,
    facts: &dyn Facts,
    unanswered: &[(String, String)],
    version: KernelVersion,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut winners: BTreeMap<usize, &Request> = BTreeMap::new();
    for request in merged.requests.values() {
        findings.extend(one(request, found, facts, version));
        let choice = (request.value == Value::Yes).then(|| facts.choice(&request.symbol)).flatten();
        if let Some((number, prompt)) = choice
            && let Some(first) = winners.insert(number, request)
        {
            let symbols = [first.symbol.clone(), request.symbol.clone()];
            findings.push(Finding::TwoWinners { choice: prompt, symbols, at: request.at.clone() });
        }
    }
    let open = unanswered.iter().filter(|(symbol, _)| !merged.defaults.contains_key(symbol));
    findings.extend(
        open.map(|(symbol, default)| Finding::Unanswered {
            symbol: symbol.clone(),
            default: default.clone(),
        }),
    );
    findings
}

fn one(request: &Request, found: &DotConfig, facts: &dyn Facts, version: KernelVersion) -> Option<Finding> {
    let (symbol, at) = (request.symbol.clone(), request.at.clone());
    match request.rules.unchecked_until {
        Some(ended) if version >= ended => return Some(Finding::Expired { symbol, ended, at }),
        Some(_) => return None,
        None => {}
    }
    if !facts.knows(&symbol) {
        return Some(Finding::Unknown { similar: facts.similar(&symbol), symbol, at });
    }
    let value = found.get(&symbol);
    let lost = !request.is_met_by(value);
    lost.then(|| Finding::Lost { symbol, wanted: request.value.clone(), found: value.clone(), at })
}

impl Finding {
    /// The symbol that it is about, without `CONFIG_`.
    pub fn symbol(&self) -> &str {
        match self {
            Self::Lost { symbol, .. }
            | Self::Unknown { symbol, .. }
            | Self::Unanswered { symbol, .. }
            | Self::Expired { symbol, .. } => symbol,
            Self::TwoWinners { symbols: [_, second], .. } => second,
        }
    }

    /// What to do about it.
    pub fn next(&self) -> String {
        match self {
            Self::Lost { symbol, .. } => format!("aegis kernel explain {symbol} names what is missing"),
            Self::Unknown { similar, .. } => match similar.first() {
                Some(name) => {
                    format!("write CONFIG_{name}, or `since V` or `until V` for one of other kernels")
                }
                None => "correct the name, or write `since V` or `until V` for one of other kernels".into(),
            },
            Self::TwoWinners { symbols: [first, _], .. } => {
                format!("keep one, and replace the other: CONFIG_{first}=n  # override: why")
            }
            Self::Unanswered { symbol, .. } => {
                format!("ask for a value in a layer, or write: default CONFIG_{symbol}  # why")
            }
            Self::Expired { .. } => {
                "look whether it holds now, and remove the escape or say until when".into()
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { symbol, wanted, found, at } => {
                write!(f, "{at}: CONFIG_{symbol}={wanted} became {found}")
            }
            Self::Unknown { symbol, similar, at } => {
                write!(f, "{at}: this kernel has no CONFIG_{symbol}")?;
                if similar.is_empty() { Ok(()) } else { write!(f, "; it has {}", similar.join(", ")) }
            }
            Self::TwoWinners { choice, symbols: [one, two], at } => {
                write!(f, "{at}: CONFIG_{one} and CONFIG_{two} are both asked for; `{choice}` allows one")
            }
            Self::Unanswered { symbol, default } => {
                write!(f, "nobody answers CONFIG_{symbol}, for which this kernel would take {default}")
            }
            Self::Expired { symbol, ended, at } => {
                write!(f, "{at}: the escape for CONFIG_{symbol} ended with kernel {ended}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layer, merge};

    struct Known;

    impl Facts for Known {
        fn knows(&self, symbol: &str) -> bool {
            symbol.len() == 1 || symbol.starts_with("HZ_")
        }

        fn similar(&self, symbol: &str) -> Vec<String> {
            if symbol == "AA" { vec!["A".into()] } else { Vec::new() }
        }

        fn choice(&self, symbol: &str) -> Option<(usize, String)> {
            symbol.starts_with("HZ_").then(|| (0, "Timer frequency".into()))
        }
    }

    fn findings(layer: &str, found: &str, unanswered: &[(&str, &str)]) -> Vec<String> {
        let version = "6.12.118".parse().unwrap();
        let merged = merge(&[Layer::parse("l", layer).unwrap()], version).unwrap();
        let unanswered: Vec<_> =
            unanswered.iter().map(|(one, two)| (String::from(*one), String::from(*two))).collect();
        let found = check(&merged, &DotConfig::parse(found), &Known, &unanswered, version);
        found.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn what_is_as_asked_is_no_finding() {
        let layer = "CONFIG_A=y # w\nCONFIG_B=m # or y: w\nCONFIG_C=n # w\nCONFIG_D=0x10 # w\nCONFIG_E=\"a b\" # w\n\
                     CONFIG_X=y # since 6.14: w\nCONFIG_F=y # unchecked until 6.13: w\ndefault CONFIG_G # w\n";
        let found = "CONFIG_A=y\nCONFIG_B=y\nCONFIG_D=16\nCONFIG_E=\"a b\"\n";
        assert_eq!(findings(layer, found, &[("G", "y")]), [""; 0]);
    }

    #[test]
    fn every_kind_of_loss_is_found() {
        let layer = "CONFIG_A=y # w\nCONFIG_AA=n # w\nCONFIG_B=n # w\nCONFIG_C=m # w\nCONFIG_D=5 # w\nCONFIG_E=\"a\" # w\n\
                     CONFIG_F=y # unchecked until 6.12.100: w\nCONFIG_HZ_100=y # w\nCONFIG_HZ_250=y # w\n";
        let found = "CONFIG_A=m\nCONFIG_B=y\nCONFIG_C=y\nCONFIG_D=6\nCONFIG_E=\"b\"\nCONFIG_HZ_100=y\n";
        assert_eq!(
            findings(layer, found, &[("N", "y")]),
            [
                "kernel-configs/l.config:1: CONFIG_A=y became m",
                "kernel-configs/l.config:2: this kernel has no CONFIG_AA; it has A",
                "kernel-configs/l.config:3: CONFIG_B=n became y",
                "kernel-configs/l.config:4: CONFIG_C=m became y",
                "kernel-configs/l.config:5: CONFIG_D=5 became 6",
                "kernel-configs/l.config:6: CONFIG_E=\"a\" became \"b\"",
                "kernel-configs/l.config:7: the escape for CONFIG_F ended with kernel 6.12.100",
                "kernel-configs/l.config:9: CONFIG_HZ_250=y became n",
                "kernel-configs/l.config:9: CONFIG_HZ_100 and CONFIG_HZ_250 are both asked for; `Timer frequency` allows one",
                "nobody answers CONFIG_N, for which this kernel would take y",
            ]
        );
    }
}
