//! What is printed.

use aegis_hw::{Bytes, text::Shown};

use crate::flash::{
    Phase,
    dialog::{
        draw::{self, blank_sticks, remarks, what_is_typed},
        screen::{Ask, Confirm, Done, ImageScreen, Place, Row, Screen},
        state::State,
        world::Device,
    },
    risk::Care,
};
use crate::tui::state::Overlay;

/// Adds a line.
pub(super) fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

pub(super) fn heading(place: Place) -> String {
    let number = Place::ASKED.iter().position(|asked| *asked == place);
    let step = number.map(|n| format!("Step {} of {}: ", n + 1, Place::ASKED.len())).unwrap_or_default();
    format!("\n{step}{}.\n", place.title())
}

/// A screen as lines. Devices are told by [`device`] and [`refused`].
pub(super) fn screen(state: &State) -> String {
    let mut out = match state.screen {
        Screen::Planning => return String::new(),
        _ => heading(state.screen.place()),
    };
    match &state.screen {
        Screen::Image(screen) => image(&mut out, screen),
        Screen::Review(screen) => {
            line(&mut out, "This will be done. Nothing has been written so far.");
            screen.lines().iter().for_each(|text| line(&mut out, text));
        }
        Screen::Confirm(screen) => confirm(&mut out, screen),
        Screen::Work(_) => line(&mut out, "Ctrl-C asks whether to stop."),
        Screen::Done(screen) => out.push_str(&ended(screen)),
        Screen::Devices(_) | Screen::Planning => {}
    }
    out
}

fn image(out: &mut String, screen: &ImageScreen) {
    for (index, image) in screen.images().iter().enumerate() {
        let path = image.path.to_string_lossy();
        line(out, &format!("{}: {}, {}", index + 1, Shown(&path), image.size));
    }
    if screen.images().is_empty() {
        line(out, "There is no image in this directory.");
    }
}

/// `1: not chosen: SanDisk Ultra, …`, then what is on it.
pub(super) fn device(out: &mut String, number: usize, device: &Device, chosen: bool) {
    let candidate = &device.candidate;
    let state = if chosen { "chosen" } else { "not chosen" };
    line(out, &format!("{number}: {state}: {}, {}", candidate.model, candidate.details));
    remarks(device).iter().for_each(|text| line(out, &format!("   {text}")));
}

pub(super) fn refused(out: &mut String, device: &Device) {
    let candidate = &device.candidate;
    let reasons = candidate.refusals.join("; ");
    line(out, &format!("Not available: {}, {}: {reasons}", candidate.model, candidate.details));
}

/// A choice that was made or taken back.
pub(super) fn choice(number: usize, device: &Device, chosen: bool) -> String {
    let state = if chosen { "chosen" } else { "no longer chosen" };
    format!("{number}: {state}: {}", device.name())
}

fn confirm(out: &mut String, screen: &Confirm) {
    let (number, all) = screen.number();
    if all > 1 {
        line(out, &format!("Question {number} of {all}."));
    }
    let members: &[usize] = match screen.ask() {
        Some(Ask::Yes(members) | Ask::Listed(members)) => members,
        Some(Ask::Serial(index)) => std::slice::from_ref(index),
        None => return,
    };
    for device in members.iter().filter_map(|index| screen.devices.get(*index)) {
        line(out, &format!("ERASE {}", device.target().description));
        if let Care::Serial(dangers) = &device.care {
            dangers.iter().for_each(|danger| line(out, &format!("  ! {danger}")));
        }
        device.lost().iter().for_each(|text| line(out, &format!("  {text}")));
    }
}

/// What is asked, without a line feed behind it.
pub(super) fn prompt(state: &State) -> String {
    if matches!(state.overlay, Some(Overlay::Leave { .. })) {
        let (_, text, [_, go]) = state.leave_question();
        return format!("{text}\n{go}? Type yes for that; Enter goes on: ");
    }
    match &state.screen {
        Screen::Image(screen) if screen.images().is_empty() => {
            "Path of the image (? explains, q leaves): ".into()
        }
        Screen::Image(_) => "Number or path of the image (? explains, q leaves): ".into(),
        Screen::Devices(_) => {
            let count = state.chosen.len();
            format!(
                "{count} chosen. Numbers choose or take back, Enter goes on (b goes back, ? explains, q leaves): "
            )
        }
        Screen::Review(_) => "Enter goes to the last questions (b goes back, ? explains, q leaves): ".into(),
        Screen::Confirm(screen) => match screen.ask() {
            Some(Ask::Yes(members)) => {
                format!("Type yes to erase {} (b goes back): ", blank_sticks(members.len()))
            }
            Some(Ask::Listed(members)) if members.len() == 1 => {
                "Type yes to erase it with all that is listed (b goes back): ".into()
            }
            Some(Ask::Listed(members)) => {
                format!("Type yes to erase these {} with all that is listed (b goes back): ", members.len())
            }
            Some(Ask::Serial(index)) => {
                let what = screen.devices.get(*index).map_or("", what_is_typed);
                let token = screen.token().unwrap_or_default();
                format!("To erase it, type {what}, {token} (an empty line goes back): ")
            }
            None => String::new(),
        },
        Screen::Done(_) => "Enter leaves, m writes this image to more devices: ".into(),
        Screen::Planning | Screen::Work(_) => String::new(),
    }
}

/// `2-1.4 4C530001: writing 30 %, 21.3 MiB/s, 1 min 5 s left`.
pub(super) fn progress(device: &Device, row: &Row) -> String {
    let name = match device.place == device.tail {
        true => device.place.clone(),
        false => format!("{} {}", device.place, device.tail),
    };
    if let Some(seconds) = row.awaited {
        return format!("{name}: pulled out; it is waited for {seconds} s");
    }
    if let Some(seconds) = row.waits {
        return format!("{name}: no answer for {seconds} s");
    }
    let done = match (row.phase, row.percent()) {
        (Some(Phase::Complete | Phase::Failed), _) => String::new(),
        (_, Some(percent)) => format!(" {percent} %"),
        (_, None) if row.bytes > 0 => format!(" {}", Bytes(row.bytes)),
        (_, None) => String::new(),
    };
    let rate = if row.rate > 0 { format!(", {}/s", Bytes(row.rate)) } else { String::new() };
    let left = row.eta.map(|s| match s {
        0..60 => format!(", {s} s left"),
        s => format!(", {} min {} s left", s / 60, s % 60),
    });
    format!("{name}: {}{done}{rate}{}", row.word(), left.unwrap_or_default())
}

/// What devices ended as, in lines.
pub fn ended(screen: &Done) -> String {
    let mut out = String::new();
    line(&mut out, &screen.summary());
    match &screen.result {
        Err(failure) => line(&mut out, &failure.text),
        Ok(outcomes) => {
            for (device, outcome) in screen.devices.iter().zip(outcomes.iter()) {
                let word = if outcome.failure().is_none() { "complete" } else { "FAILED" };
                line(&mut out, &format!("{}: {word}", device.title()));
                draw::ended(outcome).iter().for_each(|text| line(&mut out, &format!("  {text}")));
            }
        }
    }
    screen.receipt_lines().for_each(|text| line(&mut out, text));
    out
}
