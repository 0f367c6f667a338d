//! What is asked before anything is erased: the more would be lost, the more has to be typed.

use super::Answer;
use crate::{
    flash::{FlashPlan, dialog::world::Device, risk::Care},
    tui::{form::edit, keys::Key},
};

/// A question; the numbers are places in the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A yes for these blank sticks.
    Yes(Vec<usize>),
    /// A yes for these, below the list of what is on them.
    Listed(Vec<usize>),
    /// The serial number of this one.
    Serial(usize),
}

/// A plan that waits for consent.
#[derive(Clone, Debug)]
pub struct Confirm {
    /// The plan.
    pub plan: Box<FlashPlan>,
    /// Its devices, as they were chosen.
    pub devices: Vec<Device>,
    asks: Vec<Ask>,
    at: usize,
    /// What was typed.
    pub typed: String,
    /// Place of the cursor in characters.
    pub cursor: usize,
    /// The button that erases has the focus, and not the one that goes back.
    pub on_yes: bool,
    /// First row that is shown.
    pub scroll: usize,
}

impl Confirm {
    /// Nothing is confirmed yet. `devices` are those of the plan, in its order.
    pub fn new(plan: Box<FlashPlan>, devices: Vec<Device>) -> Self {
        let of = |care: &Care| -> Vec<usize> {
            let same = |(_, device): &(usize, &Device)| device.care == *care;
            devices.iter().enumerate().filter(same).map(|(index, _)| index).collect()
        };
        let groups = [(of(&Care::Yes), Ask::Yes as fn(_) -> _), (of(&Care::Listed), Ask::Listed)];
        let groups = groups.into_iter().filter(|(members, _)| !members.is_empty());
        let mut asks: Vec<Ask> = groups.map(|(members, ask)| ask(members)).collect();
        let risky = devices.iter().enumerate().filter(|(_, device)| matches!(device.care, Care::Serial(_)));
        asks.extend(risky.map(|(index, _)| Ask::Serial(index)));
        let (typed, cursor) = (String::new(), 0);
        Self { plan, devices, asks, at: 0, typed, cursor, on_yes: false, scroll: 0 }
    }

    /// The present question; `None` when every one was answered.
    pub fn ask(&self) -> Option<&Ask> {
        self.asks.get(self.at)
    }

    /// Number of the present question, and of all.
    pub fn number(&self) -> (usize, usize) {
        (self.at + 1, self.asks.len())
    }

    /// The word that confirms the present device, where one has to be typed.
    pub fn token(&self) -> Option<&str> {
        match self.ask()? {
            Ask::Serial(index) => self.plan.targets.get(*index).map(|target| target.token.as_str()),
            _ => None,
        }
    }

    pub(in super::super) fn key(&mut self, key: Key) -> Option<Answer> {
        if key == Key::Esc {
            return Some(Answer::Back);
        }
        if matches!(self.ask(), Some(Ask::Serial(_))) {
            if key == Key::Enter {
                return Some(Answer::Typed(self.typed.clone()));
            }
            edit(&mut self.typed, &mut self.cursor, key);
            return None;
        }
        match key {
            Key::Enter => return Some(if self.on_yes { Answer::Yes } else { Answer::Back }),
            Key::Down | Key::Right | Key::Tab => self.on_yes = true,
            Key::Up | Key::Left | Key::BackTab => self.on_yes = false,
            Key::PageUp => self.scroll = self.scroll.saturating_sub(5),
            Key::PageDown => self.scroll = self.scroll.saturating_add(5),
            _ => {}
        }
        None
    }

    /// Takes an answer. `None` when it is not the right one, `true` when no other is missing.
    pub(in super::super) fn answer(&mut self, answer: &Answer) -> Option<bool> {
        let right = match (self.ask(), answer) {
            (Some(Ask::Yes(_) | Ask::Listed(_)), Answer::Yes) => true,
            (Some(Ask::Serial(_)), Answer::Typed(typed)) => Some(typed.trim()) == self.token(),
            _ => false,
        };
        right.then(|| {
            self.at += 1;
            (self.typed, self.cursor, self.on_yes, self.scroll) = (String::new(), 0, false, 0);
            self.at == self.asks.len()
        })
    }
}
