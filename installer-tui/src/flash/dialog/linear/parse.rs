//! What a line means.

use std::path::PathBuf;

use super::Linear;
use crate::{
    flash::dialog::{
        help,
        screen::{Answer, Ask, Screen},
        state::State,
    },
    tui::state::Overlay,
};

/// What a line leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// These answers, in order.
    Answers(Vec<Answer>),
    /// Something to print; nothing changes.
    Say(String),
}

impl Reply {
    fn one(answer: Answer) -> Self {
        Self::Answers(vec![answer])
    }

    fn say(text: impl Into<String>) -> Self {
        Self::Say(format!("{}\n", text.into()))
    }
}

impl Linear {
    /// What a line means to the present question.
    pub fn answer(&mut self, state: &State, line: &str) -> Reply {
        (self.heard, self.prompted, self.notice) = (true, false, None);
        let line = line.trim();
        if matches!(state.overlay, Some(Overlay::Leave { .. })) {
            return Reply::one(if is_yes(line) { Answer::Go } else { Answer::Stay });
        }
        // A serial number may be any word.
        if let Screen::Confirm(confirm) = &state.screen
            && matches!(confirm.ask(), Some(Ask::Serial(_)))
        {
            return Reply::one(match line {
                "" => Answer::Back,
                typed => Answer::Typed(typed.into()),
            });
        }
        match line {
            "?" => return Reply::say(help::text(state.screen.place())),
            "q" => return Reply::one(Answer::Leave),
            "b" => return Reply::one(Answer::Back),
            _ => {}
        }
        match &state.screen {
            Screen::Image(screen) => {
                let numbered = line.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
                let image = numbered.and_then(|index| screen.images().get(index));
                match (image, line) {
                    (Some(image), _) => Reply::one(Answer::Image(image.path.clone())),
                    (None, "") => Reply::say("An image is needed."),
                    (None, path) => Reply::one(Answer::Image(PathBuf::from(path))),
                }
            }
            Screen::Devices(_) => self.devices(line),
            Screen::Review(_) if line.is_empty() => Reply::one(Answer::Next),
            Screen::Confirm(_) if is_yes(line) => Reply::one(Answer::Yes),
            Screen::Confirm(_) => Reply::say("That is no yes. Nothing has been written."),
            Screen::Done(_) if line == "m" => Reply::one(Answer::More),
            Screen::Done(_) if line.is_empty() => Reply::one(Answer::Go),
            Screen::Work(_) | Screen::Planning => Reply::Answers(Vec::new()),
            Screen::Review(_) | Screen::Done(_) => Reply::say(format!("`{line}` means nothing here.")),
        }
    }

    /// Numbers with spaces or commas between them; all of them, or none where one is wrong.
    fn devices(&self, line: &str) -> Reply {
        if line.is_empty() {
            return Reply::one(Answer::Next);
        }
        let mut answers = Vec::new();
        for word in line.split([' ', ',']).filter(|word| !word.is_empty()) {
            let number = word.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            match number.and_then(|index| self.numbers.get(index)) {
                Some(target) => answers.push(Answer::Toggle(Box::new(target.clone()))),
                None => {
                    return Reply::say(format!("`{word}` is the number of no device. Nothing was changed."));
                }
            }
        }
        Reply::Answers(answers)
    }
}

fn is_yes(line: &str) -> bool {
    matches!(line, "yes" | "Yes" | "YES")
}
