//! Why a symbol does not have the value that somebody wants, and which lines would give it.
//!
//! What is proposed was tried on the expressions, in memory; the kernel's own programs have the last word.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use super::{
    Kind, Tree,
    expr::{Expr, Op, Truth},
};
use crate::{DotConfig, Value, check::Facts};

/// How many symbols a proposal may reach through; what needs more is for a person to think about.
const DEEPEST: usize = 6;

/// Selectors that are listed; whoever wants to turn off more of them wants something else.
const LISTED: usize = 8;

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Why {
    /// What stands in the way, a clause each.
    pub reasons: Vec<String>,
    /// Lines that would give the value, in their order; empty when none are known.
    pub proposal: Vec<(String, Value)>,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reasons.iter().try_for_each(|reason| writeln!(f, "{reason}"))?;
        self.proposal.iter().try_for_each(|(symbol, value)| writeln!(f, "  CONFIG_{symbol}={value}"))
    }
}

/// Why `symbol` is not `wanted` in `config`.
pub fn why(tree: &Tree, config: &DotConfig, symbol: &str, wanted: &Value) -> Why {
    let mut why = Why::default();
    let Some(known) = tree.symbol(symbol) else {
        let similar = tree.similar(symbol).join(", ");
        let similar = if similar.is_empty() { String::new() } else { format!("; it has {similar}") };
        why.reasons.push(format!("this kernel has no symbol {symbol}{similar}"));
        return why;
    };
    let found = config.get(symbol);
    if wanted.same(found) {
        why.reasons.push(format!("CONFIG_{symbol} is {wanted} already"));
        return why;
    }
    if let Some(wrong) = wrong_type(known.kind, wanted) {
        why.reasons.push(format!("CONFIG_{symbol} is {wrong}; it cannot be {wanted}"));
        return why;
    }
    let asker = Asker { tree, config };
    match wanted {
        Value::No => asker.why_set(symbol, &mut why),
        Value::Module if *found == Value::Yes => asker.why_set(symbol, &mut why),
        Value::Yes => asker.why_unset(symbol, Truth::Yes, &mut why),
        Value::Module => asker.why_unset(symbol, Truth::Module, &mut why),
        Value::Number(_) | Value::Text(_) => asker.why_other(symbol, wanted, &mut why),
    }
    why
}

fn wrong_type(kind: Kind, wanted: &Value) -> Option<&'static str> {
    let (fits, name) = match kind {
        Kind::Bool => (matches!(wanted, Value::Yes | Value::No), "a bool"),
        Kind::Tristate => (matches!(wanted, Value::Yes | Value::No | Value::Module), "a tristate"),
        Kind::String => (matches!(wanted, Value::Text(_)), "a text"),
        Kind::Int | Kind::Hex => (matches!(wanted, Value::Number(_)), "a number"),
        Kind::Unknown => (true, ""),
    };
    (!fits).then_some(name)
}

/// A tree and a configuration, to ask.
#[derive(Clone, Copy)]
struct Asker<'a> {
    tree: &'a Tree,
    config: &'a DotConfig,
}

/// Lines that make something true.
type Lines = Vec<(String, Value)>;

impl Asker<'_> {
    /// Enabled symbols that select one, with the place of the line.
    fn selecting(self, symbol: &str) -> Vec<(String, String)> {
        let selects = |selector: &&super::Selector| {
            matches!(self.config.get(&selector.symbol), Value::Yes | Value::Module)
                && selector.condition.truth(self.config) != Truth::No
        };
        let found = self.tree.selected_by(symbol).iter().filter(selects);
        found.map(|selector| (selector.symbol.clone(), selector.place.to_string())).collect()
    }

    /// Why it is on although it should be off, or built in although a module is wanted.
    fn why_set(self, symbol: &str, why: &mut Why) {
        let selecting = self.selecting(symbol);
        for (by, place) in selecting.iter().take(LISTED) {
            why.reasons.push(format!("CONFIG_{by}={} selects it ({place})", self.config.get(by)));
        }
        if selecting.len() > LISTED {
            why.reasons.push(format!(
                "{} more select it, so that no few lines turn it off",
                selecting.len() - LISTED
            ));
            return;
        }
        why.proposal.extend(selecting.iter().map(|(by, _)| (by.clone(), Value::No)));
        if selecting.is_empty() {
            let places = self.places(symbol);
            why.reasons.push(if self.prompts(symbol) == Some(Truth::No) {
                format!("nobody is asked for it here, so its default holds ({places})")
            } else if self.prompts(symbol).is_none() {
                format!("it has no prompt, so its default holds ({places})")
            } else {
                "nothing forces it: a line in a layer is enough".into()
            });
            if let Some(lines) = self.hidden_prompt(symbol) {
                why.proposal = lines;
            }
        }
        why.proposal.push((symbol.to_owned(), Value::No));
    }

    /// What makes the prompt of a symbol visible, when it is hidden and that is possible.
    fn hidden_prompt(self, symbol: &str) -> Option<Lines> {
        let definitions = &self.tree.symbol(symbol)?.definitions;
        let hidden = definitions.iter().filter_map(|definition| definition.prompt.as_ref());
        hidden
            .filter_map(|prompt| self.satisfy(prompt, Truth::Yes, &mut BTreeSet::new(), 0))
            .min_by_key(Vec::len)
    }

    /// What the best prompt of a symbol is worth; `None` without any.
    fn prompts(self, symbol: &str) -> Option<Truth> {
        let definitions = &self.tree.symbol(symbol)?.definitions;
        let worth =
            definitions.iter().filter_map(|definition| Some(definition.prompt.as_ref()?.truth(self.config)));
        worth.max_by_key(|truth| rank(*truth))
    }

    fn places(self, symbol: &str) -> String {
        let definitions =
            self.tree.symbol(symbol).map(|symbol| symbol.definitions.as_slice()).unwrap_or_default();
        let places: Vec<String> = definitions.iter().map(|definition| definition.place.to_string()).collect();
        places.join(", ")
    }

    /// Why it is off although it should be on.
    fn why_unset(self, symbol: &str, need: Truth, why: &mut Why) {
        if let (Some(winner), Some((_, prompt))) = (self.winner(symbol), Facts::choice(self.tree, symbol)) {
            why.reasons.push(format!("`{prompt}` is a choice, and CONFIG_{winner} is its winner"));
        }
        if self.prompts(symbol).is_none() {
            why.reasons
                .push(format!("it has no prompt ({}): only other symbols turn it on", self.places(symbol)));
            let by: Vec<&str> =
                self.tree.selected_by(symbol).iter().map(|one| one.symbol.as_str()).take(5).collect();
            if !by.is_empty() {
                why.reasons.push(format!("these select it: {}", by.join(", ")));
            }
        }
        for definition in self.tree.symbol(symbol).map(|one| one.definitions.as_slice()).unwrap_or_default() {
            let prompt = definition.prompt.clone().unwrap_or_else(Expr::yes);
            let condition = definition.depends.clone().and(prompt);
            let before = why.reasons.len();
            self.missing(&condition, need, &mut why.reasons);
            if why.reasons.len() == before && definition.prompt.is_some() {
                why.reasons.push(format!(
                    "nothing stands in its way at {}: a line in a layer is enough",
                    definition.place
                ));
            }
        }
        if let Some(lines) = self.turn_on(symbol, need, &mut BTreeSet::new(), 0) {
            if self.holds_with(symbol, need, &lines) {
                // Both members of a choice asked for would leave it to the order of the lines.
                why.proposal =
                    self.winner(symbol).map(|winner| (winner.to_owned(), Value::No)).into_iter().collect();
                why.proposal.extend(lines);
            }
        } else {
            why.reasons.push("no few lines give it; read the places that are named".into());
        }
    }

    /// The member that won the choice of a symbol.
    fn winner(&self, symbol: &str) -> Option<&str> {
        let (number, _) = Facts::choice(self.tree, symbol)?;
        let members = &self.tree.choices().get(number)?.members;
        members.iter().find(|member| *self.config.get(member) == Value::Yes).map(String::as_str)
    }

    /// The parts of a condition that are not worth enough, one clause each.
    fn missing(self, condition: &Expr, need: Truth, reasons: &mut Vec<String>) {
        match condition {
            Expr::And(one, two) => {
                self.missing(one, need, reasons);
                self.missing(two, need, reasons);
            }
            other => {
                let worth = other.truth(self.config);
                if rank(worth) >= rank(need) {
                    return;
                }
                reasons.push(match worth {
                    Truth::Module => format!("{other} is m, so that it can be a module at most"),
                    Truth::Unknown => format!("the compiler or a tool decides {other}"),
                    _ => format!("it depends on {other}, which does not hold{}", self.values(other)),
                });
            }
        }
    }

    /// The values of the symbols in an expression, in brackets.
    fn values(self, expr: &Expr) -> String {
        let mut names = BTreeSet::new();
        symbols(expr, &mut names);
        let values: Vec<String> = names.into_iter().take(4).map(|name| self.value(name)).collect();
        if values.is_empty() { String::new() } else { format!(" ({})", values.join(", ")) }
    }

    fn value(self, name: &str) -> String {
        if self.tree.symbol(name).is_some() {
            format!("{name}={}", self.config.get(name))
        } else {
            format!("{name} is no symbol of this kernel")
        }
    }

    fn why_other(self, symbol: &str, wanted: &Value, why: &mut Why) {
        self.why_unset(symbol, Truth::Yes, why);
        if let Some(last) = why.proposal.last_mut() {
            last.1 = wanted.clone();
        }
        let Value::Number(wanted) = wanted else { return };
        for definition in self.tree.symbol(symbol).map(|one| one.definitions.as_slice()).unwrap_or_default() {
            for (least, greatest, condition) in &definition.ranges {
                if condition.truth(self.config) != Truth::No {
                    why.reasons.push(format!(
                        "{} allows {least} to {greatest}; wanted is {wanted}",
                        definition.place
                    ));
                }
            }
        }
    }

    /// The fewest lines that turn a symbol on.
    fn turn_on(self, symbol: &str, need: Truth, open: &mut BTreeSet<String>, depth: usize) -> Option<Lines> {
        let known = self.tree.symbol(symbol)?;
        if depth > DEEPEST || !open.insert(symbol.to_owned()) {
            return None;
        }
        let asked = known.definitions.iter().filter_map(|definition| {
            let condition = definition.depends.clone().and(definition.prompt.clone()?);
            let mut lines = self.satisfy(&condition, need, open, depth + 1)?;
            let value = if need == Truth::Module && known.kind == Kind::Tristate {
                Value::Module
            } else {
                Value::Yes
            };
            lines.push((symbol.to_owned(), value));
            Some(lines)
        });
        let best = asked.min_by_key(Vec::len).or_else(|| {
            // Nobody is asked: the cheapest symbol that selects it.
            let by = self.tree.selected_by(symbol).iter().filter_map(|selector| {
                let mut lines = self.satisfy(&selector.condition, need, open, depth + 1)?;
                lines.extend(self.turn_on(&selector.symbol, need, open, depth + 1)?);
                Some(lines)
            });
            by.min_by_key(Vec::len)
        });
        open.remove(symbol);
        best
    }

    /// The fewest lines that make an expression worth at least `need`.
    fn satisfy(self, expr: &Expr, need: Truth, open: &mut BTreeSet<String>, depth: usize) -> Option<Lines> {
        let worth = expr.truth(self.config);
        // What only the compiler knows is not in the way of a proposal.
        if worth == Truth::Unknown && matches!(expr, Expr::Macro(_)) || rank(worth) >= rank(need) {
            return Some(Lines::new());
        }
        if depth > DEEPEST {
            return None;
        }
        match expr {
            Expr::Symbol(name) => self.turn_on(name, need, open, depth),
            Expr::And(one, two) => {
                let mut lines = self.satisfy(one, need, open, depth)?;
                let more = self.satisfy(two, need, open, depth)?;
                lines.extend(more.into_iter().filter(|line| !lines.contains(line)).collect::<Lines>());
                Some(lines)
            }
            Expr::Or(one, two) => {
                let sides = [one, two].into_iter().filter_map(|side| self.satisfy(side, need, open, depth));
                sides.min_by_key(Vec::len)
            }
            Expr::Not(inner) => match &**inner {
                Expr::Symbol(name) if self.selecting(name).is_empty() => {
                    Some(vec![(name.clone(), Value::No)])
                }
                _ => None,
            },
            Expr::Compare(Op::Equal, one, two) => match (&**one, &**two) {
                (Expr::Symbol(name), Expr::Symbol(value)) if self.tree.symbol(name).is_some() => {
                    Some(vec![(name.clone(), Value::parse(value)?)])
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// With these lines, a person is asked for the symbol, or another one selects it.
    fn holds_with(self, symbol: &str, need: Truth, lines: &Lines) -> bool {
        let mut config = self.config.clone();
        lines.iter().for_each(|(name, value)| config.set(name, value.clone()));
        let after = Asker { tree: self.tree, config: &config };
        let definitions = self.tree.symbol(symbol).map(|one| one.definitions.as_slice()).unwrap_or_default();
        let asked = definitions.iter().filter_map(|definition| {
            Some(definition.depends.clone().and(definition.prompt.clone()?).truth(&config))
        });
        !after.selecting(symbol).is_empty()
            || asked.into_iter().any(|truth| truth == Truth::Unknown || rank(truth) >= rank(need))
    }
}

/// How much a truth is worth; what nobody knows here is worth nothing.
fn rank(truth: Truth) -> u8 {
    match truth {
        Truth::No | Truth::Unknown => 0,
        Truth::Module => 1,
        Truth::Yes => 2,
    }
}

fn symbols<'e>(expr: &'e Expr, names: &mut BTreeSet<&'e str>) {
    match expr {
        Expr::Symbol(name) if !["y", "m", "n"].contains(&name.as_str()) => {
            names.insert(name);
        }
        Expr::Not(inner) => symbols(inner, names),
        Expr::And(one, two) | Expr::Or(one, two) | Expr::Compare(_, one, two) => {
            symbols(one, names);
            symbols(two, names);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const TEXT: &str = "config MODULES\n\tbool \"m\"\nconfig EXPERT\n\tbool \"e\"\nconfig NET\n\tbool \"n\"\nconfig BUS\n\ttristate \"b\"\n\
        config CARD\n\ttristate \"c\"\n\tdepends on NET && BUS\nconfig LIB\n\ttristate\nconfig USER\n\ttristate \"u\"\n\tselect LIB\n\
        config HIDDEN\n\tbool \"h\" if EXPERT\n\tdefault y\nconfig OLD\n\tbool \"o\"\n\tdepends on !NEW && BROKEN\nconfig NEW\n\tbool \"w\"\n\
        config COUNT\n\tint \"c\"\n\trange 2 512\nchoice\n\tprompt \"Speed\"\nconfig FAST\n\tbool \"f\"\nconfig SLOW\n\tbool \"s\"\nendchoice\n\
        config EITHER\n\tbool \"x\"\n\tdepends on CARD || NET\nconfig PROBED\n\tbool \"p\"\n\tdepends on $(cc-option,-mx)\n";

    fn ask(config: &str, symbol: &str, wanted: &str) -> (String, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("Kconfig"), TEXT).unwrap();
        let tree = Tree::read(directory.path(), "x86").unwrap();
        let why = why(&tree, &DotConfig::parse(config), symbol, &Value::parse(wanted).unwrap());
        let lines = why.proposal.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (why.reasons.join("; "), lines)
    }

    #[test]
    fn every_reason_has_its_sentence_and_lines() {
        let cases: [(&str, &str, &str, &str, &[&str]); 12] = [
            ("", "CARDS", "y", "this kernel has no symbol CARDS; it has CARD", &[]),
            ("CONFIG_NET=y", "NET", "y", "CONFIG_NET is y already", &[]),
            ("", "NET", "m", "CONFIG_NET is a bool; it cannot be m", &[]),
            (
                "",
                "CARD",
                "m",
                "it depends on NET, which does not hold (NET=n)",
                &["NET=y", "BUS=m", "CARD=m"],
            ),
            (
                "CONFIG_NET=y\nCONFIG_BUS=m",
                "CARD",
                "y",
                "BUS is m, so that it can be a module at most",
                &["BUS=y", "CARD=y"],
            ),
            ("", "LIB", "y", "only other symbols turn it on; these select it: USER", &["USER=y"]),
            (
                "CONFIG_USER=m\nCONFIG_LIB=m",
                "LIB",
                "n",
                "CONFIG_USER=m selects it (Kconfig:16)",
                &["USER=n", "LIB=n"],
            ),
            ("CONFIG_HIDDEN=y", "HIDDEN", "n", "nobody is asked for it here", &["EXPERT=y", "HIDDEN=n"]),
            ("CONFIG_NEW=y", "OLD", "y", "BROKEN is no symbol of this kernel", &[]),
            (
                "CONFIG_SLOW=y",
                "FAST",
                "y",
                "`Speed` is a choice, and CONFIG_SLOW is its winner",
                &["SLOW=n", "FAST=y"],
            ),
            ("CONFIG_COUNT=64", "COUNT", "1024", "allows 2 to 512; wanted is 1024", &["COUNT=1024"]),
            ("", "EITHER", "y", "it depends on CARD || NET", &["NET=y", "EITHER=y"]),
        ];
        for (config, symbol, wanted, words, lines) in cases {
            let (reasons, proposal) = ask(config, symbol, wanted);
            assert!(reasons.contains(words), "{symbol}: {reasons}");
            assert_eq!(proposal, lines, "{symbol}: {reasons}");
        }
    }

    #[test]
    fn what_the_compiler_decides_is_said() {
        assert!(ask("", "PROBED", "y").0.contains("the compiler or a tool decides $(cc-option,-mx)"));
    }
}
