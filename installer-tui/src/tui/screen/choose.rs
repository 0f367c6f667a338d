//! Language, keyboard and time zone: one line of a list.

use super::{Go, Place};
use crate::{
    answers::{Answers, Keyboard},
    tui::{keys::Key, list::List, world::World},
};

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Language,
    Keyboard,
    Zone,
}

/// A list to choose from.
#[derive(Clone, Debug)]
pub struct Choose {
    kind: Kind,
    /// Lines.
    pub list: List,
    /// Values of the lines.
    values: Vec<Choice>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Choice {
    Language(String),
    Keyboard(Keyboard),
    Zone(String),
}

impl Choose {
    /// The list of languages that the image has.
    pub fn language(world: &World, answers: &Answers) -> Self {
        let locales = world.offers.locales.iter().cloned();
        let lines = locales.map(|locale| (language_name(&locale), Choice::Language(locale))).collect();
        Self::new(Kind::Language, lines, Choice::Language(answers.language.clone()))
    }

    /// The list of keyboards that the image has.
    pub fn keyboard(world: &World, answers: &Answers) -> Self {
        let keyboards = world.offers.keyboards.iter();
        let lines = keyboards
            .map(|(keyboard, name)| (keyboard_line(keyboard, name), Choice::Keyboard(keyboard.clone())));
        Self::new(Kind::Keyboard, lines.collect(), Choice::Keyboard(answers.keyboard.clone()))
    }

    /// The list of time zones that the image has.
    pub fn zone(world: &World, answers: &Answers) -> Self {
        let zones = world.offers.zones.iter().cloned();
        let lines = zones.map(|zone| (zone.replace('_', " "), Choice::Zone(zone))).collect();
        Self::new(Kind::Zone, lines, Choice::Zone(answers.timezone.clone()))
    }

    /// `current` is chosen; it is the only line when the image does not say what it has.
    fn new(kind: Kind, mut lines: Vec<(String, Choice)>, current: Choice) -> Self {
        if lines.is_empty() {
            lines.push((current.name(), current.clone()));
        }
        let (lines, values): (Vec<String>, Vec<Choice>) = lines.into_iter().unzip();
        let chosen = values.iter().position(|value| *value == current);
        Self { kind, list: List::new(lines, chosen), values }
    }

    pub(super) fn place(&self) -> Place {
        match self.kind {
            Kind::Language => Place::Language,
            Kind::Keyboard => Place::Keyboard,
            Kind::Zone => Place::Zone,
        }
    }

    /// What the screen asks.
    pub fn question(&self) -> &'static str {
        match self.kind {
            Kind::Language => "Which language shall the installed system speak?",
            Kind::Keyboard => "Which keyboard is connected?",
            Kind::Zone => "In which time zone is this machine?",
        }
    }

    /// Handles a key.
    pub fn key(&mut self, key: Key, answers: &mut Answers) -> Go {
        match key {
            Key::Esc if self.list.filter.is_empty() => Go::Back,
            Key::Esc => {
                self.list.filter.clear();
                Go::Stay
            }
            Key::Enter => match self.list.chosen().and_then(|index| self.values.get(index)) {
                Some(value) => {
                    value.store(answers);
                    Go::Next
                }
                None => Go::Stay,
            },
            key => {
                self.list.key(key);
                Go::Stay
            }
        }
    }
}

impl Choice {
    fn name(&self) -> String {
        match self {
            Self::Language(text) | Self::Zone(text) => text.clone(),
            Self::Keyboard(keyboard) => keyboard.layout.clone(),
        }
    }

    fn store(&self, answers: &mut Answers) {
        match self {
            Self::Language(locale) => answers.language.clone_from(locale),
            Self::Keyboard(keyboard) => answers.keyboard.clone_from(keyboard),
            Self::Zone(zone) => answers.timezone.clone_from(zone),
        }
    }
}

fn keyboard_line(keyboard: &Keyboard, name: &str) -> String {
    let Keyboard { layout, variant } = keyboard;
    let code = if variant.is_empty() { layout.clone() } else { format!("{layout} {variant}") };
    format!("{name} [{code}]")
}

/// A locale with the name of its language, in that language but without letters that a PC console lacks.
fn language_name(locale: &str) -> String {
    let code = locale.split(['.', '@']).next().unwrap_or(locale);
    let (language, country) = code.split_once('_').unwrap_or((code, ""));
    let name = match language {
        "C" => "English, plain formats",
        "cs" => "Cestina",
        "da" => "Dansk",
        "de" => "Deutsch",
        "en" => "English",
        "es" => "Espanol",
        "fi" => "Suomi",
        "fr" => "Francais",
        "hu" => "Magyar",
        "it" => "Italiano",
        "ja" => "Nihongo (Japanese)",
        "ko" => "Hangugeo (Korean)",
        "nb" | "nn" => "Norsk",
        "nl" => "Nederlands",
        "pl" => "Polski",
        "pt" => "Portugues",
        "ro" => "Romana",
        "ru" => "Russkiy (Russian)",
        "sv" => "Svenska",
        "tr" => "Turkce",
        "uk" => "Ukrayinska (Ukrainian)",
        "zh" => "Zhongwen (Chinese)",
        _ => return locale.into(),
    };
    if country.is_empty() { format!("{name} [{locale}]") } else { format!("{name}, {country} [{locale}]") }
}
