//! What `templates/layout.html` needs of whoever extends it.

use aegis_editions::Spec;

use super::assets::AssetPaths;
use crate::Result;

/// The bar at the top: address and name.
const NAV: [(&str, &str); 8] = [
    ("/compare", "Compare"),
    ("/pricing", "Pricing"),
    ("/downloads", "Downloads"),
    ("/install", "Install"),
    ("/gaming", "Gaming"),
    ("/security", "Security"),
    ("/docs", "Docs"),
    ("/account", "Account"),
];

/// The foot's columns: title, and addresses with names.
pub type Column = (&'static str, &'static [(&'static str, &'static str)]);

const FOOT: [Column; 2] = [
    (
        "Use it",
        &[
            ("/downloads", "Downloads"),
            ("/requirements", "Requirements"),
            ("/install", "Install guide"),
            ("/docs", "Documentation"),
            ("/gaming", "Gaming"),
            ("/faq", "Questions"),
        ],
    ),
    (
        "About",
        &[
            ("/security", "Security"),
            ("/status", "Status"),
            ("/contact", "Contact"),
            ("/terms", "Terms"),
            ("/privacy", "Privacy"),
            ("/licenses", "Licenses"),
        ],
    ),
];

/// What the frame of every page is made of. It never changes, so that parts which make pages later may hold it; another
/// configuration has another.
#[derive(Debug)]
pub struct Frame {
    pub(super) assets: AssetPaths,
    origin: String,
    operator: String,
    editions: Vec<Place>,
}

impl Frame {
    /// For the editions that the site shows, its origin (no slash at the end) and the name of its operator.
    ///
    /// # Errors
    /// When an edition's colour is none.
    pub fn new(specs: &[Spec], origin: &str, operator: &str) -> Result<Self> {
        Ok(Self::of(AssetPaths::of(specs)?, specs, origin, operator))
    }

    pub(super) fn of(assets: AssetPaths, specs: &[Spec], origin: &str, operator: &str) -> Self {
        let place = |spec: &Spec| Place { href: format!("/editions/{}", spec.id), name: spec.name.clone() };
        let editions = specs.iter().map(place).collect();
        Self { assets, origin: origin.to_owned(), operator: operator.to_owned(), editions }
    }

    /// The frame of the page at a path.
    pub fn layout<'a>(&'a self, path: &'a str) -> Layout<'a> {
        Layout {
            assets: &self.assets,
            nav: path,
            origin: &self.origin,
            operator: &self.operator,
            editions: &self.editions,
            class: "",
            listed: true,
        }
    }
}

/// The frame of a page. Templates hold it in a field called `layout`; [`Frame::layout`] makes it.
#[derive(Clone, Copy, Debug)]
pub struct Layout<'a> {
    /// Where style sheet, icon and pictures are.
    pub assets: &'a AssetPaths,
    /// Path of this page, such as `/pricing`.
    pub nav: &'a str,
    /// Scheme, host and port of the site, without a slash at the end.
    pub origin: &'a str,
    /// Who runs the site.
    pub operator: &'a str,
    /// Name and address of each edition.
    pub editions: &'a [Place],
    /// Class of the page that sets its colour, such as `e-gamer`; empty for that of the site.
    pub class: &'a str,
    /// Whether search engines may list the page; false for pages of one person.
    pub listed: bool,
}

/// A name with an address.
#[derive(Clone, Debug)]
pub struct Place {
    /// Path on this site.
    pub href: String,
    /// Name for people.
    pub name: String,
}

impl<'a> Layout<'a> {
    /// The same frame, not for search engines: pages of one person, pages about a mistake.
    #[must_use]
    pub const fn unlisted(mut self) -> Self {
        self.listed = false;
        self
    }

    /// The same frame in the colour of a class, such as `e-gamer`.
    #[must_use]
    pub const fn coloured(mut self, class: &'a str) -> Self {
        self.class = class;
        self
    }

    /// What the bar at the top links to.
    pub fn bar(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        NAV.into_iter()
    }

    /// What the foot links to.
    pub fn foot(&self) -> impl Iterator<Item = Column> {
        FOOT.into_iter()
    }

    /// What `aria-current` says of a link: `page` for this very page, `true` for the part of the site that it is in.
    pub fn current(&self, href: &str) -> Option<&'static str> {
        match self.nav.strip_prefix(href)? {
            "" => Some("page"),
            rest => rest.starts_with('/').then_some("true"),
        }
    }
}
