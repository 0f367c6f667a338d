//! The image: one that was found nearby, or the path of another.

use std::path::{MAIN_SEPARATOR, PathBuf};

use aegis_hw::text::Shown;

use super::Answer;
use crate::{
    flash::dialog::world::Found,
    tui::{keys::Key, list::List},
};

/// A list of images that typing narrows; what is no part of a name in it is a path.
#[derive(Clone, Debug)]
pub struct ImageScreen {
    /// Lines, and what was typed.
    pub list: List,
    images: Vec<Found>,
}

impl ImageScreen {
    /// Shows what was found.
    pub fn new(images: &[Found]) -> Self {
        let line = |image: &Found| format!("{}, {}", Shown(&image.path.to_string_lossy()), image.size);
        Self { list: List::new(images.iter().map(line).collect(), None), images: images.to_vec() }
    }

    /// The images, in the order of the lines.
    pub fn images(&self) -> &[Found] {
        &self.images
    }

    /// What Enter would take.
    pub fn chosen(&self) -> Option<PathBuf> {
        let typed = self.list.filter.trim();
        let named = self.images.iter().find(|image| image.path.as_os_str() == typed);
        if let Some(image) = named {
            return Some(image.path.clone());
        }
        let listed = self.list.chosen().and_then(|index| self.images.get(index));
        match listed {
            Some(image) if !typed.contains(MAIN_SEPARATOR) => Some(image.path.clone()),
            _ if typed.is_empty() => None,
            _ => Some(PathBuf::from(typed)),
        }
    }

    pub(in super::super) fn key(&mut self, key: Key) -> Option<Answer> {
        match key {
            Key::Esc if self.list.filter.is_empty() => return Some(Answer::Back),
            Key::Esc => self.list.filter.clear(),
            Key::Enter => return self.chosen().map(Answer::Image),
            key => {
                self.list.key(key);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use aegis_hw::Bytes;

    use super::*;

    #[test]
    fn typed_text_narrows_or_is_a_path() {
        let found = ["aegis.iso", "aegis.iso.zst"].map(|name| Found { path: name.into(), size: Bytes(9) });
        let mut screen = ImageScreen::new(&found);
        assert_eq!(screen.chosen(), Some("aegis.iso".into()));
        for (typed, expected) in [
            ("zst", Some("aegis.iso.zst")),
            ("aegis.iso.zst", Some("aegis.iso.zst")),
            ("other.img", Some("other.img")),
            ("/a/aegis.iso", Some("/a/aegis.iso")),
        ] {
            screen.list.filter = typed.into();
            assert_eq!(screen.chosen(), expected.map(PathBuf::from), "{typed}");
        }
        let mut screen = ImageScreen::new(&[]);
        assert_eq!(screen.key(Key::Enter), None);
        screen.list.filter = " ".into();
        assert_eq!(screen.chosen(), None);
    }
}
