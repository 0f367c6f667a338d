//! One layer: a file of requests, each with its reason.
//!
//! Format, see kernel-configs/README.md: `CONFIG_X=value  # rule: reason`, where a rule is none, `override`,
//! `or y`, `since V`, `until V` or `unchecked until V`, several separated by commas; `accept CONFIG_X  # reason`;
//! `default CONFIG_X  # reason`; `floor N`; `floor N others accepted`.

use std::{fs, path::Path};

use crate::{Error, KernelVersion, Location, Problem, Value};

/// A file of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// Its path below `kernel-configs`, without `.config`.
    pub name: String,
    /// What it asks for, in the order of the file.
    pub requests: Vec<Request>,
    /// Symbols at which the hardening checker's wish is not followed.
    pub accepted: Vec<Note>,
    /// New symbols whose default in the kernel's Kconfig files is right.
    pub defaults: Vec<Note>,
    /// What is promised of the hardening.
    pub floor: Option<Floor>,
}

/// What an edition promises of its hardening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// The least number of the hardening checker's wishes that are fulfilled.
    pub fulfilled: u16,
    /// Every other wish is accepted with a reason.
    pub others_accepted: bool,
}

/// One line that asks for a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The symbol, without `CONFIG_`.
    pub symbol: String,
    /// The value that the kernel must have.
    pub value: Value,
    /// Why, as the line says.
    pub reason: String,
    /// What applies to it.
    pub rules: Rules,
    /// Where it is written.
    pub at: Location,
}

/// What a request's comment says beside the reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// It replaces another value of a lower layer.
    pub replaces: bool,
    /// Built in is as good as the module that is asked for.
    pub or_builtin: bool,
    /// Asked only of kernels from this version on.
    pub since: Option<KernelVersion>,
    /// Asked only of kernels before this version.
    pub until: Option<KernelVersion>,
    /// Not compared with the result before this version, where the escape ends.
    pub unchecked_until: Option<KernelVersion>,
}

/// A symbol and why it is mentioned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The symbol, without `CONFIG_`.
    pub symbol: String,
    /// Why.
    pub reason: String,
    /// Where it is written.
    pub at: Location,
}

impl Request {
    /// The kernel of this version is asked for it.
    pub fn applies_to(&self, version: KernelVersion) -> bool {
        self.rules.since.is_none_or(|since| version >= since)
            && self.rules.until.is_none_or(|until| version < until)
    }

    /// The value of the kernel is what was asked for.
    pub fn is_met_by(&self, found: &Value) -> bool {
        self.value.same(found)
            || (self.rules.or_builtin && self.value == Value::Module && *found == Value::Yes)
    }
}

impl Layer {
    /// Reads `<directory>/<name>.config`.
    pub fn read(directory: &Path, name: &str) -> Result<Self, Error> {
        let path = directory.join(format!("{name}.config"));
        let text = fs::read_to_string(&path).map_err(|source| Error::Read { path, source })?;
        Self::parse(name, &text)
    }

    /// Reads the text of a layer; an error lists every line that is wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let mut layer = Self { name: name.to_owned(), ..Self::default() };
        let mut problems = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let at = Location { layer: name.to_owned(), line: number + 1 };
            if let Err((what, next)) = layer.line(line.trim(), at.clone()) {
                problems.push(Problem { at, what, next: next.to_owned() });
            }
        }
        problems.extend(layer.repeated());
        if problems.is_empty() { Ok(layer) } else { Err(Error::Problems(problems)) }
    }

    fn line(&mut self, line: &str, at: Location) -> Result<(), (String, &'static str)> {
        if line.is_empty() || line.starts_with('#') {
            return not_set(line);
        }
        if let Some(rest) = line.strip_prefix("floor ") {
            self.floor = Some(floor(rest.split('#').next().unwrap_or_default().trim())?);
            return Ok(());
        }
        for (word, notes) in [("accept ", &mut self.accepted), ("default ", &mut self.defaults)] {
            if let Some(rest) = line.strip_prefix(word) {
                let (symbol, reason) = rest.split_once('#').unwrap_or((rest, ""));
                notes.push(Note { symbol: symbol_of(symbol.trim())?, reason: reason_of(reason)?, at });
                return Ok(());
            }
        }
        self.requests.push(request(line, at)?);
        Ok(())
    }

    /// A symbol twice in one file: the second would win without anybody seeing it.
    fn repeated(&self) -> Vec<Problem> {
        let again = |(number, request): (usize, &Request)| {
            let first = self.requests[..number].iter().find(|other| other.symbol == request.symbol)?;
            Some(Problem {
                at: request.at.clone(),
                what: format!("CONFIG_{} is asked for in line {} already", request.symbol, first.at.line),
                next: "remove one of the two lines".into(),
            })
        };
        self.requests.iter().enumerate().filter_map(again).collect()
    }
}

fn floor(text: &str) -> Result<Floor, (String, &'static str)> {
    let (count, others_accepted) =
        text.strip_suffix("others accepted").map_or((text, false), |count| (count, true));
    let fulfilled = count.trim().parse().ok();
    let wrong =
        || (format!("`{text}` is no number of checks"), "write: floor 165, or: floor 165 others accepted");
    Ok(Floor { fulfilled: fulfilled.ok_or_else(wrong)?, others_accepted })
}

/// A comment; but `# CONFIG_X is not set`, which other tools read as a value, would be lost here.
fn not_set(line: &str) -> Result<(), (String, &'static str)> {
    if line.starts_with("# CONFIG_") && line.ends_with(" is not set") {
        return Err((format!("`{line}` is a comment here"), "write: CONFIG_X=n  # why"));
    }
    Ok(())
}

fn request(line: &str, at: Location) -> Result<Request, (String, &'static str)> {
    let (name, rest) = line
        .split_once('=')
        .ok_or((format!("`{line}` is neither a request nor a comment"), "write: CONFIG_X=value  # why"))?;
    let symbol = symbol_of(name)?;
    let (value, comment) = split_comment(rest);
    let value = Value::parse(value)
        .ok_or((format!("`{value}` is no value"), "write y, m, n, a number, or text in double quotes"))?;
    let (rules, reason) = rules(comment)?;
    Ok(Request { symbol, value, reason: reason_of(reason)?, rules, at })
}

fn symbol_of(name: &str) -> Result<String, (String, &'static str)> {
    let symbol = name.strip_prefix("CONFIG_").unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if symbol.is_empty() || !symbol.bytes().all(fits) {
        return Err((format!("`{name}` is no symbol"), "write the symbol's name after CONFIG_"));
    }
    Ok(symbol.to_owned())
}

/// The value, and the comment after it. A `#` between quotes belongs to the value.
fn split_comment(text: &str) -> (&str, &str) {
    let mut quoted = false;
    let mut escaped = false;
    for (index, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '#' if !quoted => return (text[..index].trim(), text[index + 1..].trim()),
            _ => {}
        }
    }
    (text.trim(), "")
}

/// The rules before the first colon, when every word before it is a rule; otherwise all is the reason.
fn rules(comment: &str) -> Result<(Rules, &str), (String, &'static str)> {
    let mut rules = Rules::default();
    let Some((head, reason)) = comment.split_once(':') else { return Ok((rules, comment)) };
    for part in head.split(',').map(str::trim) {
        let version = |text: &str| {
            text.trim()
                .parse()
                .map(Some)
                .map_err(|()| (format!("`{text}` is no version"), "write a version such as 6.14"))
        };
        if part == "override" {
            rules.replaces = true;
        } else if part == "or y" {
            rules.or_builtin = true;
        } else if let Some(text) = part.strip_prefix("unchecked until ") {
            rules.unchecked_until = version(text)?;
        } else if let Some(text) = part.strip_prefix("since ") {
            rules.since = version(text)?;
        } else if let Some(text) = part.strip_prefix("until ") {
            rules.until = version(text)?;
        } else if part.starts_with("unchecked") {
            return Err(("an escape without an end".into(), "write: unchecked until 6.18: why"));
        } else {
            return Ok((Rules::default(), comment));
        }
    }
    Ok((rules, reason))
}

fn reason_of(text: &str) -> Result<String, (String, &'static str)> {
    let reason = text.trim();
    if reason.is_empty() {
        return Err(("the line does not say why".into(), "write the reason after a `#`"));
    }
    Ok(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        match Layer::parse("x", text) {
            Err(Error::Problems(problems)) => problems.iter().map(Problem::to_string).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_form_of_a_line() {
        let text = "# head\n\nCONFIG_A=y   # why: not a rule\nCONFIG_B=\"a#b\" # override: because\n\
                    CONFIG_C=m # or y, since 6.14: why\nCONFIG_D=n # unchecked until 6.18: broken\n\
                    accept CONFIG_E # kdump\ndefault CONFIG_F # right\nfloor 165\nCONFIG_G=0x10 # until 6.15: gone\n";
        let layer = Layer::parse("feature/x", text).unwrap();
        let [a, b, c, d, g] = &layer.requests[..] else { panic!("{layer:?}") };
        assert_eq!((a.reason.as_str(), &a.rules), ("why: not a rule", &Rules::default()));
        assert_eq!((b.value.clone(), b.rules.replaces), (Value::Text("a#b".into()), true));
        assert!(c.rules.or_builtin && c.is_met_by(&Value::Yes) && !c.is_met_by(&Value::No));
        let version = |text: &str| text.parse::<KernelVersion>().unwrap();
        assert!(!c.applies_to(version("6.12.118")) && c.applies_to(version("6.14")));
        assert!(g.applies_to(version("6.14.9")) && !g.applies_to(version("6.15")));
        assert_eq!(d.rules.unchecked_until, Some(version("6.18")));
        assert_eq!((layer.accepted[0].symbol.as_str(), layer.defaults[0].symbol.as_str()), ("E", "F"));
        assert_eq!(layer.floor, Some(Floor { fulfilled: 165, others_accepted: false }));
        assert_eq!(b.at.to_string(), "kernel-configs/feature/x.config:4");
    }

    #[test]
    fn every_wrong_line_is_named() {
        let text = "CONFIG_A=y\nCONFIG_B=yes # w\nFOO=y # w\nCONFIG_C # w\n# CONFIG_D is not set\n\
                    CONFIG_E=y # unchecked: forever\nCONFIG_F=y # since six: w\naccept CONFIG_G\nfloor many others accepted\n\
                    CONFIG_H=y # w\nCONFIG_H=m # w\nCONFIG_I=y # unchecked until 6.18:\n";
        let found = problems(text);
        let lines: Vec<&str> = found.iter().filter_map(|line| line.split(':').nth(1)).collect();
        assert_eq!(lines, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "12", "11"], "{found:#?}");
    }
}
