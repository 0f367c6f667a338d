//! A body: fixed lines above and below, rows that scroll between them.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use crate::tui::theme::Theme;

/// The body of a screen.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) head: Vec<Line<'static>>,
    pub(crate) rows: Vec<Line<'static>>,
    pub(crate) tail: Vec<Line<'static>>,
    /// First and last row that must be visible.
    pub(crate) focus: (usize, usize),
    /// Where the cursor is, relative to a row.
    pub(crate) cursor: Option<(usize, u16)>,
    /// Where the cursor is when it is in the fixed lines below.
    pub(crate) tail_cursor: Option<usize>,
    width: u16,
}

/// Rows that are kept for the middle when the fixed lines need more than there is.
const LEAST_ROWS: usize = 3;

impl Page {
    pub(crate) fn new(width: u16) -> Self {
        Self { width, ..Self::default() }
    }

    /// Adds text above, with an empty line below it.
    pub(crate) fn head(&mut self, text: &str, style: Style) {
        self.head.extend(styled(text, self.width, style));
        self.head.push(Line::default());
    }

    /// Adds text below.
    pub(crate) fn tail(&mut self, text: &str, style: Style) {
        self.tail.extend(styled(text, self.width, style));
    }

    /// Adds text that scrolls.
    pub(crate) fn row(&mut self, text: &str, style: Style) {
        self.rows.push(Line::from(Span::styled(cut(text, self.width), style)));
    }

    /// Adds text that scrolls, over as many rows as it needs.
    pub(crate) fn rows(&mut self, text: &str, style: Style) {
        self.rows.extend(styled(text, self.width, style));
    }

    /// Draws and returns the place of the cursor.
    pub(crate) fn draw(mut self, theme: Theme, frame: &mut Frame<'_>, area: Rect) -> Option<Position> {
        let height = usize::from(area.height);
        let least = LEAST_ROWS.min(self.rows.len());
        self.tail.truncate(height.saturating_sub(least));
        // What does not fit is first the empty lines, then the end of the introduction.
        if self.head.len() + self.tail.len() + self.rows.len() > height {
            self.head.retain(|line| line.width() > 0);
        }
        self.head.truncate(height.saturating_sub(least + self.tail.len()));
        let room = height - self.head.len() - self.tail.len();
        let first = first_row(self.focus, self.rows.len(), room);
        let shown: Vec<Line<'static>> = self.rows.iter().skip(first).take(room).cloned().collect();
        let (above, below) = (first > 0, first + room < self.rows.len());
        let top = self.head.len();
        let count = shown.len();
        frame.render_widget(Paragraph::new([self.head, shown].concat()), area);
        let tail_y = area.bottom().saturating_sub(u16::try_from(self.tail.len()).unwrap_or(0));
        let tail_cursor = self.tail_cursor.and_then(|row| u16::try_from(row).ok());
        frame.render_widget(
            Paragraph::new(self.tail),
            Rect { y: tail_y, height: area.bottom() - tail_y, ..area },
        );
        mark_more(theme, frame, area, (above, top), (below, top + count));
        if let Some(row) = tail_cursor {
            return Some(Position { x: area.x, y: tail_y.saturating_add(row) });
        }
        let (row, column) = self.cursor?;
        let y = u16::try_from(top + row.checked_sub(first)?).ok()?;
        (y < area.height)
            .then(|| Position { x: area.x + column.min(area.width.saturating_sub(1)), y: area.y + y })
    }
}

/// Marks at the right edge that rows are hidden above or below.
fn mark_more(theme: Theme, frame: &mut Frame<'_>, area: Rect, above: (bool, usize), below: (bool, usize)) {
    let (up, down) = if theme.unicode { ("↑", "↓") } else { ("^", "v") };
    let mut mark = |sign: &'static str, row: usize| {
        let Ok(row) = u16::try_from(row) else { return };
        let place = Rect { x: area.right().saturating_sub(1), y: area.y + row, width: 1, height: 1 };
        frame.render_widget(Paragraph::new(sign).style(theme.strong()), place);
    };
    if above.0 {
        mark(up, above.1);
    }
    if below.0 && below.1 > 0 {
        mark(down, below.1 - 1);
    }
}

/// First row to show, so that the focus is visible with a row before and after it where there are some.
fn first_row(focus: (usize, usize), count: usize, room: usize) -> usize {
    let last = (focus.1 + 2).min(count);
    let first = last.saturating_sub(room);
    // With little room the row after the focus is given up.
    first.min(focus.0)
}

fn styled(text: &str, width: u16, style: Style) -> Vec<Line<'static>> {
    wrap(text, width).into_iter().map(|line| Line::from(Span::styled(line, style))).collect()
}

/// Breaks text into lines of at most `width` columns, at spaces where there are some. Lines that continue one
/// are indented like it.
pub(crate) fn wrap(text: &str, width: u16) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let words = paragraph.trim_start_matches(' ');
        let indent = " ".repeat((paragraph.len() - words.len()).min(usize::from(width / 2)));
        wrap_words(words, &indent, usize::from(width.max(1)), &mut lines);
    }
    lines
}

fn wrap_words(words: &str, indent: &str, width: usize, lines: &mut Vec<String>) {
    let columns = |text: &str| Line::from(text).width();
    let room = width - indent.len();
    let mut line = String::new();
    for word in words.split(' ') {
        let mut word = word.to_string();
        if !line.is_empty() && columns(&line) + 1 + columns(&word) > room {
            lines.push(format!("{indent}{}", std::mem::take(&mut line)));
        }
        while columns(&word) > room {
            lines.push(format!("{indent}{}", word.chars().take(room).collect::<String>()));
            word = word.chars().skip(room).collect();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.push(format!("{indent}{line}"));
}

/// Shortens in the middle, where the least is lost: both model and serial number stay readable.
pub(crate) fn cut(text: &str, width: u16) -> String {
    let width = usize::from(width);
    let count = text.chars().count();
    if count <= width || width < 8 {
        return text.chars().take(width).collect();
    }
    let left = (width - 3) / 2;
    let right = width - 3 - left;
    let start: String = text.chars().take(left).collect();
    let end: String = text.chars().skip(count - right).collect();
    format!("{start}...{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_and_cut() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrap("a\n\nb", 9), ["a", "", "b"]);
        assert_eq!(wrap("  - one two", 7), ["  - one", "  two"]);
        assert_eq!(cut("Samsung SSD 990 PRO S6B0NL0W", 15), "Samsun...B0NL0W");
        assert_eq!(cut("short", 15), "short");
    }

    #[test]
    fn the_focus_is_always_visible() {
        for count in 1..30usize {
            for room in 1..12 {
                for at in 0..count {
                    let first = first_row((at, at), count, room);
                    assert!((first..first + room).contains(&at), "{at} of {count} in {room}: {first}");
                    assert!(first == 0 || first + room <= count.max(room));
                }
            }
        }
    }
}
