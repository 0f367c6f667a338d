//! Configurations of the kernel as files: `.config`, `/proc/config.gz` unpacked, Debian's `config-*`.
//!
//! Format: Documentation/kbuild/kconfig.rst and what `conf` writes: `CONFIG_X=value` and `# CONFIG_X is not set`.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// The value of a symbol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Value {
    /// Not built: `n`, `is not set`, or not there at all.
    No,
    /// A module.
    Module,
    /// Built in.
    Yes,
    /// A decimal or hexadecimal number, as it is written.
    Number(String),
    /// Text, without its quotes.
    Text(String),
}

impl Value {
    /// A value as it is written in a configuration, `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "n" => return Some(Self::No),
            "m" => return Some(Self::Module),
            "y" => return Some(Self::Yes),
            _ => {}
        }
        if let Some(rest) = text.strip_prefix('"') {
            return Some(Self::Text(unescape(rest.strip_suffix('"')?)?));
        }
        let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let is_number = match hex {
            Some(digits) => !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
            None => text.parse::<i64>().is_ok() && !text.starts_with('+'),
        };
        is_number.then(|| Self::Number(text.to_owned()))
    }

    /// The same value: numbers by what they mean, `0x10` as `16`.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(one), Self::Number(two)) => {
                one == two || number(one).is_some_and(|n| number(two) == Some(n))
            }
            _ => self == other,
        }
    }
}

fn number(text: &str) -> Option<i128> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    hex.map_or_else(|| text.parse().ok(), |digits| i128::from_str_radix(digits, 16).ok())
}

/// The text between the quotes; `None` when a quote in it has no backslash.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        match char {
            '"' => return None,
            '\\' => out.push(rest.next()?),
            other => out.push(other),
        }
    }
    Some(out)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("n"),
            Self::Module => f.write_str("m"),
            Self::Yes => f.write_str("y"),
            Self::Number(text) => f.write_str(text),
            Self::Text(text) => write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        }
    }
}

impl From<Value> for String {
    fn from(value: Value) -> Self {
        value.to_string()
    }
}

impl TryFrom<String> for Value {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("is not a value of a kernel configuration")
    }
}

/// A whole configuration. Symbols are named without `CONFIG_`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DotConfig {
    values: BTreeMap<String, Value>,
}

impl DotConfig {
    /// Reads what `conf` wrote. Lines that are neither a value nor `is not set` are comments to it, and so they are here.
    pub fn parse(text: &str) -> Self {
        Self { values: text.lines().filter_map(read_line).collect() }
    }

    /// The value of a symbol; [`Value::No`] when it is not there.
    pub fn get(&self, symbol: &str) -> &Value {
        self.values.get(symbol).unwrap_or(&Value::No)
    }

    /// The symbol is mentioned, be it as `is not set`.
    pub fn mentions(&self, symbol: &str) -> bool {
        self.values.contains_key(symbol)
    }

    /// Every symbol that is mentioned, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(symbol, value)| (symbol.as_str(), value))
    }

    /// Sets a symbol.
    pub fn set(&mut self, symbol: &str, value: Value) {
        self.values.insert(symbol.to_owned(), value);
    }

    /// How many symbols have a value.
    pub fn count(&self, value: &Value) -> usize {
        self.values.values().filter(|found| *found == value).count()
    }

    /// Symbols whose values differ, with the value of each side.
    pub fn differences<'a>(&'a self, other: &'a Self) -> Vec<(&'a str, &'a Value, &'a Value)> {
        let mut symbols: Vec<&str> = self.iter().chain(other.iter()).map(|(symbol, _)| symbol).collect();
        symbols.sort_unstable();
        symbols.dedup();
        let pairs = symbols.into_iter().map(|symbol| (symbol, self.get(symbol), other.get(symbol)));
        pairs.filter(|(_, one, two)| !one.same(two)).collect()
    }

    /// The text that the kernel's programs read.
    pub fn to_text(&self) -> String {
        self.values.iter().map(|(symbol, value)| line(symbol, value)).collect()
    }
}

/// A line of a configuration, with its line feed.
pub fn line(symbol: &str, value: &Value) -> String {
    match value {
        Value::No => format!("# CONFIG_{symbol} is not set\n"),
        value => format!("CONFIG_{symbol}={value}\n"),
    }
}

fn read_line(line: &str) -> Option<(String, Value)> {
    if let Some(rest) = line.strip_prefix("# CONFIG_") {
        return rest.strip_suffix(" is not set").map(|symbol| (symbol.to_owned(), Value::No));
    }
    let (symbol, value) = line.strip_prefix("CONFIG_")?.split_once('=')?;
    Some((symbol.to_owned(), Value::parse(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read_and_written() {
        let text = "# Linux/x86 6.12\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"x \\\"y\\\" \\\\\"\nCONFIG_D=0x1F\nCONFIG_E=m\n";
        let config = DotConfig::parse(text);
        assert_eq!(config.get("C"), &Value::Text("x \"y\" \\".into()));
        assert_eq!((config.get("B"), config.get("MISSING")), (&Value::No, &Value::No));
        assert!(config.mentions("B") && !config.mentions("MISSING"));
        assert_eq!(DotConfig::parse(&config.to_text()), config);
        let mut other = config.clone();
        other.set("D", Value::Number("31".into()));
        assert!(config.differences(&other).is_empty());
        other.set("E", Value::Yes);
        assert_eq!(config.differences(&other), [("E", &Value::Module, &Value::Yes)]);
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for wrong in ["", "yes", "Y", "\"", "\"a", "\"a\"b\"", "0x", "0xg", "1.5", "+1", "--1", "\"\\\""] {
            assert_eq!(Value::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Value::parse("-5"), Some(Value::Number("-5".into())));
    }
}
