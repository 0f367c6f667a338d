//! The page of each screen.

use aegis_hw::Bytes;
use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::page::{Page, cut};
use crate::{
    progress::Step,
    tui::{
        form::{Field, Value},
        screen::{Choose, Consent, DiskChoice, Done, FormScreen, Review, Screen, Work},
        state::State,
        theme::Theme,
        world::Candidate,
    },
};

/// The page of the present screen.
pub(super) fn page(state: &State, theme: Theme, width: u16) -> Page {
    let mut page = Page::new(width);
    match &state.screen {
        Screen::Choose(screen) => choose(&mut page, screen, state, theme, width),
        Screen::Form(screen) => form(&mut page, screen, state, theme, width),
        Screen::Disk(screen) => disk(&mut page, screen, state, theme),
        Screen::Planning => page.row("Making the plan.", Style::new()),
        Screen::Review(screen) => review(&mut page, screen, theme),
        Screen::Consent(screen) => consent(&mut page, screen, theme, width),
        Screen::Work(screen) => work(&mut page, screen, theme, width),
        Screen::Done(screen) => done(&mut page, screen, theme),
    }
    if let Some(notice) = &state.notice {
        page.tail(notice, theme.danger());
    }
    page
}

fn choose(page: &mut Page, screen: &Choose, state: &State, theme: Theme, width: u16) {
    if screen.question().contains("language") {
        page.head(&format!("Welcome to {}.", state.world.product), theme.strong());
    }
    let question = screen.question();
    page.head(question, Style::new());
    let at = screen.list.position();
    let visible = screen.list.visible();
    for (i, (_, line)) in visible.iter().enumerate() {
        let (mark, style) = if i == at { ("> ", theme.focus()) } else { ("  ", Style::new()) };
        page.row(&format!("{mark}{line} "), style);
    }
    if visible.is_empty() {
        page.row("Nothing in the list has these letters.", Style::new());
    }
    page.focus = (at, at);
    page.cursor = Some((at, 0));
    if !screen.list.filter.is_empty() {
        let text = format!("Only with: {}   (Esc shows all)", screen.list.filter);
        page.tail.push(Line::from(cut(&text, width)));
    }
}

/// Columns of the names of fields.
const LABEL: usize = 14;

fn form(page: &mut Page, screen: &FormScreen, state: &State, theme: Theme, width: u16) {
    page.head(&screen.introduction(&state.world), Style::new());
    let mut row = 0;
    for (i, field) in screen.form.fields.iter().enumerate().filter(|(_, field)| !field.hidden) {
        let focused = i == screen.form.focus;
        let room = usize::from(width).saturating_sub(LABEL + 3);
        let (text, column) = value(field, room);
        let style = if focused { theme.focus() } else { Style::new() };
        page.rows.push(Line::from(vec![
            Span::styled(
                format!("{:<LABEL$}", field.label),
                if focused { theme.strong() } else { Style::new() },
            ),
            Span::raw("["),
            Span::styled(format!("{text:<room$}"), style),
            Span::raw("]"),
        ]));
        let mut last = row;
        if let Some(problem) = &field.problem {
            page.rows(&format!("  ! {} {problem}", field.label), theme.danger());
            last = page.rows.len() - 1;
        }
        if focused {
            page.focus = (row, last);
            page.cursor = Some((row, u16::try_from(LABEL + 1 + column).unwrap_or(u16::MAX)));
            page.tail(&format!("{}: {}.", field.label, field.hint), Style::new());
        }
        row = page.rows.len();
    }
}

/// What is shown of a field in a number of columns, and the column of the cursor.
fn value(field: &Field, room: usize) -> (String, usize) {
    match &field.value {
        Value::Choice(_, _) => (format!("< {} >", field.content()), 0),
        Value::Secret(secret) => {
            let shown = secret.reveal().chars().count().min(room.saturating_sub(1));
            ("*".repeat(shown), shown)
        }
        Value::Text(text, cursor) => {
            // A long text is moved so that the cursor stays visible.
            let skipped = (cursor + 1).saturating_sub(room);
            (text.chars().skip(skipped).take(room).collect(), cursor - skipped)
        }
    }
}

fn disk(page: &mut Page, screen: &DiskChoice, state: &State, theme: Theme) {
    page.head("Which disk shall be erased and hold the system?", theme.strong());
    if state.world.disks.is_empty() {
        page.rows("No disk was found. Connect one and press F5.", Style::new());
    }
    for (i, disk) in state.world.disks.iter().enumerate() {
        let first = page.rows.len();
        let marked = screen.at == Some(i);
        let lost = match disk.refusals.is_empty() && !disk.target.lost.is_empty() {
            true => vec![format!("has {}", disk.target.lost.join(", "))],
            false => Vec::new(),
        };
        candidate(page, disk, if marked { "> " } else { "  " }, marked, &lost, theme);
        if marked {
            page.focus = (first, page.rows.len() - 1);
            page.cursor = Some((first, 0));
        }
    }
    if let Some(notice) = screen.notice {
        page.tail(notice, theme.strong());
    }
}

/// A disk of a list: its name behind a mark, what is known of it, the reasons against it or what is on it.
pub(crate) fn candidate(
    page: &mut Page,
    candidate: &Candidate,
    mark: &str,
    focused: bool,
    holds: &[String],
    theme: Theme,
) {
    let usable = candidate.refusals.is_empty();
    let style = match (focused, usable) {
        (true, _) => theme.focus(),
        (false, true) => theme.strong(),
        (false, false) => theme.refused(),
    };
    let word = if usable { "" } else { " (not available)" };
    page.row(&format!("{mark}{}{word} ", candidate.model), style);
    let plain = if usable { Style::new() } else { theme.refused() };
    page.rows(&format!("    {}", candidate.details), plain);
    candidate.refusals.iter().for_each(|reason| page.rows(&format!("    - {reason}"), plain));
    holds.iter().for_each(|line| page.rows(&format!("    {line}"), plain));
}

fn review(page: &mut Page, screen: &Review, theme: Theme) {
    page.head("This will be done. Nothing has been written so far.", theme.strong());
    for line in screen.lines() {
        let style = if line.starts_with("ERASE") { theme.danger() } else { Style::new() };
        page.rows(&line, style);
    }
    // The first line that is shown is the one with the focus; the arrow keys move it.
    let first = screen.scroll.min(page.rows.len().saturating_sub(1));
    page.rows.drain(..first);
    page.cursor = Some((0, 0));
    page.tail("Up and Down scroll; Enter goes to the last question.", Style::new());
}

fn consent(page: &mut Page, screen: &Consent, theme: Theme, width: u16) {
    let target = &screen.plan.target;
    page.head(&format!("ERASE {}", target.description), theme.danger());
    let lost = if target.lost.is_empty() { "Everything on it".into() } else { target.lost.join(", ") };
    page.head(&format!("{lost} will be lost. This cannot be undone."), Style::new());
    page.rows(&format!("To go on, type {}", target.token), theme.strong());
    entry(page, &screen.typed, screen.cursor, theme, width);
    if screen.wrong {
        page.tail("! That is something else. Nothing has been written.", theme.danger());
    }
}

/// A line to type into, which has the focus. A long text is moved so that the cursor stays visible.
pub(crate) fn entry(page: &mut Page, typed: &str, cursor: usize, theme: Theme, width: u16) {
    let room = usize::from(width).saturating_sub(2);
    let skipped = (cursor + 1).saturating_sub(room);
    let text: String = typed.chars().skip(skipped).take(room).collect();
    let row = page.rows.len();
    page.rows.push(Line::from(vec![
        Span::raw("["),
        Span::styled(format!("{text:<room$}"), theme.focus()),
        Span::raw("]"),
    ]));
    page.focus = (row, row);
    page.cursor = Some((row, u16::try_from(1 + cursor - skipped).unwrap_or(u16::MAX)));
}

fn work(page: &mut Page, screen: &Work, theme: Theme, width: u16) {
    for step in Step::ALL {
        let done = screen.done.iter().find(|(s, _)| *s == step);
        let running = screen.step == Some(step);
        let mark = match (done, running) {
            (Some(_), _) => "[x]",
            (None, true) => "[>]",
            (None, false) => "[ ]",
        };
        let time = done.map(|(_, ms)| format!(" {}.{} s", ms / 1000, ms % 1000 / 100)).unwrap_or_default();
        let style = if running { theme.strong() } else { Style::new() };
        if running {
            page.focus = (page.rows.len(), page.rows.len());
            page.cursor = Some((page.rows.len(), 0));
        }
        page.row(&format!("{mark} {step}{time}"), style);
    }
    let (bytes, total, rate, eta) = screen.amount;
    page.tail.push(Line::from(bar(bytes, total, theme, width)));
    let left = eta.map(|s| format!(", {}:{:02} left", s / 60, s % 60)).unwrap_or_default();
    let text = match (screen.stopping, screen.step, total) {
        (true, _, _) => "Stopping ...".into(),
        (false, Some(_), 0) => "Please wait.".into(),
        (false, Some(_), _) => format!("{} of {}, {}/s{left}", Bytes(bytes), Bytes(total), Bytes(rate)),
        (false, None, _) => String::new(),
    };
    page.tail.push(Line::from(cut(&text, width)));
}

/// A bar with the share in per cent behind it, in so many columns.
pub(crate) fn bar(bytes: u64, total: u64, theme: Theme, width: u16) -> String {
    let (full, empty) = theme.bar();
    let cells = u64::from(width.saturating_sub(6));
    let share = |of: u64| u128::from(bytes.min(total)) * u128::from(of) / u128::from(total.max(1));
    let filled = usize::try_from(share(cells)).unwrap_or(0);
    let rest = usize::try_from(cells).unwrap_or(0) - filled;
    format!("{}{} {:>3} %", full.repeat(filled), empty.repeat(rest), share(100))
}

fn done(page: &mut Page, screen: &Done, theme: Theme) {
    match &screen.result {
        Ok(disk) => {
            page.head("The system is installed.", theme.success());
            let text =
                format!("It was read back and compared: {disk}. Remove the medium before the restart.");
            page.rows(&text, Style::new());
        }
        Err(failure) => {
            page.head("The system is NOT installed.", theme.danger());
            page.rows(&failure.text, Style::new());
        }
    }
    let first = screen.scroll.min(page.rows.len().saturating_sub(1));
    page.rows.drain(..first);
    for (i, (_, name)) in screen.choices.iter().enumerate() {
        let (mark, style) = if i == screen.at { ("> ", theme.focus()) } else { ("  ", Style::new()) };
        page.tail(&format!("{mark}{name} "), style);
    }
    page.tail_cursor = Some(screen.at);
}
