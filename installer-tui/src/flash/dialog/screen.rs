//! The screens of a session. Each owns its data, so a screen cannot be shown without what it needs.

mod confirm;
mod devices;
mod done;
mod image;
mod work;

pub use confirm::{Ask, Confirm};
pub use devices::DevicesScreen;
pub use done::{Done, NEXT};
pub use image::ImageScreen;
pub use work::{Row, Work};

use std::path::PathBuf;

use crate::{flash::FlashPlan, plan::TargetDisk, tui::keys::Key};

/// A screen.
#[derive(Clone, Debug)]
pub enum Screen {
    /// The image.
    Image(ImageScreen),
    /// The devices.
    Devices(DevicesScreen),
    /// The plan is being made.
    Planning,
    /// The plan.
    Review(Review),
    /// The questions before anything is erased.
    Confirm(Confirm),
    /// Devices are written.
    Work(Work),
    /// What they ended as.
    Done(Done),
}

/// Where a screen is in the sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The image.
    Image,
    /// The devices.
    Devices,
    /// The plan.
    Review,
    /// Consent.
    Confirm,
    /// Writing.
    Work,
    /// The end.
    Done,
}

impl Place {
    /// Places where something is asked, in order.
    pub const ASKED: [Self; 4] = [Self::Image, Self::Devices, Self::Review, Self::Confirm];

    /// Heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Image => "Image",
            Self::Devices => "Devices",
            Self::Review => "Review",
            Self::Confirm => "Erase",
            Self::Work => "Writing",
            Self::Done => "Finished",
        }
    }

    /// Heading with the number among those where something is asked.
    pub fn heading(self) -> String {
        let number = Self::ASKED.iter().position(|place| *place == self);
        let step = number.map(|n| format!("{}/{} ", n + 1, Self::ASKED.len())).unwrap_or_default();
        format!("{step}{}", self.title())
    }
}

impl Screen {
    /// Where it is in the sequence.
    pub fn place(&self) -> Place {
        match self {
            Self::Image(_) => Place::Image,
            Self::Devices(_) => Place::Devices,
            Self::Planning | Self::Review(_) => Place::Review,
            Self::Confirm(_) => Place::Confirm,
            Self::Work(_) => Place::Work,
            Self::Done(_) => Place::Done,
        }
    }

    /// Whether characters are typed into it, so that none of them can be a command.
    pub fn takes_text(&self) -> bool {
        match self {
            Self::Image(_) => true,
            Self::Confirm(confirm) => matches!(confirm.ask(), Some(Ask::Serial(_))),
            _ => false,
        }
    }
}

/// What a person answers, in whichever face.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This image.
    Image(PathBuf),
    /// Choose this device, or do not choose it after all. It is named by what was shown of it, not by its place in a list
    /// that may have changed.
    Toggle(Box<TargetDisk>),
    /// To the next screen.
    Next,
    /// To the screen before.
    Back,
    /// Erase what the present question is about.
    Yes,
    /// What was typed to confirm a device.
    Typed(String),
    /// Leave, or stop writing: after this, it is asked.
    Leave,
    /// Stay, or go on writing.
    Stay,
    /// Leave, or stop writing, for good.
    Go,
    /// Write the same image to more devices.
    More,
}

/// The plan, word for word as it will be carried out.
#[derive(Clone, Debug)]
pub struct Review {
    /// The plan.
    pub plan: Box<FlashPlan>,
    /// First line that is shown.
    pub scroll: usize,
}

impl Review {
    /// Starts at the first line.
    pub fn new(plan: Box<FlashPlan>) -> Self {
        Self { plan, scroll: 0 }
    }

    /// The lines, without the words that confirm each device on a command line: what is asked here comes next.
    pub fn lines(&self) -> Vec<String> {
        let asked = |line: &&str| !line.trim_start().starts_with("confirmed by ");
        self.plan.to_string().lines().filter(asked).map(String::from).collect()
    }

    pub(super) fn key(&mut self, key: Key) -> Option<Answer> {
        match key {
            Key::Esc => return Some(Answer::Back),
            Key::Enter => return Some(Answer::Next),
            key => self.scroll = moved(self.scroll, key, self.lines().len()),
        }
        None
    }
}

/// Lines that a page key moves by.
const PAGE: usize = 10;

/// A place in a list of `count` after a key that moves.
fn moved(at: usize, key: Key, count: usize) -> usize {
    let last = count.saturating_sub(1);
    match key {
        Key::Up | Key::BackTab => at.saturating_sub(1),
        Key::Down | Key::Tab => at.saturating_add(1),
        Key::PageUp => at.saturating_sub(PAGE),
        Key::PageDown => at.saturating_add(PAGE),
        Key::Home => 0,
        Key::End => last,
        _ => at,
    }
    .min(last)
}
