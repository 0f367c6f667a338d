//! Names that devices give themselves, made safe to show.
//!
//! A USB stick chooses its own model, serial and labels: escape sequences, right-to-left overrides and invisible
//! characters in them could repaint the screen or make one disk look like another.

use core::fmt;

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

/// Whether a character is plainly visible, or a space.
pub fn is_plain(c: char) -> bool {
    let hidden = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}'
        | '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}' | '\u{a0}');
    !c.is_control() && !hidden
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn hostile_names_are_escaped() {
        assert_eq!(Shown("Samsung SSD 990").to_string(), "Samsung SSD 990");
        assert_eq!(Shown("a\u{1b}[2Jb").to_string(), "a\\u{1b}[2Jb");
        assert_eq!(Shown("\u{202e}DSS").to_string(), "\\u{202e}DSS");
        assert_eq!(Shown("a\u{200b}b").to_string(), "a\\u{200b}b");
    }
}
