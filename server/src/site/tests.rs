//! The site as a whole.

mod answers;
mod html;
pub(super) mod markup;

use std::sync::OnceLock;

use aegis_core::edition::Edition;
use aegis_editions::{Registry, Spec};

use super::*;

/// Parts of the site that others answer.
const ELSEWHERE: [&str; 2] = ["/account", "/status"];

fn facts() -> Facts {
    Facts {
        specs: Spec::all().unwrap(),
        registry: Registry::load().unwrap(),
        releases: Vec::new(),
        mirrors: Vec::new(),
        origin: "https://aegis-os.example".into(),
        version: "0.1.0".into(),
        operator: Operator {
            name: "The Aegis OS authors".into(),
            email: "mail@aegis-os.example".into(),
            address: "Example Street 1\n12345 Example".into(),
        },
        now: 1_795_000_000,
    }
}

fn release(edition: Edition) -> Release {
    let file = format!("aegis-{edition}-0.1.0.iso");
    Release {
        edition,
        version: "0.1.0".into(),
        size: 229_427_200,
        sha256: "83218f34c32c00dee49114eeb6d5375676f3fe563eea101d99b842cb7327bb2c".into(),
        published: 1_795_000_000,
        url: format!("/downloads/{file}"),
        file,
    }
}

/// Pages with a release, made once for all tests.
fn site() -> &'static Site {
    static SITE: OnceLock<Site> = OnceLock::new();
    SITE.get_or_init(|| {
        let releases = vec![release(Edition::Freemium), release(Edition::Server)];
        Site::build(&Facts { releases, ..facts() }).unwrap()
    })
}

/// The HTML pages by path, the calculator's answers and the one that says that there is nothing among them.
fn pages() -> Vec<(String, String)> {
    let html = |page: &Page| String::from_utf8(page.bytes().to_vec()).unwrap();
    let is_html = |path: &str| !path.contains('.') && path != files::SUMS;
    let mut pages: Vec<_> = site()
        .paths()
        .filter(|(path, _)| is_html(path))
        .map(|(path, page)| (path.to_owned(), html(page)))
        .collect();
    pages.push((NOT_FOUND.into(), html(&site().not_found)));
    for query in ["users=7&term=lifetime", "users=0&term=never", "users=300"] {
        let form = Form::read(query, &site().facts.specs);
        let text = pages::pricing(site().layout(PRICING), &site().shown, &form).unwrap();
        pages.push((PRICING.into(), text));
    }
    pages.sort();
    pages
}

#[test]
fn facts_that_cannot_be_shown_are_refused() {
    let refused = |change: &dyn Fn(&mut Facts)| {
        let mut facts = Facts { releases: vec![release(Edition::Basic)], ..facts() };
        change(&mut facts);
        facts.check().is_err()
    };
    assert!(!refused(&|_| {}));
    for origin in [
        "",
        "aegis-os.example",
        "ftp://a",
        "https://",
        "https://a/",
        "https://a b",
        "https://a\n",
        "https://u@a",
    ] {
        assert!(refused(&|facts| facts.origin = origin.into()), "{origin}");
    }
    for email in ["", "mail", "@a", "a@", "a@b c", "a@b\r\nContact: x", "a@b?subject=x"] {
        assert!(refused(&|facts| facts.operator.email = email.into()), "{email}");
    }
    assert!(refused(&|facts| facts.operator.name = " ".into()));
    for url in ["javascript:alert(1)", "//elsewhere.example/a.iso", "http://a/b", "a.iso", "", "/a b"] {
        assert!(refused(&|facts| facts.releases[0].url = url.into()), "{url}");
    }
    for file in ["", "../a.iso", "a\nb", "a b", "-a.iso", "a\\b"] {
        assert!(refused(&|facts| facts.releases[0].file = file.into()), "{file}");
    }
    for digest in ["", "00", &"A".repeat(64), &"g".repeat(64)] {
        assert!(refused(&|facts| facts.releases[0].sha256 = digest.to_owned()), "{digest}");
    }
}

#[test]
fn a_name_with_markup_is_text() {
    let mut facts = facts();
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=y>";
    facts.specs[1].name = evil.into();
    facts.specs[1].tagline = evil.into();
    facts.specs[1].best_for = evil.into();
    facts.specs[1].highlights.push(evil.into());
    facts.operator.name = evil.into();
    facts.operator.address = evil.into();
    facts.version = evil.into();
    let first = facts.registry.flags.values_mut().next().unwrap();
    first.about = evil.into();
    let site = Site::build(&facts).unwrap();
    for (path, page) in site.paths().filter(|(path, _)| !path.starts_with("/assets/")) {
        let text = String::from_utf8_lossy(page.bytes());
        assert!(!text.contains("<script") && !text.contains("<img src=x"), "{path}");
        if !path.contains('.') {
            markup::check(&text).unwrap_or_else(|problem| panic!("{path}: {problem}"));
        }
    }
    let query = "users=%3Cscript%3E%22%27&term=%3Cscript%3E";
    let form = Form::read(query, &site.facts.specs);
    let text = pages::pricing(site.layout(PRICING), &site.shown, &form).unwrap();
    assert!(!text.contains("<script"));
    markup::check(&text).unwrap();
}

/// The texts of the pages say that one license is for one computer.
#[test]
fn one_license_is_for_one_computer() {
    for spec in Spec::all().unwrap().iter().filter(|spec| !spec.price.is_free()) {
        assert_eq!(spec.entitlements.limit("license_machines"), Some(1), "{}", spec.id);
    }
}

/// The pages say that NVIDIA's own driver and CUDA are in no edition.
#[test]
fn no_edition_has_the_driver_that_pages_deny() {
    for spec in Spec::all().unwrap() {
        let denied =
            |name: &&String| name.contains("cuda") || name.starts_with("nvidia") || name.ends_with("-dkms");
        assert_eq!(spec.packages.iter().find(denied), None, "{}", spec.id);
    }
}

#[test]
fn without_releases_the_page_says_so() {
    let site = Site::build(&facts()).unwrap();
    let text = String::from_utf8(site.pages["/downloads"].bytes().to_vec()).unwrap();
    assert!(text.contains("No release is published here yet"));
    assert!(!text.contains("SHA256SUMS\">"), "no link to what is not there");
    assert!(!site.pages.contains_key(files::SUMS));
    markup::check(&text).unwrap();
}

#[test]
fn releases_are_shown_with_their_digests() {
    let text = String::from_utf8(site().pages["/downloads"].bytes().to_vec()).unwrap();
    assert!(!text.contains("No release is published"));
    for word in ["href=\"/downloads/aegis-server-0.1.0.iso\"", "218 MiB (229,427,200 bytes)", "2026-11-18"] {
        assert!(text.contains(word), "{word}");
    }
    let sums = String::from_utf8(site().pages[files::SUMS].bytes().to_vec()).unwrap();
    assert_eq!(sums.lines().count(), 2);
    for line in sums.lines() {
        let (digest, file) = line.split_once("  ").unwrap();
        assert!(digest.len() == 64 && text.contains(digest) && text.contains(file));
    }
}

#[test]
fn files_for_programs_are_as_they_must_be() {
    let text = |path: &str| String::from_utf8(site().pages[path].bytes().to_vec()).unwrap();
    let contact = text("/.well-known/security.txt");
    assert!(contact.contains("Contact: mailto:mail@aegis-os.example\n"));
    // 360 days later, below the year that RFC 9116 gives.
    assert!(contact.contains("Expires: 2027-11-13T11:06:40Z\n"), "{contact}");
    let map = text("/sitemap.xml");
    markup::check_xml(&map).unwrap();
    for (path, _) in pages() {
        let listed = map.contains(&format!("<loc>https://aegis-os.example{path}</loc>"));
        assert_eq!(listed, path != NOT_FOUND, "{path}");
    }
    assert!(text("/robots.txt").contains("\nSitemap: https://aegis-os.example/sitemap.xml\n"));
}

#[test]
fn the_first_page_is_small() {
    let sizes = |path: &str| site().pages[path].bytes().len();
    let assets = &site().frame.assets;
    let first = sizes("/") + sizes(&assets.css) + sizes(&assets.icon);
    assert!(first < 100 * 1024, "{first} bytes");
    let text = String::from_utf8(site().pages["/"].bytes().to_vec()).unwrap();
    assert!(!text.contains("<img"), "pictures would have to be counted");
}
