//! A terminal of 80 by 24: keeps the screen, the plain text, and answers what a real one answers.

use vt100::{Callbacks, Parser, Screen};

const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

/// The screen and the plain text of everything that came.
pub(super) struct Terminal {
    parser: Parser<Answers>,
    plain: Plain,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").field("text", &self.plain.text.len()).finish_non_exhaustive()
    }
}

impl Terminal {
    pub(super) fn new() -> Self {
        let parser = Parser::new_with_callbacks(size(ROWS), size(COLUMNS), 0, Answers::default());
        Self { parser, plain: Plain::default() }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        self.plain.feed(bytes);
    }

    /// What the terminal itself sends to the guest.
    pub(super) fn take_answer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.parser.callbacks_mut().0)
    }

    pub(super) fn screen(&self) -> String {
        self.parser.screen().rows(0, COLUMNS).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn text(&self) -> &str {
        &self.plain.text
    }
}

fn size(count: u16) -> std::num::NonZeroU16 {
    std::num::NonZeroU16::new(count).unwrap_or(std::num::NonZeroU16::MIN)
}

/// Answers to reports that a guest asks of its terminal (ECMA-48, 8.3.35; DEC STD 070).
///
/// Without them, programs that ask for the size of the terminal wait until they give up.
#[derive(Default)]
struct Answers(Vec<u8>);

impl Callbacks for Answers {
    fn unhandled_csi(
        &mut self,
        screen: &mut Screen,
        i1: Option<u8>,
        _: Option<u8>,
        params: &[&[u16]],
        c: char,
    ) {
        let first = params.first().and_then(|p| p.first()).copied().unwrap_or(0);
        let answer = match (i1, first, c) {
            (None, 6, 'n') => {
                let (row, column) = screen.cursor_position();
                format!("\x1b[{};{}R", row + 1, column + 1)
            }
            (None, 5, 'n') => "\x1b[0n".to_owned(),
            (None, 0, 'c') => "\x1b[?62;1c".to_owned(),
            (None, 18, 't') => format!("\x1b[8;{ROWS};{COLUMNS}t"),
            _ => return,
        };
        self.0.extend_from_slice(answer.as_bytes());
    }
}

/// Text without escape sequences and carriage returns.
#[derive(Default)]
struct Plain {
    text: String,
    state: Escape,
    /// Bytes of a character that is not whole yet.
    pending: Vec<u8>,
}

#[derive(Default, Clone, Copy)]
enum Escape {
    #[default]
    Text,
    Started,
    /// Until a byte from 0x40 to 0x7e.
    Control,
    /// Until BEL or ESC \.
    String,
    /// One more byte.
    Designate,
}

impl Plain {
    fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (Escape::Text, 0x1b) => Escape::Started,
                (Escape::Text, _) => {
                    self.keep(byte);
                    Escape::Text
                }
                (Escape::Started, b'[') => Escape::Control,
                (Escape::Started, b']' | b'P' | b'X' | b'^' | b'_') => Escape::String,
                (Escape::Started, b' '..=b'/') => Escape::Designate,
                (Escape::Started | Escape::Designate, _) => Escape::Text,
                (Escape::Control, 0x40..=0x7e) => Escape::Text,
                (Escape::Control, _) => Escape::Control,
                (Escape::String, 0x07) => Escape::Text,
                (Escape::String, 0x1b) => Escape::Designate,
                (Escape::String, _) => Escape::String,
            };
        }
    }

    fn keep(&mut self, byte: u8) {
        if matches!(byte, 0..=8 | 11..=31 | 127) {
            return;
        }
        self.pending.push(byte);
        match std::str::from_utf8(&self.pending) {
            Ok(text) => self.text.push_str(text),
            Err(error) if error.error_len().is_none() => return,
            Err(_) => self.text.push(char::REPLACEMENT_CHARACTER),
        }
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_has_no_escape_sequences() {
        let mut terminal = Terminal::new();
        terminal.feed(b"\x1b[1;31mred\x1b[0m\r\n\x1b]0;title\x07a\x1b(Bb\x1b]2;x\x1b\\c \xc3");
        terminal.feed(b"\xa4\xff\r\n");
        assert_eq!(terminal.text(), "red\nabc \u{e4}\u{fffd}\n");
    }

    #[test]
    fn the_screen_follows_the_cursor_and_reports_are_answered() {
        let mut terminal = Terminal::new();
        terminal.feed(b"one\x1b[3;5Htwo\x1b[6n\x1b[18t\x1b[c");
        assert!(terminal.screen().starts_with("one\n\n    two\n"));
        assert_eq!(terminal.take_answer(), b"\x1b[3;8R\x1b[8;24;80t\x1b[?62;1c");
        assert!(terminal.take_answer().is_empty());
    }
}
