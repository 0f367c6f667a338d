//! The progress of many devices: one row each, two where the terminal is narrow.

use aegis_hw::Bytes;
use ratatui::{
    style::Style,
    text::{Line, Span},
};

use crate::{
    flash::{
        Phase,
        dialog::{
            screen::{Row, Work},
            world::Device,
        },
    },
    tui::{
        draw::{
            page::{Page, cut},
            screens::bar,
        },
        theme::Theme,
    },
};

/// Columns of a row, apart from the device and the bar.
const PLACE: usize = 9;
const WORD: usize = 9;
const RATE: usize = 11;
const LEFT: usize = 7;
/// From this width on, one row is enough for a device.
const WIDE: u16 = 66;
/// Most columns for model and serial number.
const LONGEST: u16 = 40;

/// The page of a session that writes.
pub(super) fn work(page: &mut Page, work: &Work, theme: Theme, width: u16) {
    let who = who_width(width);
    if width >= WIDE {
        let state = "State".to_owned();
        let heading =
            format!("{:<PLACE$} {:<who$} {state:<WORD$} Done", "Port", "Device", who = usize::from(who));
        let rest = usize::from(width).saturating_sub(heading.chars().count());
        let right = format!("{:>RATE$} {:>LEFT$}", "Speed", "Left");
        page.head.push(Line::styled(format!("{heading}{right:>rest$}"), theme.strong()));
    }
    for (i, (device, row)) in work.devices.iter().zip(&work.rows).enumerate() {
        let first = page.rows.len();
        let focused = i == work.at;
        match width >= WIDE {
            true => page.rows.push(wide(device, row, focused, theme, width)),
            false => page.rows.extend(narrow(device, row, focused, theme, width)),
        }
        if focused {
            page.focus = (first, page.rows.len() - 1);
            page.cursor = Some((first, 0));
        }
    }
    tail(page, work, theme, width);
}

fn who_width(width: u16) -> u16 {
    // Two thirds of what the other columns leave; the bar has the rest.
    let fixed = u16::try_from(PLACE + WORD + RATE + LEFT + 5).unwrap_or(0);
    (width.saturating_sub(fixed) * 5 / 9).min(LONGEST)
}

fn place(device: &Device) -> String {
    cut(&device.place, u16::try_from(PLACE).unwrap_or(u16::MAX))
}

fn who(device: &Device, width: u16) -> String {
    // What names it is said once.
    let named = device.candidate.model.ends_with(&device.tail) || device.place == device.tail;
    let text = match named {
        true => device.candidate.model.clone(),
        false => format!("{} {}", device.candidate.model, device.tail),
    };
    format!("{:<width$}", cut(&text, width), width = usize::from(width))
}

/// The state as a word with a style of its own.
fn word(row: &Row, theme: Theme) -> (String, Style) {
    match (row.phase, row.waits.or(row.awaited)) {
        (Some(Phase::Complete), _) => (row.word(), theme.success()),
        (Some(Phase::Failed), _) => (row.word(), theme.danger()),
        (_, Some(_)) if row.awaited.is_none() => ("no answer".into(), theme.danger()),
        (_, Some(_)) => (row.word(), theme.danger()),
        _ => (row.word(), Style::new()),
    }
}

/// The bar, or the bytes where the end is not known.
fn share(row: &Row, theme: Theme, width: u16) -> String {
    let room = usize::from(width);
    match (row.total, row.bytes) {
        (Some(total), bytes) => bar(bytes, total, theme, width),
        (None, 0) => " ".repeat(room),
        (None, bytes) => format!("{:>room$}", Bytes(bytes).to_string()),
    }
}

fn speed(row: &Row) -> String {
    if row.rate > 0 { format!("{}/s", Bytes(row.rate)) } else { String::new() }
}

/// `m:ss`, or hours and minutes.
fn left(row: &Row) -> String {
    match row.eta {
        None => String::new(),
        Some(s @ 0..3600) => format!("{}:{:02}", s / 60, s % 60),
        Some(s @ 3600..360_000) => format!("{}h{:02}", s / 3600, s / 60 % 60),
        Some(_) => ">99h".into(),
    }
}

fn styled(spans: [(String, Style); 3], focused: bool, theme: Theme) -> Line<'static> {
    let focus = |style: Style| if focused { style.patch(theme.focus()) } else { style };
    Line::from(spans.map(|(text, style)| Span::styled(text, focus(style))).to_vec())
}

fn wide(device: &Device, row: &Row, focused: bool, theme: Theme, width: u16) -> Line<'static> {
    let name = who(device, who_width(width));
    let (word, style) = word(row, theme);
    let start = format!("{:<PLACE$} {name} ", place(device));
    let end = format!(" {:>RATE$} {:>LEFT$}", speed(row), left(row));
    let used = start.chars().count() + WORD + 1 + end.chars().count();
    let room = u16::try_from(usize::from(width).saturating_sub(used)).unwrap_or(0);
    let end = format!(" {}{end}", share(row, theme, room));
    styled([(start, Style::new()), (format!("{word:<WORD$}"), style), (end, Style::new())], focused, theme)
}

fn narrow(device: &Device, row: &Row, focused: bool, theme: Theme, width: u16) -> [Line<'static>; 2] {
    let (word, style) = word(row, theme);
    let place = place(device);
    let room = usize::from(width).saturating_sub(place.chars().count() + WORD + 2);
    let name = who(device, u16::try_from(room).unwrap_or(0));
    let first = [(format!("{place} {name} "), Style::new()), (format!("{word:<WORD$}"), style)];
    let [start, end] = first;
    let rest = format!(" {:>RATE$} {:>6}", speed(row), left(row));
    let room = width.saturating_sub(u16::try_from(rest.chars().count() + 2).unwrap_or(0));
    let second = Line::from(format!("  {}{rest}", share(row, theme, room)));
    [styled([start, end, (String::new(), Style::new())], focused, theme), second]
}

/// The device at the cursor in full, then all of them together.
fn tail(page: &mut Page, work: &Work, theme: Theme, width: u16) {
    if let (Some(device), Some(row)) = (work.devices.get(work.at), work.rows.get(work.at)) {
        let waits = match (row.awaited, row.waits) {
            (Some(seconds), _) => format!("pulled out, waiting for {seconds} s: "),
            (None, Some(seconds)) => format!("no answer for {seconds} s: "),
            (None, None) => String::new(),
        };
        let text = format!("{waits}{}, {}", device.candidate.model, device.candidate.details);
        page.tail.push(Line::from(cut(&text, width)));
    }
    let (complete, failed, open) = work.counts();
    let rate: u64 = work.rows.iter().map(|row| row.rate).sum();
    let rate = if width >= WIDE { format!("; {}/s in all", Bytes(rate)) } else { String::new() };
    let text = match work.stopping {
        true => format!("Stopping {open}; {complete} complete, {failed} failed."),
        false => format!("{complete} complete, {failed} failed, {open} to go{rate}"),
    };
    page.tail.push(Line::styled(cut(&text, width), theme.strong()));
}
