//! Shows a state as a screen. Pure: the same state is the same picture.

mod grid;

use aegis_hw::text::Shown;
use ratatui::{
    Frame,
    style::Style,
    text::{Line, Span},
};

use super::{
    help,
    screen::{Ask, Confirm, DevicesScreen, Done, ImageScreen, NEXT, Review, Screen},
    state::State,
    world::Device,
};
use crate::{
    flash::risk::Care,
    tui::{
        draw::{
            Surround, overlay,
            page::{Page, cut},
            screens::{candidate, entry},
        },
        state::Overlay,
        theme::Theme,
    },
};

/// Draws everything.
pub fn draw(state: &State, theme: Theme, frame: &mut Frame<'_>) {
    let place = state.screen.place();
    let long = concat!("Aegis OS image writer ", env!("CARGO_PKG_VERSION"));
    let surround = Surround {
        names: [long.into(), "Image writer".into()],
        place: place.heading(),
        keys: match &state.screen {
            Screen::Devices(_) => &[
                ("Space", "choose"),
                ("Enter", "next"),
                ("F1", "help"),
                ("Esc", "back"),
                ("^C", "leave"),
                ("F5", "read again"),
            ],
            Screen::Confirm(_) => &[("Enter", "accept"), ("Esc", "back"), ("F1", "help"), ("^C", "leave")],
            Screen::Work(_) => &[("^C", "stop"), ("F1", "help"), ("Up/Down", "device")],
            Screen::Planning => &[("^C", "leave")],
            Screen::Done(_) => &[("Enter", "choose"), ("F1", "help"), ("PgDn", "more")],
            Screen::Image(_) | Screen::Review(_) => {
                &[("Enter", "next"), ("Esc", "back"), ("F1", "help"), ("^C", "leave")]
            }
        },
    };
    let cursor = surround.draw(theme, frame, |width| page(state, theme, width));
    let area = frame.area();
    match (&state.overlay, cursor) {
        (Some(Overlay::Help { scroll }), _) => {
            overlay::help(place.title(), help::text(place), *scroll, theme, frame, area);
        }
        (Some(Overlay::Leave { at }), _) => {
            let (title, text, choices) = state.leave_question();
            overlay::question((title, &text), (&choices, *at), theme, frame, area);
        }
        (None, Some(position)) => frame.set_cursor_position(position),
        (None, None) => {}
    }
}

fn page(state: &State, theme: Theme, width: u16) -> Page {
    let mut page = Page::new(width);
    match &state.screen {
        Screen::Image(screen) => image(&mut page, screen, theme, width),
        Screen::Devices(screen) => devices(&mut page, screen, state, theme),
        Screen::Planning => page.row("Making the plan.", Style::new()),
        Screen::Review(screen) => review(&mut page, screen, theme),
        Screen::Confirm(screen) => confirm(&mut page, screen, theme, width),
        Screen::Work(screen) => grid::work(&mut page, screen, theme, width),
        Screen::Done(screen) => done(&mut page, screen, theme, width),
    }
    if let Some(notice) = &state.notice {
        notice.lines().for_each(|line| page.tail(&format!("! {line}"), theme.danger()));
    }
    page
}

fn image(page: &mut Page, screen: &ImageScreen, theme: Theme, width: u16) {
    page.head("Which image shall be written?", theme.strong());
    let at = screen.list.position();
    let visible = screen.list.visible();
    for (i, (_, line)) in visible.iter().enumerate() {
        let (mark, style) = if i == at { ("> ", theme.focus()) } else { ("  ", Style::new()) };
        page.row(&format!("{mark}{line} "), style);
    }
    if visible.is_empty() {
        let text = match screen.list.filter.is_empty() {
            true => "There is no image in this directory. Type the path of one.",
            false => "No image in this directory has these letters.",
        };
        page.rows(text, Style::new());
    }
    page.focus = (at, at);
    page.cursor = Some((at, 0));
    let typed = Shown(&screen.list.filter).to_string();
    if typed.is_empty() {
        return page.tail("Letters narrow the list; any other image is typed as a path.", Style::new());
    }
    let opens = screen.chosen().map(|path| Shown(&path.to_string_lossy()).to_string());
    page.tail.push(Line::from(cut(&format!("Typed: {typed}"), width)));
    page.tail.push(Line::from(cut(&format!("Enter opens {}", opens.unwrap_or_default()), width)));
}

/// What is on a device, and whether its serial number will be asked for.
pub(super) fn remarks(device: &Device) -> Vec<String> {
    let mut lines = device.lost();
    if let (Care::Serial(dangers), true) = (&device.care, device.usable()) {
        let dangers: Vec<String> = dangers.iter().map(ToString::to_string).collect();
        lines.push(format!("! {} will be asked for: {}", what_is_typed(device), dangers.join("; ")));
    }
    lines
}

/// The kind of word that confirms a device.
pub(super) fn what_is_typed(device: &Device) -> &'static str {
    if device.candidate.details.contains(", serial ") { "its serial number" } else { "its name" }
}

fn devices(page: &mut Page, screen: &DevicesScreen, state: &State, theme: Theme) {
    page.head("Which devices shall be erased and written?", theme.strong());
    if state.world.devices.is_empty() {
        page.rows("No device was found. Plug one in; it is shown at once.", Style::new());
        page.cursor = Some((0, 0));
    }
    for (i, device) in state.world.devices.iter().enumerate() {
        let first = page.rows.len();
        let mark = match (state.is_chosen(device), device.usable()) {
            (true, _) => "[x] ",
            (false, true) => "[ ] ",
            (false, false) => " -  ",
        };
        let focused = screen.at == i;
        candidate(page, &device.candidate, mark, focused, &remarks(device), theme);
        if focused {
            page.focus = (first, page.rows.len() - 1);
            page.cursor = Some((first, 0));
        }
    }
    let text = match state.chosen.len() {
        0 => "Nothing is chosen. Space chooses the device at the cursor.".into(),
        1 => "1 device is chosen.".to_string(),
        count => format!("{count} devices are chosen."),
    };
    page.tail(&text, theme.strong());
}

/// The first row that is shown has the focus; keys move it.
fn scroll(page: &mut Page, first: usize) {
    let first = first.min(page.rows.len().saturating_sub(1));
    page.rows.drain(..first);
    page.cursor = Some((0, 0));
}

fn review(page: &mut Page, screen: &Review, theme: Theme) {
    page.head("This will be done. Nothing has been written so far.", theme.strong());
    for line in screen.lines() {
        let warns = line.starts_with("Erased") || line.contains("NOT CHECKED");
        page.rows(&line, if warns { theme.danger() } else { Style::new() });
    }
    scroll(page, screen.scroll);
    page.tail("Up and Down scroll; Enter goes to the last questions.", Style::new());
}

fn confirm(page: &mut Page, screen: &Confirm, theme: Theme, width: u16) {
    let (number, all) = screen.number();
    let count = if all > 1 { format!("Question {number} of {all}. ") } else { String::new() };
    match screen.ask() {
        Some(Ask::Serial(index)) => {
            if let Some(device) = screen.devices.get(*index) {
                serial(page, screen, device, &count, theme, width);
            }
        }
        Some(Ask::Yes(members)) => {
            page.head(&format!("{count}ERASE {}?", blank_sticks(members.len())), theme.danger());
            yes(page, screen, members, theme);
        }
        Some(Ask::Listed(members)) => {
            let what =
                if members.len() == 1 { "this device".into() } else { format!("{} devices", members.len()) };
            page.head(&format!("{count}ERASE {what}, with all that is listed?"), theme.danger());
            yes(page, screen, members, theme);
        }
        None => {}
    }
}

/// `1 blank stick`, or how many.
pub(super) fn blank_sticks(count: usize) -> String {
    if count == 1 { "1 blank stick".into() } else { format!("{count} blank sticks") }
}

fn yes(page: &mut Page, screen: &Confirm, members: &[usize], theme: Theme) {
    for device in members.iter().filter_map(|index| screen.devices.get(*index)) {
        page.row(&device.candidate.model, theme.strong());
        page.rows(&format!("  {}", device.candidate.details), Style::new());
        device.lost().iter().for_each(|line| page.rows(&format!("  {line}"), Style::new()));
    }
    let first = screen.scroll.min(page.rows.len().saturating_sub(1));
    page.rows.drain(..first);
    let buttons =
        ["Go back".into(), format!("Yes, erase {}", if members.len() == 1 { "it" } else { "them" })];
    for (i, name) in buttons.iter().enumerate() {
        let focused = screen.on_yes == (i == 1);
        let (mark, style) = if focused { ("> ", theme.focus()) } else { ("  ", Style::new()) };
        page.tail(&format!("{mark}{name} "), style);
    }
    page.tail_cursor = Some(usize::from(screen.on_yes));
}

fn serial(page: &mut Page, screen: &Confirm, device: &Device, count: &str, theme: Theme, width: u16) {
    page.head(&format!("{count}ERASE {}", device.target().description), theme.danger());
    if let Care::Serial(dangers) = &device.care {
        dangers.iter().for_each(|danger| page.rows(&format!("! {danger}"), theme.strong()));
    }
    device.lost().iter().for_each(|line| page.rows(&format!("  {line}"), Style::new()));
    let token = screen.token().unwrap_or_default();
    page.rows(&format!("To erase it, type {}: {token}", what_is_typed(device)), theme.strong());
    entry(page, &screen.typed, screen.cursor, theme, width);
}

/// What a device ended as, and why, in lines.
pub(super) fn ended(outcome: &crate::flash::Outcome) -> Vec<String> {
    let mut lines = vec![outcome.to_string()];
    if let Some(failure) = outcome.failure() {
        let text = aegis_core::report::render(failure);
        lines.extend(text.trim_start_matches("error: ").lines().map(|line| line.trim().to_owned()));
    }
    lines
}

fn done(page: &mut Page, screen: &Done, theme: Theme, width: u16) {
    let good = screen.code() == aegis_core::report::exit::OK;
    page.head(&screen.summary(), if good { theme.success() } else { theme.danger() });
    match &screen.result {
        Err(failure) => page.rows(&failure.text, Style::new()),
        Ok(outcomes) => {
            for (device, outcome) in screen.devices.iter().zip(outcomes.iter()) {
                let (word, style) = match outcome.failure() {
                    None => ("complete", theme.success()),
                    Some(_) => ("FAILED", theme.danger()),
                };
                page.rows.push(Line::from(vec![
                    Span::styled(format!("{word:<9}"), style),
                    Span::raw(cut(&device.title(), width.saturating_sub(9))),
                ]));
                ended(outcome).iter().for_each(|line| page.rows(&format!("  {line}"), Style::new()));
            }
        }
    }
    screen.receipt_lines().for_each(|line| page.rows(line, Style::new()));
    let first = screen.scroll.min(page.rows.len().saturating_sub(1));
    page.rows.drain(..first);
    for (i, name) in NEXT.iter().enumerate() {
        let (mark, style) = if i == screen.at { ("> ", theme.focus()) } else { ("  ", Style::new()) };
        page.tail(&format!("{mark}{name} "), style);
    }
    page.tail_cursor = Some(screen.at);
}
