//! The templates, and which page is made by which.

use askama::Template;

use super::{
    layout::Layout,
    matrix::Cell,
    pricing::{Form, Total},
    shown::{Edition, Shown},
};
use crate::{Error, Result};

/// A template that needs nothing but the facts.
macro_rules! plain {
    ($($name:ident $path:literal)*) => {$(
        #[derive(Template)]
        #[template(path = $path)]
        struct $name<'a> {
            layout: Layout<'a>,
            shown: &'a Shown,
        }
    )*};
}

plain! {
    Home "home.html"
    Compare "compare.html"
    Downloads "downloads.html"
    Install "install.html"
    Requirements "requirements.html"
    Gaming "gaming.html"
    Security "security.html"
    Docs "docs.html"
    Faq "faq.html"
    Contact "contact.html"
    Terms "terms.html"
    Privacy "privacy.html"
    Licenses "licenses.html"
}

#[derive(Template)]
#[template(path = "not_found.html")]
struct NotFound<'a> {
    layout: Layout<'a>,
}

#[derive(Template)]
#[template(path = "edition.html")]
struct OfEdition<'a> {
    layout: Layout<'a>,
    edition: &'a Edition,
}

#[derive(Template)]
#[template(path = "pricing.html")]
struct Pricing<'a> {
    layout: Layout<'a>,
    shown: &'a Shown,
    form: &'a Form,
}

/// Paths of the pages that need nothing but the facts.
pub(super) const PLAIN: [&str; 13] = [
    "/",
    "/compare",
    "/downloads",
    "/install",
    "/requirements",
    "/gaming",
    "/security",
    "/docs",
    "/faq",
    "/contact",
    "/terms",
    "/privacy",
    "/licenses",
];

/// The page at one of [`PLAIN`]; any other path is told that there is nothing.
pub(super) fn plain(layout: Layout<'_>, shown: &Shown) -> Result<String> {
    let html = match layout.nav {
        "/" => Home { layout, shown }.render(),
        "/compare" => Compare { layout, shown }.render(),
        "/downloads" => Downloads { layout, shown }.render(),
        "/install" => Install { layout, shown }.render(),
        "/requirements" => Requirements { layout, shown }.render(),
        "/gaming" => Gaming { layout, shown }.render(),
        "/security" => Security { layout, shown }.render(),
        "/docs" => Docs { layout, shown }.render(),
        "/faq" => Faq { layout, shown }.render(),
        "/contact" => Contact { layout, shown }.render(),
        "/terms" => Terms { layout, shown }.render(),
        "/privacy" => Privacy { layout, shown }.render(),
        "/licenses" => Licenses { layout, shown }.render(),
        _ => return not_found(layout),
    };
    rendered(html, layout.nav)
}

/// The page that says that there is nothing.
pub(super) fn not_found(layout: Layout<'_>) -> Result<String> {
    rendered(NotFound { layout: layout.unlisted() }.render(), layout.nav)
}

/// The page of an edition.
pub(super) fn edition(layout: Layout<'_>, edition: &Edition) -> Result<String> {
    rendered(OfEdition { layout, edition }.render(), layout.nav)
}

/// The prices, with the calculator.
pub(super) fn pricing(layout: Layout<'_>, shown: &Shown, form: &Form) -> Result<String> {
    rendered(Pricing { layout, shown, form }.render(), layout.nav)
}

pub(super) fn rendered(result: askama::Result<String>, what: &str) -> Result<String> {
    result.map_err(|error| Error::Corrupt {
        what: format!("the page {what}"),
        problem: format!("was not made: {error}"),
    })
}
