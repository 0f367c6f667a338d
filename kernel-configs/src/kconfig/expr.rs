//! Expressions of the Kconfig language, and what they are worth in a configuration.

use std::{cmp::Ordering, fmt};

use crate::{DotConfig, Value};

/// What an expression is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// `n`.
    No,
    /// `m`: symbols that depend on it can be modules at most.
    Module,
    /// `y`.
    Yes,
    /// The compiler or another program decides.
    Unknown,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// A symbol; `y`, `m` and `n` are the constants.
    Symbol(String),
    /// Text or a number in quotes.
    Text(String),
    /// A macro, such as `$(cc-option,-mfunction-return)`.
    Macro(String),
    /// `!`
    Not(Box<Expr>),
    /// `&&`
    And(Box<Expr>, Box<Expr>),
    /// `||`
    Or(Box<Expr>, Box<Expr>),
    /// A comparison of two symbols or texts.
    Compare(Op, Box<Expr>, Box<Expr>),
}

/// Deeper nesting is refused; the kernel's deepest expression has 6 levels.
const DEEPEST: usize = 64;

impl Expr {
    /// Always `y`.
    pub fn yes() -> Self {
        Self::Symbol("y".into())
    }

    /// Reads an expression; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, depth: 0 };
        let expr = parser.or()?;
        parser.tokens.is_empty().then_some(expr)
    }

    /// Both; what is always true is left out.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, two) if two == Self::yes() => one,
            (one, two) if one == Self::yes() => two,
            (one, two) => Self::And(Box::new(one), Box::new(two)),
        }
    }

    /// What it is worth in a configuration.
    pub fn truth(&self, config: &DotConfig) -> Truth {
        match self {
            Self::Symbol(name) => match constant(name).as_ref().unwrap_or_else(|| config.get(name)) {
                Value::Yes => Truth::Yes,
                Value::Module => Truth::Module,
                // A text or number where a truth is asked for is `n`.
                _ => Truth::No,
            },
            Self::Text(text) => {
                if text == "y" {
                    Truth::Yes
                } else {
                    Truth::No
                }
            }
            Self::Macro(_) => Truth::Unknown,
            Self::Not(inner) => match inner.truth(config) {
                Truth::No => Truth::Yes,
                Truth::Module => Truth::Module,
                Truth::Yes => Truth::No,
                Truth::Unknown => Truth::Unknown,
            },
            Self::And(one, two) => both(one.truth(config), two.truth(config)),
            Self::Or(one, two) => either(one.truth(config), two.truth(config)),
            Self::Compare(op, one, two) => match (one.word(config), two.word(config)) {
                (Some(one), Some(two)) if op.holds(compare(&one, &two)) => Truth::Yes,
                (Some(_), Some(_)) => Truth::No,
                _ => Truth::Unknown,
            },
        }
    }

    /// The text to compare; `None` where a macro decides.
    fn word(&self, config: &DotConfig) -> Option<String> {
        match self {
            Self::Symbol(name) if config.mentions(name) => Some(plain(config.get(name))),
            // A symbol that is not there compares as `n`, a word that is no symbol as itself.
            Self::Symbol(name) if name.bytes().any(|byte| byte.is_ascii_uppercase()) => Some("n".into()),
            Self::Symbol(name) | Self::Text(name) => Some(name.clone()),
            _ => None,
        }
    }
}

fn plain(value: &Value) -> String {
    if let Value::Text(text) = value { text.clone() } else { value.to_string() }
}

fn constant(name: &str) -> Option<Value> {
    match name {
        "y" => Some(Value::Yes),
        "m" => Some(Value::Module),
        "n" => Some(Value::No),
        _ => None,
    }
}

fn both(one: Truth, two: Truth) -> Truth {
    match (one, two) {
        (Truth::No, _) | (_, Truth::No) => Truth::No,
        (Truth::Unknown, _) | (_, Truth::Unknown) => Truth::Unknown,
        (Truth::Module, _) | (_, Truth::Module) => Truth::Module,
        (Truth::Yes, Truth::Yes) => Truth::Yes,
    }
}

fn either(one: Truth, two: Truth) -> Truth {
    match (one, two) {
        (Truth::Yes, _) | (_, Truth::Yes) => Truth::Yes,
        (Truth::Unknown, _) | (_, Truth::Unknown) => Truth::Unknown,
        (Truth::Module, _) | (_, Truth::Module) => Truth::Module,
        (Truth::No, Truth::No) => Truth::No,
    }
}

/// Numbers by their size, everything else as text.
fn compare(one: &str, two: &str) -> Ordering {
    let number = |text: &str| {
        let hex = text.strip_prefix("0x");
        hex.map_or_else(|| text.parse().ok(), |digits| i128::from_str_radix(digits, 16).ok())
    };
    match (number(one), number(two)) {
        (Some(one), Some(two)) => one.cmp(&two),
        _ => one.cmp(two),
    }
}

impl Op {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "=" => Self::Equal,
            "!=" => Self::Unequal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = |f: &mut fmt::Formatter<'_>, inner: &Self| match inner {
            Self::Or(..) | Self::And(..) => write!(f, "({inner})"),
            _ => write!(f, "{inner}"),
        };
        match self {
            Self::Symbol(name) | Self::Macro(name) => f.write_str(name),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Not(inner) => {
                f.write_str("!")?;
                within(f, inner)
            }
            Self::And(one, two) => {
                let side = |f: &mut fmt::Formatter<'_>, side: &Self| match side {
                    Self::Or(..) => write!(f, "({side})"),
                    _ => write!(f, "{side}"),
                };
                side(f, one)?;
                f.write_str(" && ")?;
                side(f, two)
            }
            Self::Or(one, two) => write!(f, "{one} || {two}"),
            Self::Compare(op, one, two) => write!(f, "{one} {} {two}", op.sign()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Macro(String),
    Sign(&'static str),
}

const SIGNS: [&str; 11] = ["&&", "||", "!=", "<=", ">=", "(", ")", "!", "=", "<", ">"];

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let length = if rest.starts_with('$') {
            let length = super::line::macro_length(rest)?;
            found.push(Token::Macro(rest[..length].to_owned()));
            length
        } else if let Some(quote) = rest.chars().next().filter(|char| ['"', '\''].contains(char)) {
            let end = rest[1..].find(quote)? + 1;
            let inner = &rest[1..end];
            found.push(if inner.starts_with("$(") {
                Token::Macro(inner.into())
            } else {
                Token::Quoted(inner.into())
            });
            end + 1
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            found.push(Token::Sign(sign));
            sign.len()
        } else {
            let is_word = |char: char| char.is_ascii_alphanumeric() || "_-./".contains(char);
            let length = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
            if length == 0 {
                return None;
            }
            found.push(Token::Word(rest[..length].to_owned()));
            length
        };
        rest = rest[length..].trim_start();
    }
    Some(found)
}

struct Parser<'t> {
    tokens: &'t [Token],
    depth: usize,
}

impl Parser<'_> {
    fn eat(&mut self, sign: &str) -> bool {
        match self.tokens {
            [Token::Sign(found), rest @ ..] if *found == sign => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    fn or(&mut self) -> Option<Expr> {
        let mut expr = self.and()?;
        while self.eat("||") {
            expr = Expr::Or(Box::new(expr), Box::new(self.and()?));
        }
        Some(expr)
    }

    fn and(&mut self) -> Option<Expr> {
        let mut expr = self.unary()?;
        while self.eat("&&") {
            expr = Expr::And(Box::new(expr), Box::new(self.unary()?));
        }
        Some(expr)
    }

    fn unary(&mut self) -> Option<Expr> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let expr = if self.eat("!") {
            Some(Expr::Not(Box::new(self.unary()?)))
        } else if self.eat("(") {
            let inner = self.or()?;
            self.eat(")").then_some(inner)
        } else {
            self.comparison()
        };
        self.depth -= 1;
        expr
    }

    fn comparison(&mut self) -> Option<Expr> {
        let one = self.word()?;
        let [Token::Sign(sign), ..] = self.tokens else { return Some(one) };
        let Some(op) = Op::parse(sign) else { return Some(one) };
        self.tokens = &self.tokens[1..];
        Some(Expr::Compare(op, Box::new(one), Box::new(self.word()?)))
    }

    fn word(&mut self) -> Option<Expr> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        match first {
            Token::Word(name) => Some(Expr::Symbol(name.clone())),
            Token::Quoted(text) => Some(Expr::Text(text.clone())),
            Token::Macro(text) => Some(Expr::Macro(text.clone())),
            Token::Sign(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(text: &str) -> Truth {
        let config = DotConfig::parse(
            "CONFIG_Y=y\nCONFIG_M=m\n# CONFIG_N is not set\nCONFIG_V=140200\nCONFIG_S=\"bzImage\"\n",
        );
        Expr::parse(text).unwrap_or_else(|| panic!("{text}")).truth(&config)
    }

    #[test]
    fn expressions_are_worth_what_the_language_says() {
        for (text, worth) in [
            ("Y && M", Truth::Module),
            ("Y && (N || M)", Truth::Module),
            ("!M", Truth::Module),
            ("!N && Y", Truth::Yes),
            ("N || MISSING", Truth::No),
            ("Y != n", Truth::Yes),
            ("MISSING = n", Truth::Yes),
            ("M=m", Truth::Yes),
            ("V >= 50000 && V<200000", Truth::Yes),
            ("V > 200000", Truth::No),
            ("S = \"bzImage\"", Truth::Yes),
            ("$(cc-option,-m(x)) && Y", Truth::Unknown),
            ("$(success,true) && N", Truth::No),
            ("\"$(CC)\" || Y", Truth::Yes),
        ] {
            assert_eq!(truth(text), worth, "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let deep = "(".repeat(100_000);
        for text in ["", "A &&", "A B", "(A", "A)", "!", "A = ", "\"open", "$(open", "A ; B", &deep] {
            assert_eq!(Expr::parse(text), None, "{}", &text[..text.len().min(20)]);
        }
    }

    #[test]
    fn an_expression_is_written_as_it_is_read() {
        for text in ["A && (B || C)", "!(A && B) || C", "A != n && !B", "A || B || C"] {
            let expr = Expr::parse(text).unwrap();
            assert_eq!(expr.to_string(), text);
        }
    }
}
