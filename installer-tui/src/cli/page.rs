//! Text for people, 80 columns wide.

use aegis_hw::text::Shown;
use ratatui::text::Span;

/// Columns of a page.
const WIDTH: usize = 80;

/// Lines of text that are no wider than a page.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// The text.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
    }

    /// A line; what is too long loses its middle.
    pub(super) fn line(&mut self, text: &str) {
        self.0.push_str(fit(text.trim_end(), WIDTH).trim_end());
        self.0.push('\n');
    }

    /// A text behind columns; what is too long loses its middle.
    pub(super) fn row(&mut self, columns: &str, text: &str) {
        self.line(&format!("{columns}{}", fit(text, WIDTH.saturating_sub(width(columns)))));
    }

    /// Words behind a head; lines that follow begin below the first word.
    pub(super) fn wrapped(&mut self, head: &str, text: &str) {
        let indent = width(head);
        let room = WIDTH.saturating_sub(indent).max(20);
        let mut line = String::new();
        let mut head = head.to_owned();
        let blank = " ".repeat(indent);
        for word in text.split(' ') {
            let word = fit(word, room);
            if !line.is_empty() && width(&line) + 1 + width(&word) > room {
                self.line(&format!("{head}{line}"));
                head.clone_from(&blank);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
        self.line(&format!("{head}{line}"));
    }
}

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// The text in as many columns: what is too long loses its middle, as names differ at their ends.
pub(super) fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.into();
    }
    let keep = columns.saturating_sub(1);
    let (front, back) = (keep - keep / 2, keep / 2);
    let start: String = taken(text.chars(), front).into_iter().collect();
    let end: String = taken(text.chars().rev(), back).into_iter().rev().collect();
    format!("{start}~{end}")
}

fn taken(chars: impl Iterator<Item = char>, columns: usize) -> Vec<char> {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += width(c.encode_utf8(&mut [0; 4]));
            used <= columns
        })
        .collect()
}

/// The text, followed by spaces up to a width.
pub(super) fn column(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    let blank = columns.saturating_sub(width(&text));
    format!("{text}{}", " ".repeat(blank))
}

/// Text of a device made safe to show; a word for none.
pub(super) fn shown(text: Option<&str>, none: &str) -> String {
    text.map_or_else(|| none.into(), |text| Shown(text).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(fit("abcdefghij", 10), "abcdefghij");
        assert_eq!(fit("abcdefghijk", 10), "abcde~hijk");
        assert_eq!(fit("abc", 0), "~");
        assert_eq!(fit("磁盘磁盘磁盘磁盘", 7), "磁~盘");
        assert_eq!(column("ab", 4), "ab  ");
    }

    #[test]
    fn words_are_wrapped_below_the_first() {
        let mut page = Page::default();
        page.wrapped("note  ", &["word"; 20].join(" "));
        page.wrapped("", &"x".repeat(200));
        let text = page.into_text();
        assert!(text.lines().all(|line| width(line) <= 80), "{text}");
        assert!(text.lines().nth(1).unwrap().starts_with("      word"));
    }
}
