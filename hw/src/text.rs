//! Names that devices give themselves, made safe to show.
//!
//! A USB stick chooses its own model and serial: escape sequences, right-to-left overrides and invisible
//! characters in them could repaint the screen or make one disk look like another.

use std::fmt;

/// Shows text with every character escaped that is not plainly visible.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            c if is_plain(c) => write!(f, "{c}"),
            c => write!(f, "{}", c.escape_unicode()),
        })
    }
}

pub(crate) fn is_plain(c: char) -> bool {
    let hidden = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}'
        | '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}' | '\u{a0}');
    !c.is_control() && !hidden
}

/// Text that a device reported: runs of white space become one space, the ends are trimmed; `None` when nothing is left.
pub fn reported(raw: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(raw);
    let words: Vec<&str> =
        text.split(|c: char| c == '\0' || c.is_whitespace()).filter(|w| !w.is_empty()).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_escaped() {
        assert_eq!(Shown("Samsung SSD 990").to_string(), "Samsung SSD 990");
        assert_eq!(Shown("a\u{1b}[2Jb").to_string(), "a\\u{1b}[2Jb");
        assert_eq!(Shown("\u{202e}DSS").to_string(), "\\u{202e}DSS");
        assert_eq!(Shown("a\u{200b}b").to_string(), "a\\u{200b}b");
    }

    #[test]
    fn reported_text_is_trimmed() {
        assert_eq!(reported(b"  WDC   WD10\0\0\n").as_deref(), Some("WDC WD10"));
        assert_eq!(reported(b" \0\n"), None);
    }
}
