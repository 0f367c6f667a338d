//! Keys, independent of the terminal.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A key that means something to a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// Accepts.
    Enter,
    /// Goes back.
    Esc,
    /// Next field.
    Tab,
    /// Previous field.
    BackTab,
    /// One up.
    Up,
    /// One down.
    Down,
    /// One to the left.
    Left,
    /// One to the right.
    Right,
    /// To the start.
    Home,
    /// To the end.
    End,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// Removes to the left.
    Backspace,
    /// Removes to the right.
    Delete,
    /// Ctrl-U: empties the field.
    Clear,
    /// F1.
    Help,
    /// F5.
    Refresh,
    /// Ctrl-C: asks whether to leave.
    Interrupt,
    /// Ctrl-L: paints everything again.
    Redraw,
}

impl Key {
    /// From the terminal; `None` for what no screen uses.
    pub fn from_terminal(event: KeyEvent) -> Option<Self> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        if event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
            return match (event.code, event.modifiers.contains(KeyModifiers::CONTROL)) {
                (KeyCode::Char('c'), true) => Some(Self::Interrupt),
                (KeyCode::Char('l'), true) => Some(Self::Redraw),
                (KeyCode::Char('u'), true) => Some(Self::Clear),
                // Serial terminals send it for the backspace key.
                (KeyCode::Char('h'), true) => Some(Self::Backspace),
                // AltGr on some terminals, without which many characters cannot be typed.
                (KeyCode::Char(c), false) => Some(Self::Char(c)),
                _ => None,
            };
        }
        Some(match event.code {
            KeyCode::Char(c) => Self::Char(c),
            KeyCode::Enter => Self::Enter,
            KeyCode::Esc => Self::Esc,
            KeyCode::Tab => Self::Tab,
            KeyCode::BackTab => Self::BackTab,
            KeyCode::Up => Self::Up,
            KeyCode::Down => Self::Down,
            KeyCode::Left => Self::Left,
            KeyCode::Right => Self::Right,
            KeyCode::Home => Self::Home,
            KeyCode::End => Self::End,
            KeyCode::PageUp => Self::PageUp,
            KeyCode::PageDown => Self::PageDown,
            KeyCode::Backspace => Self::Backspace,
            KeyCode::Delete => Self::Delete,
            KeyCode::F(1) => Self::Help,
            KeyCode::F(5) => Self::Refresh,
            _ => return None,
        })
    }
}
