//! Fields that are filled in one after the other.

use super::keys::Key;
use crate::password::Secret;

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text, with the place of the cursor in characters.
    Text(String, usize),
    /// A password.
    Secret(Secret),
    /// One of several words.
    Choice(&'static [&'static str], usize),
}

/// A field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name.
    pub label: &'static str,
    /// What is to be entered, shown while the field has the focus.
    pub hint: &'static str,
    /// Content.
    pub value: Value,
    /// The rule that the content breaks.
    pub problem: Option<String>,
    /// Not asked for at present.
    pub hidden: bool,
}

impl Field {
    fn new(label: &'static str, hint: &'static str, value: Value) -> Self {
        Self { label, hint, value, problem: None, hidden: false }
    }

    /// A line of text.
    pub fn text(label: &'static str, hint: &'static str, text: &str) -> Self {
        Self::new(label, hint, Value::Text(text.into(), text.chars().count()))
    }

    /// A password.
    pub fn secret(label: &'static str, hint: &'static str) -> Self {
        Self::new(label, hint, Value::Secret(Secret::default()))
    }

    /// One of several words.
    pub fn choice(
        label: &'static str,
        hint: &'static str,
        words: &'static [&'static str],
        at: usize,
    ) -> Self {
        Self::new(label, hint, Value::Choice(words, at))
    }

    /// The text, or the chosen word; empty for a password.
    pub fn content(&self) -> &str {
        match &self.value {
            Value::Text(text, _) => text,
            Value::Choice(words, at) => words.get(*at).copied().unwrap_or_default(),
            Value::Secret(_) => "",
        }
    }

    fn key(&mut self, key: Key) {
        match &mut self.value {
            Value::Text(text, cursor) => edit(text, cursor, key),
            Value::Secret(secret) => match key {
                Key::Char(c) => secret.push(c),
                Key::Backspace => secret.pop(),
                Key::Clear => *secret = Secret::default(),
                _ => {}
            },
            Value::Choice(words, at) => match key {
                Key::Char(' ') | Key::Right => *at = (*at + 1) % words.len(),
                Key::Left => *at = (*at + words.len() - 1) % words.len(),
                _ => {}
            },
        }
    }
}

/// Longest text of a field, in characters.
const LONGEST: usize = 256;

/// Changes a line of text.
pub fn edit(text: &mut String, cursor: &mut usize, key: Key) {
    let length = text.chars().count();
    *cursor = (*cursor).min(length);
    let byte = |at: usize| text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte);
    match key {
        Key::Char(c) if length < LONGEST && !c.is_control() => {
            let at = byte(*cursor);
            text.insert(at, c);
            *cursor += 1;
        }
        Key::Backspace if *cursor > 0 => {
            let at = byte(*cursor - 1);
            text.remove(at);
            *cursor -= 1;
        }
        Key::Delete if *cursor < length => {
            let at = byte(*cursor);
            text.remove(at);
        }
        Key::Clear => {
            text.clear();
            *cursor = 0;
        }
        Key::Left => *cursor = cursor.saturating_sub(1),
        Key::Right => *cursor = (*cursor + 1).min(length),
        Key::Home => *cursor = 0,
        Key::End => *cursor = length,
        _ => {}
    }
}

/// What a key did to a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// It goes on.
    Editing,
    /// The last field was accepted.
    Complete,
}

/// Fields, one of which has the focus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Fields.
    pub fields: Vec<Field>,
    /// Index of the one with the focus.
    pub focus: usize,
}

impl Form {
    /// A form with the focus on its first field.
    pub fn new(fields: Vec<Field>) -> Self {
        Self { fields, focus: 0 }
    }

    /// Content of a field, without white space at its ends.
    pub fn content(&self, index: usize) -> &str {
        self.fields.get(index).map_or("", |field| field.content().trim())
    }

    /// A password; empty when the field is none.
    pub fn secret(&self, index: usize) -> Secret {
        match self.fields.get(index).map(|field| &field.value) {
            Some(Value::Secret(secret)) => secret.clone(),
            _ => Secret::default(),
        }
    }

    /// Changes the field with the focus, or moves the focus.
    pub fn key(&mut self, key: Key) -> Filled {
        match key {
            Key::Tab | Key::Down => self.move_focus(1),
            Key::BackTab | Key::Up => self.move_focus(self.fields.len() - 1),
            Key::Enter if self.is_last() => return Filled::Complete,
            Key::Enter => self.move_focus(1),
            key => {
                if let Some(field) = self.fields.get_mut(self.focus) {
                    field.problem = None;
                    field.key(key);
                }
            }
        }
        Filled::Editing
    }

    fn is_last(&self) -> bool {
        self.fields.iter().rposition(|field| !field.hidden) == Some(self.focus)
    }

    /// Forward by a number of fields, in a circle, then on to the next visible one.
    fn move_focus(&mut self, by: usize) {
        let count = self.fields.len();
        for _ in 0..count {
            self.focus = (self.focus + by) % count;
            if !self.fields[self.focus].hidden {
                return;
            }
        }
    }

    /// Notes the broken rules; `true` when there is none. The focus goes to the first field with one.
    pub fn judge(&mut self, problems: Vec<(usize, Result<(), String>)>) -> bool {
        let mut first = None;
        for (index, result) in problems {
            let Some(field) = self.fields.get_mut(index) else { continue };
            field.problem = result.err();
            if field.problem.is_some() && first.is_none() {
                first = Some(index);
            }
        }
        self.focus = first.unwrap_or(self.focus);
        first.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editing_in_the_middle() {
        let (mut text, mut cursor) = ("häus".to_string(), 4);
        for key in
            [Key::Left, Key::Left, Key::Char('x'), Key::Delete, Key::Backspace, Key::Home, Key::Char('w')]
        {
            edit(&mut text, &mut cursor, key);
        }
        assert_eq!((text.as_str(), cursor), ("whäs", 1));
        edit(&mut text, &mut cursor, Key::Char('\u{1b}'));
        assert_eq!(text, "whäs");
    }

    #[test]
    fn hidden_fields_are_passed_over() {
        let mut form =
            Form::new(vec![Field::text("a", "", ""), Field::text("b", "", ""), Field::text("c", "", "")]);
        form.fields[1].hidden = true;
        assert_eq!(form.key(Key::Enter), Filled::Editing);
        assert_eq!(form.focus, 2);
        assert_eq!(form.key(Key::BackTab), Filled::Editing);
        assert_eq!(form.focus, 0);
        form.fields[2].hidden = true;
        assert_eq!(form.key(Key::Enter), Filled::Complete);
    }

    #[test]
    fn the_focus_goes_to_the_first_problem() {
        let mut form = Form::new(vec![Field::text("a", "", ""), Field::text("b", "", "")]);
        assert!(!form.judge(vec![(0, Ok(())), (1, Err("is empty".into()))]));
        assert_eq!(form.focus, 1);
        form.key(Key::Char('x'));
        assert_eq!(form.fields[1].problem, None);
    }
}
