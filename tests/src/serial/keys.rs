//! Keys as a VT220 terminal sends them.

/// A key of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Enter.
    Enter,
    /// Tab.
    Tab,
    /// Shift and Tab.
    BackTab,
    /// Escape.
    Escape,
    /// Backspace.
    Backspace,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow right.
    Right,
    /// Arrow left.
    Left,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// F1 to F12.
    F(u8),
    /// Control and a letter.
    Control(char),
    /// A character.
    Char(char),
}

impl Key {
    /// The bytes that the terminal sends.
    pub fn sequence(self) -> String {
        let text = match self {
            Self::Enter => "\r",
            Self::Tab => "\t",
            Self::BackTab => "\x1b[Z",
            Self::Escape => "\x1b",
            Self::Backspace => "\x7f",
            Self::Up => "\x1b[A",
            Self::Down => "\x1b[B",
            Self::Right => "\x1b[C",
            Self::Left => "\x1b[D",
            Self::PageUp => "\x1b[5~",
            Self::PageDown => "\x1b[6~",
            Self::F(number) => return function_key(number),
            Self::Control(letter) => return char::from(u8::try_from(letter).unwrap_or(0) & 0x1f).to_string(),
            Self::Char(character) => return character.to_string(),
        };
        text.to_owned()
    }
}

/// The numbers have gaps, as on the VT220; F1 to F4 are those of the VT100.
fn function_key(number: u8) -> String {
    match number {
        1..=4 => format!("\x1bO{}", char::from(b'O' + number)),
        5 => "\x1b[15~".to_owned(),
        6..=10 => format!("\x1b[{}~", number + 11),
        _ => format!("\x1b[{}~", number + 12),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_keys_are_those_of_a_vt220() {
        let sent: Vec<_> = [1, 4, 5, 6, 10, 11, 12].into_iter().map(|n| Key::F(n).sequence()).collect();
        assert_eq!(sent, ["\x1bOP", "\x1bOS", "\x1b[15~", "\x1b[17~", "\x1b[21~", "\x1b[23~", "\x1b[24~"]);
        assert_eq!(Key::Control('c').sequence(), "\x03");
    }
}
