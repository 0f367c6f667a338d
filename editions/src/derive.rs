//! What follows from the specifications: `TIER_FEATURES.json` and the table of editions in `README.md`.
//!
//! Invariant: the texts are a pure function of the specifications, so a committed copy is fresh or stale, never
//! both; only [`tree`] reads and writes files.

pub mod tree;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use aegis_core::{channel::Channel, edition::Edition};
use serde::Serialize;

use crate::{
    error::{Error, Location},
    registry::Registry,
    spec::{Desktop, Price, SecurityTier, ServiceLimits, Spec},
};

/// The line before the table in `README.md`.
pub const README_BEGIN: &str = "<!-- editions:begin -->";
/// The line after the table in `README.md`.
pub const README_END: &str = "<!-- editions:end -->";

/// The text of `TIER_FEATURES.json`, for the site and for license tools: indented JSON with a final line feed.
pub fn tier_features(specs: &[Spec], registry: &Registry) -> String {
    let document = TierFeatures {
        format: 1,
        tiers: specs.iter().map(|spec| (spec.id, Tier::new(spec, registry))).collect(),
        feature_descriptions: registry
            .flags
            .iter()
            .map(|(name, flag)| (name.as_str(), flag.about.as_str()))
            .collect(),
        limit_descriptions: registry
            .limits
            .iter()
            .map(|(name, limit)| (name.as_str(), limit.about.as_str()))
            .collect(),
    };
    // Serialising a tree of strings and numbers cannot fail.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// The table of editions, Markdown, without the markers.
pub fn readme_table(specs: &[Spec]) -> String {
    let mut table = String::from(
        "| Edition | For | Price | Key | Desktop | Memory | Disk | Channel |\n|---|---|---|---|---|---|---|---|\n",
    );
    for spec in specs {
        let desktop = match spec.desktop {
            Desktop::None => "none",
            Desktop::Xfce => "XFCE",
        };
        let key = spec.key_prefix.as_ref().map_or("none".to_owned(), |prefix| format!("`{prefix}-…`"));
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| **{}** (`{}`) | {} | {} | {key} | {desktop} | {} | {} | {} |",
            spec.name,
            spec.id,
            spec.best_for,
            price(spec.price),
            gib(spec.memory_mib),
            gib(spec.disk.minimum_mib),
            spec.channel,
        );
    }
    table
}

/// `readme` with the text between the markers replaced by `table`.
///
/// # Errors
/// When a marker is missing, is there twice, or the end comes first.
pub fn replace_table(readme: &str, table: &str) -> Result<String, Error> {
    let find = |marker: &str| {
        let at = |problem: &str| Error::Invalid {
            at: Location { file: "README.md".into(), line: None, key: marker.into() },
            problem: problem.into(),
            hint: format!("write `{README_BEGIN}` and `{README_END}` once, each on a line of its own"),
        };
        let mut places = readme.match_indices(marker).map(|(place, _)| place);
        match (places.next(), places.next()) {
            (Some(place), None) => Ok(place),
            (None, _) => Err(at("the marker is missing")),
            (Some(_), Some(_)) => Err(at("the marker is there twice")),
        }
    };
    let (begin, end) = (find(README_BEGIN)? + README_BEGIN.len(), find(README_END)?);
    if begin > end {
        return Err(Error::Invalid {
            at: Location { file: "README.md".into(), line: None, key: README_END.into() },
            problem: "the end comes before the beginning".into(),
            hint: "swap the markers".into(),
        });
    }
    Ok(format!("{}\n{table}{}", &readme[..begin], &readme[end..]))
}

#[derive(Serialize)]
struct TierFeatures<'a> {
    format: u32,
    tiers: BTreeMap<Edition, Tier<'a>>,
    feature_descriptions: BTreeMap<&'a str, &'a str>,
    limit_descriptions: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct Tier<'a> {
    name: &'a str,
    tagline: &'a str,
    best_for: &'a str,
    highlights: &'a [String],
    colour: &'a str,
    key_prefix: Option<&'a str>,
    price: Price,
    service: ServiceLimits,
    channel: Channel,
    security: SecurityTier,
    /// Every known flag, so that what is not granted can be shown too.
    features: BTreeMap<&'a str, bool>,
    limits: &'a BTreeMap<String, i64>,
    upgrade_paths: &'a [Edition],
    includes: &'a BTreeSet<Edition>,
}

impl<'a> Tier<'a> {
    fn new(spec: &'a Spec, registry: &'a Registry) -> Self {
        let granted: &BTreeSet<String> = &spec.entitlements.flags;
        Self {
            name: &spec.name,
            tagline: &spec.tagline,
            best_for: &spec.best_for,
            highlights: &spec.highlights,
            colour: &spec.colour.site,
            key_prefix: spec.key_prefix.as_deref(),
            price: spec.price,
            service: spec.service,
            channel: spec.channel,
            security: spec.security,
            features: registry.flags.keys().map(|name| (name.as_str(), granted.contains(name))).collect(),
            limits: &spec.entitlements.limits,
            upgrade_paths: &spec.upgrade_paths,
            includes: &spec.includes,
        }
    }
}

fn price(price: Price) -> String {
    match (price.contact_sales, price.lifetime_cents, price.annual_cents) {
        (true, ..) => "on request".into(),
        (false, 0, 0) => "free".into(),
        (false, lifetime, 0) => dollars(lifetime),
        (false, lifetime, annual) => format!("{}, or {} a year", dollars(lifetime), dollars(annual)),
    }
}

fn dollars(cents: u32) -> String {
    match cents % 100 {
        0 => format!("${}", cents / 100),
        rest => format!("${}.{rest:02}", cents / 100),
    }
}

fn gib(mib: u32) -> String {
    if mib.is_multiple_of(1024) { format!("{} GiB", mib / 1024) } else { format!("{mib} MiB") }
}
