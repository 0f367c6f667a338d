//! What programs read: robots.txt, sitemap.xml, security.txt (RFC 9116), SHA256SUMS.

use aegis_core::time::UnixTime;
use askama::Template;

use super::{
    assets::{ICON, SVG},
    facts::Facts,
    page::{Page, REVALIDATE},
    pages::rendered,
};
use crate::Result;

const TEXT: &str = "text/plain; charset=utf-8";
/// RFC 9116 asks for less than a year.
const SECURITY_TXT_DAYS: u32 = 360;

/// Where the digests of all releases are.
pub(super) const SUMS: &str = "/downloads/SHA256SUMS";

#[derive(Template)]
#[template(path = "robots.txt")]
struct Robots<'a> {
    origin: &'a str,
}

#[derive(Template)]
#[template(path = "sitemap.xml")]
struct Sitemap<'a> {
    origin: &'a str,
    paths: &'a [String],
}

#[derive(Template)]
#[template(path = "security.txt")]
struct SecurityTxt<'a> {
    email: &'a str,
    origin: &'a str,
    expires: String,
}

/// Each file with its path; `paths` are the pages that search engines may list.
pub(super) fn build(facts: &Facts, paths: &[String]) -> Result<Vec<(String, Page)>> {
    let origin = facts.origin.as_str();
    let expires = UnixTime(facts.now).plus_days(SECURITY_TXT_DAYS).to_string();
    let contact = SecurityTxt { email: &facts.operator.email, origin, expires }.render();
    let mut files = vec![
        ("/robots.txt", rendered(Robots { origin }.render(), "robots.txt")?, TEXT),
        ("/sitemap.xml", rendered(Sitemap { origin, paths }.render(), "sitemap.xml")?, "application/xml"),
        ("/.well-known/security.txt", rendered(contact, "security.txt")?, TEXT),
        ("/favicon.svg", ICON.into(), SVG),
    ];
    if !facts.releases.is_empty() {
        files.push((SUMS, sums(facts), TEXT));
    }
    let page = |(path, mut text, kind): (&str, String, &str)| {
        // Templates lose the end of their last line, which the formats ask for.
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Ok((path.to_owned(), Page::new(text.into_bytes(), kind, REVALIDATE)?))
    };
    files.into_iter().map(page).collect()
}

/// As `sha256sum` writes them.
fn sums(facts: &Facts) -> String {
    facts.releases.iter().map(|release| format!("{}  {}\n", release.sha256, release.file)).collect()
}
