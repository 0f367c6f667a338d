//! What every page must be.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    markup::{self, Tag},
    *,
};

fn tags() -> Vec<(String, Vec<Tag>)> {
    let read = |(path, text): (String, String)| {
        let tags = markup::check(&text);
        (path.clone(), tags.unwrap_or_else(|problem| panic!("{path}: {problem}")))
    };
    pages().into_iter().map(read).collect()
}

fn count(tags: &[Tag], name: &str) -> usize {
    tags.iter().filter(|tag| tag.name == name).count()
}

#[test]
fn every_page_is_well_formed_and_has_what_a_page_has() {
    let (mut titles, mut descriptions) = (BTreeSet::new(), BTreeSet::new());
    for (path, tags) in tags() {
        assert_eq!(tags[0].get("lang"), Some("en"), "{path}");
        for name in ["html", "head", "title", "body", "h1", "main", "header", "footer"] {
            assert_eq!(count(&tags, name), 1, "{path}: {name}");
        }
        let meta = |name: &str| {
            tags.iter().find(|tag| tag.get("name") == Some(name)).unwrap().get("content").unwrap()
        };
        let description = meta("description");
        assert!((20..=200).contains(&description.chars().count()), "{path}: {description}");
        assert_eq!(meta("viewport"), "width=device-width, initial-scale=1", "{path}");
        let title = tags.iter().find(|tag| tag.name == "title").unwrap().text.trim_end();
        assert!(title.ends_with(" - Aegis OS") && title.len() > 14, "{path}: {title}");
        if path != PRICING {
            assert!(titles.insert(title.to_owned()), "{path}: {title} is the title of another page");
            assert!(descriptions.insert(description.to_owned()), "{path}: {description}");
        }
        assert_eq!(tags.iter().find(|tag| tag.name == "a").unwrap().get("href"), Some("#main"), "{path}");
    }
}

#[test]
fn nothing_is_inline_and_nothing_is_loaded_from_elsewhere() {
    for (path, tags) in tags() {
        for tag in &tags {
            assert!(
                !["script", "style", "iframe", "object", "embed", "base"].contains(&tag.name.as_str()),
                "{path}"
            );
            for (key, value) in &tag.attributes {
                assert!(key != "style" && !key.starts_with("on"), "{path}: {key}={value}");
                let loaded =
                    matches!(key.as_str(), "src" | "srcset" | "poster" | "data" | "xlink:href" | "action");
                let linked = tag.name == "link" && key == "href" && tag.get("rel") != Some("canonical");
                if loaded || linked {
                    assert!(value.starts_with('/') && !value.starts_with("//"), "{path}: {key}={value}");
                }
                assert!(!value.trim_start().to_lowercase().starts_with("javascript:"), "{path}: {value}");
            }
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    let pages = tags();
    let ids: BTreeMap<&str, BTreeSet<&str>> = pages
        .iter()
        .map(|(path, tags)| (path.as_str(), tags.iter().filter_map(|tag| tag.get("id")).collect()))
        .collect();
    for (path, tags) in &pages {
        for tag in tags {
            let links = ["href", "src", "action"].into_iter().filter_map(|key| tag.get(key));
            for link in
                links.filter(|link| !link.starts_with("mailto:") && tag.get("rel") != Some("canonical"))
            {
                let (target, fragment) = link.split_once('#').map_or((link, None), |(at, id)| (at, Some(id)));
                let target = if target.is_empty() { path } else { target };
                let is_release = site().facts.releases.iter().any(|release| release.url == target);
                if ELSEWHERE.contains(&target) || is_release {
                    continue;
                }
                assert!(target == path || site().pages.contains_key(target), "{path}: {link}");
                if let Some(id) = fragment {
                    assert!(ids[target].contains(id), "{path}: {link} has no such place");
                }
            }
        }
    }
}

#[test]
fn what_is_moved_leads_to_a_page() {
    for (from, to) in &site().moved {
        let to = to.to_str().unwrap();
        let (path, fragment) = to.split_once('#').map_or((to, None), |(path, id)| (path, Some(id)));
        let page = site().pages.get(path).unwrap_or_else(|| panic!("{from} leads to {to}"));
        let text = String::from_utf8_lossy(page.bytes());
        assert!(fragment.is_none_or(|id| text.contains(&format!("id=\"{id}\""))), "{from} leads to {to}");
    }
}

#[test]
fn identifiers_are_unique_and_those_referred_to_are_there() {
    for (path, tags) in tags() {
        let mut ids = BTreeSet::new();
        for id in tags.iter().filter_map(|tag| tag.get("id")) {
            assert!(ids.insert(id) && !id.is_empty() && !id.contains(' '), "{path}: {id}");
        }
        for tag in &tags {
            for key in ["for", "aria-labelledby", "aria-describedby", "aria-controls"] {
                for id in tag.get(key).into_iter().flat_map(str::split_whitespace) {
                    assert!(ids.contains(id), "{path}: {key}={id}");
                }
            }
        }
    }
}

#[test]
fn headings_go_down_one_step_at_a_time_and_sections_have_names() {
    for (path, tags) in tags() {
        let mut level = 0;
        // Those of the foot begin anew: they are outside of main.
        for tag in tags.iter().filter(|tag| tag.around.iter().any(|name| name == "main")) {
            let Some(digit) = tag.name.strip_prefix('h').and_then(|digit| digit.parse::<u32>().ok()) else {
                continue;
            };
            assert!(digit <= level + 1, "{path}: h{digit} after h{level}: {}", tag.text);
            level = digit;
        }
        let mut names = BTreeSet::new();
        for tag in &tags {
            let named = tag.get("aria-label").or(tag.get("aria-labelledby")).is_some();
            // What scrolls can be reached by keyboard.
            if tag.get("class") == Some("scroll") || tag.name == "pre" {
                assert_eq!(tag.get("tabindex"), Some("0"), "{path}: {tag:?}");
            }
            if ["nav", "aside", "section"].contains(&tag.name.as_str()) {
                let name = tag.get("aria-label").or(tag.get("aria-labelledby"));
                assert!(
                    name.is_none_or(|name| names.insert(name)),
                    "{path}: another landmark has this name: {tag:?}"
                );
            }
            match tag.name.as_str() {
                "nav" | "aside" => assert!(named, "{path}: {tag:?}"),
                "section" => assert!(named || tag.get("class") == Some("hero"), "{path}: {tag:?}"),
                "img" => assert!(tag.get("alt").is_some_and(|alt| alt.len() > 10), "{path}: {tag:?}"),
                "svg" => assert_eq!(tag.get("aria-hidden"), Some("true"), "{path}: {tag:?}"),
                "th" => assert!(tag.get("scope").is_some(), "{path}: {tag:?}"),
                _ => {}
            }
        }
    }
}

#[test]
fn every_field_has_a_label() {
    for (path, tags) in tags() {
        for tag in tags.iter().filter(|tag| ["input", "select", "textarea"].contains(&tag.name.as_str())) {
            let by_id = tag.get("id").is_some_and(|id| tags.iter().any(|label| label.get("for") == Some(id)));
            assert!(by_id || tag.around.iter().any(|name| name == "label"), "{path}: {tag:?}");
        }
    }
}

#[test]
fn every_class_of_a_page_is_in_the_style_sheet() {
    let sheet = String::from_utf8(site().pages[&site().frame.assets.css].bytes().to_vec()).unwrap();
    let has = |class: &str| {
        sheet.match_indices(&format!(".{class}")).any(|(at, found)| {
            !sheet[at + found.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-')
        })
    };
    for (path, tags) in tags() {
        for class in tags.iter().filter_map(|tag| tag.get("class")).flat_map(str::split_whitespace) {
            assert!(has(class), "{path}: {class}");
        }
    }
}

#[test]
fn the_current_page_is_marked_once() {
    for (path, tags) in tags() {
        let current: Vec<_> = tags.iter().filter(|tag| tag.get("aria-current").is_some()).collect();
        let in_bar = ["/", "/compare", PRICING, "/downloads", "/install", "/gaming", "/security", "/docs"];
        let expected = usize::from(in_bar.contains(&path.as_str()));
        assert_eq!(current.len(), expected, "{path}");
        assert!(current.iter().all(|tag| tag.get("href") == Some(path.as_str())), "{path}");
    }
}
