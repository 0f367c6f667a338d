//! Help and the question whether to leave.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    symbols::border,
    text::{Line, Span},
    widgets::{Block, Clear, Paragraph},
};

use super::page::wrap;
use crate::tui::{
    help,
    screen::Screen,
    state::{Overlay, State},
    theme::Theme,
};

const ASCII: border::Set<'_> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// Draws what lies over the screen, if anything does.
pub(super) fn draw(state: &State, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
    match &state.overlay {
        None => {}
        Some(Overlay::Help { scroll }) => {
            let place = state.screen.place();
            help(place.title(), help::text(place), *scroll, theme, frame, area);
        }
        Some(Overlay::Leave { at }) => draw_leave(state, *at, theme, frame, area),
    }
}

/// A box in the middle and the area within it.
fn open_box(title: &str, lines: usize, theme: Theme, frame: &mut Frame<'_>, area: Rect) -> Rect {
    let width = box_width(area) + 4;
    let height = u16::try_from(lines + 2).unwrap_or(u16::MAX).min(area.height);
    let place = Rect {
        x: area.x + (area.width.saturating_sub(width)) / 2,
        y: area.y + (area.height - height) / 2,
        width: width.min(area.width),
        height,
    };
    let set = if theme.unicode { border::PLAIN } else { ASCII };
    let block = Block::bordered().border_set(set).title(format!(" {title} "));
    let inner = block.inner(place);
    frame.render_widget(Clear, place);
    frame.render_widget(block, place);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

fn box_width(area: Rect) -> u16 {
    area.width.saturating_sub(4).min(64)
}

/// Shows an explanation, from one of its lines on.
pub(crate) fn help(place: &str, text: &str, scroll: usize, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
    let lines = wrap(&format!("{text}\n\n{}", help::KEYS), box_width(area));
    let inner = open_box(&format!("Help: {place}"), lines.len(), theme, frame, area);
    let first = scroll.min(lines.len().saturating_sub(usize::from(inner.height)));
    let hidden = lines.len() - first > usize::from(inner.height);
    let mut shown: Vec<Line<'_>> = lines.into_iter().skip(first).map(Line::from).collect();
    if hidden && inner.height > 1 {
        shown.truncate(usize::from(inner.height) - 1);
        shown.push(Line::styled("(Down shows more)", theme.strong()));
    }
    frame.render_widget(Paragraph::new(shown), inner);
    frame.set_cursor_position(Position { x: inner.x, y: inner.y });
}

fn draw_leave(state: &State, at: usize, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
    let (title, text) = match &state.screen {
        Screen::Work(_) => (
            "Stop?",
            "The disk's former content is already being removed. A stopped installation leaves a disk that does not start.",
        ),
        Screen::Done(_) => ("Leave?", "What now?"),
        _ => ("Leave?", "Nothing has been written to a disk."),
    };
    let choices: Vec<&str> = state.leave_choices().into_iter().map(|(_, name)| name).collect();
    question((title, text), (&choices, at), theme, frame, area);
}

/// Asks a question with a title and several answers, one of which is marked.
pub(crate) fn question(
    (title, text): (&str, &str),
    (choices, at): (&[&str], usize),
    theme: Theme,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let mut lines: Vec<Line<'_>> = wrap(text, box_width(area)).into_iter().map(Line::from).collect();
    let first = lines.len();
    for (i, name) in choices.iter().enumerate() {
        let (mark, style) =
            if i == at { ("> ", theme.focus()) } else { ("  ", ratatui::style::Style::new()) };
        lines.push(Line::from(Span::styled(format!("{mark}{name} "), style)));
    }
    let inner = open_box(title, lines.len(), theme, frame, area);
    // On a very small terminal the choices matter more than the text.
    let hidden = lines.len().saturating_sub(usize::from(inner.height));
    let row = u16::try_from((first + at).saturating_sub(hidden)).unwrap_or(0);
    frame.render_widget(Paragraph::new(lines.split_off(hidden)), inner);
    frame.set_cursor_position(Position { x: inner.x, y: inner.y + row });
}
