//! Shows a state. Every screen is a [`Page`]: fixed lines above and below, and rows that scroll between them.
//!
//! The terminal's cursor sits on what has the focus, so that braille displays and screen readers follow it.

pub(crate) mod overlay;
pub(crate) mod page;
pub(crate) mod screens;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Position, Rect},
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use self::page::Page;
use crate::tui::{
    screen::{Place, Screen},
    state::State,
    theme::Theme,
};

/// Smallest terminal whose screens can be used.
const SMALLEST: (u16, u16) = (36, 10);
/// From this height on, lines separate the parts.
const ROOMY: u16 = 16;

/// Draws everything.
pub fn draw(state: &State, theme: Theme, frame: &mut Frame<'_>) {
    let place = state.screen.place();
    let number = Place::ASKED.iter().position(|p| *p == place);
    let step = number.map(|n| format!("{}/{} ", n + 1, Place::ASKED.len())).unwrap_or_default();
    let world = &state.world;
    let surround = Surround {
        names: [format!("{} {} installer", world.product, world.version), world.product.clone()],
        place: format!("{step}{}", place.title()),
        keys: keys(&state.screen),
    };
    let cursor = surround.draw(theme, frame, |width| screens::page(state, theme, width));
    if state.overlay.is_some() {
        overlay::draw(state, theme, frame, frame.area());
    } else if let Some(position) = cursor {
        frame.set_cursor_position(position);
    }
}

/// What the footer says of the keys, the most important first.
type Keys = &'static [(&'static str, &'static str)];

fn keys(screen: &Screen) -> Keys {
    match screen {
        Screen::Disk(_) => {
            &[("Enter", "next"), ("Esc", "back"), ("F1", "help"), ("^C", "leave"), ("F5", "read again")]
        }
        Screen::Consent(_) => &[("Enter", "ERASE"), ("Esc", "back"), ("F1", "help"), ("^C", "leave")],
        Screen::Work(_) => &[("^C", "stop"), ("F1", "help")],
        Screen::Planning => &[("^C", "leave")],
        Screen::Done(_) => &[("Enter", "choose"), ("F1", "help"), ("PgDn", "more")],
        _ => &[("Enter", "next"), ("Esc", "back"), ("F1", "help"), ("^C", "leave")],
    }
}

/// What is around a page: the line at the top, and the keys.
pub(crate) struct Surround {
    /// Names of the program; the first one for which there is room is shown.
    pub(crate) names: [String; 2],
    /// Where this page is among the others.
    pub(crate) place: String,
    /// Keys and what they do.
    pub(crate) keys: Keys,
}

impl Surround {
    /// Draws it with a page for so many columns. Returns where the cursor belongs; the caller puts it there, or into
    /// what lies over the page.
    pub(crate) fn draw(
        &self,
        theme: Theme,
        frame: &mut Frame<'_>,
        page: impl FnOnce(u16) -> Page,
    ) -> Option<Position> {
        let area = frame.area();
        if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
            // A question that lies over it must be answerable nevertheless.
            let text = format!("Too small: {}x{} needed. Ctrl-C leaves.", SMALLEST.0, SMALLEST.1);
            let lines: Vec<Line<'_>> = page::wrap(&text, area.width).into_iter().map(Line::from).collect();
            frame.render_widget(Paragraph::new(lines), area);
            return None;
        }
        let rule = u16::from(area.height >= ROOMY);
        let rows = [1, rule, 0, rule, 1].map(|height| match height {
            0 => Constraint::Length(0),
            height => Constraint::Length(height),
        });
        let [title, upper, body, lower, footer] =
            Layout::vertical([rows[0], rows[1], Constraint::Fill(1), rows[3], rows[4]]).areas(area);
        self.draw_title(theme, frame, title);
        for line in [upper, lower] {
            let text = theme.line().repeat(usize::from(line.width));
            frame.render_widget(Paragraph::new(text), line);
        }
        let margin = if area.width >= 60 { 2 } else { 1 };
        let inner = Rect { x: body.x + margin, width: body.width.saturating_sub(2 * margin), ..body };
        // The last column is for the marks of rows that are hidden.
        let cursor = page(inner.width.saturating_sub(1)).draw(theme, frame, inner);
        self.draw_footer(theme, frame, footer);
        cursor
    }

    fn draw_title(&self, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
        let right = format!("{} ", self.place);
        let room = usize::from(area.width).saturating_sub(right.chars().count() + 2);
        let name = self.names.iter().find(|text| text.chars().count() <= room);
        let name = name.map_or("", String::as_str);
        let text = format!(" {name:<room$} {right}");
        frame.render_widget(Paragraph::new(text).style(theme.title()), area);
    }

    fn draw_footer(&self, theme: Theme, frame: &mut Frame<'_>, area: Rect) {
        let keys = self.keys;
        let width =
            |gap: usize| keys.iter().map(|(key, meaning)| key.len() + meaning.len() + 1 + gap).sum::<usize>();
        let gap = if width(2) < usize::from(area.width) { "  " } else { " " };
        let mut spans = vec![Span::raw(" ")];
        let mut left = usize::from(area.width).saturating_sub(1);
        for (key, meaning) in keys {
            // The least important keys come last and are left out where there is no room; the help names them.
            let needed = key.len() + 1 + meaning.len();
            if needed > left {
                break;
            }
            left = left.saturating_sub(needed + gap.len());
            spans.push(Span::styled(*key, theme.strong()));
            spans.push(Span::styled(format!(" {meaning}{gap}"), Style::new()));
        }
        frame.render_widget(Paragraph::new(Line::from(spans)), area);
    }
}
