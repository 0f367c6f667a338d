//! A list of which one line is chosen; typing narrows it.

use super::keys::Key;

/// A list. Lines are shown only while they contain every typed word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    lines: Vec<String>,
    /// Typed text.
    pub filter: String,
    /// Index of the chosen line within the visible ones.
    at: usize,
}

/// Lines that a page key moves by.
const PAGE: usize = 10;

impl List {
    /// A list with the first line, or the one at `chosen`, chosen.
    pub fn new(lines: Vec<String>, chosen: Option<usize>) -> Self {
        Self { lines, filter: String::new(), at: chosen.unwrap_or(0) }
    }

    /// Visible lines with their index in the whole list.
    pub fn visible(&self) -> Vec<(usize, &str)> {
        let words: Vec<String> = self.filter.split_whitespace().map(str::to_lowercase).collect();
        let shown = |line: &str| {
            let line = line.to_lowercase();
            words.iter().all(|word| line.contains(word))
        };
        self.lines.iter().map(String::as_str).enumerate().filter(|(_, line)| shown(line)).collect()
    }

    /// Index of the chosen line in the whole list; `None` when nothing is visible.
    pub fn chosen(&self) -> Option<usize> {
        self.visible().get(self.at).map(|(index, _)| *index)
    }

    /// Index of the chosen line within the visible ones.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Moves or narrows. `false` for a key that means nothing here.
    pub fn key(&mut self, key: Key) -> bool {
        let last = self.visible().len().saturating_sub(1);
        match key {
            Key::Up => self.at = self.at.saturating_sub(1),
            Key::Down => self.at = (self.at + 1).min(last),
            Key::PageUp => self.at = self.at.saturating_sub(PAGE),
            Key::PageDown => self.at = (self.at + PAGE).min(last),
            Key::Home => self.at = 0,
            Key::End => self.at = last,
            Key::Char(c) => {
                self.filter.push(c);
                self.at = 0;
            }
            Key::Backspace => {
                self.filter.pop();
                self.at = 0;
            }
            Key::Clear => {
                self.filter.clear();
                self.at = 0;
            }
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_narrows_and_moving_stays_inside() {
        let lines = ["Europe/Berlin", "Europe/Paris", "America/New_York"].map(String::from).to_vec();
        let mut list = List::new(lines, Some(1));
        assert_eq!(list.chosen(), Some(1));
        "NEW am".chars().for_each(|c| assert!(list.key(Key::Char(c))));
        assert_eq!(list.chosen(), Some(2));
        list.key(Key::Char('x'));
        assert_eq!(list.chosen(), None);
        list.key(Key::Down);
        (0..9).for_each(|_| assert!(list.key(Key::Backspace)));
        list.key(Key::PageDown);
        assert_eq!(list.chosen(), Some(2));
        list.key(Key::Home);
        list.key(Key::Up);
        assert_eq!(list.chosen(), Some(0));
        assert!(!list.key(Key::Enter));
    }
}
